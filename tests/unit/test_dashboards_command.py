"""`python -m monitoring.dashboards`."""

from __future__ import annotations

from click.testing import CliRunner

from monitoring.dashboards.__main__ import FOLDER, main


def test_it_writes_what_is_committed(tmp_path):
    done = CliRunner().invoke(main, ["--into", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    written = {file.name: file.read_text() for file in (tmp_path / "new").iterdir()}
    assert written == {file.name: file.read_text() for file in FOLDER.iterdir()}


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["--into", str(tmp_path / "file" / "below")])
    assert done.exit_code == 1
    assert done.output.startswith("dashboards cannot be written: ")
    assert len(done.output.splitlines()) == 1
