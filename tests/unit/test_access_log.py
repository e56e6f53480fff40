"""Access log: whole lines, bounded files, several writers."""

import json
import multiprocessing
from pathlib import Path

from monitoring.access_log import AccessLog, rfc3339


def _write_lines(path: Path, writer: int, count: int) -> None:
    log = AccessLog(path, max_bytes=20_000, keep=100)
    for number in range(count):
        log.write({"writer": writer, "number": number, "pad": "x" * 50})
        if number % 7 == 0:
            log.flush()
    log.close()


def test_lines_of_several_processes_never_mix_and_none_is_lost_over_rotations(tmp_path: Path):
    path = tmp_path / "access.jsonl"
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_write_lines, args=(path, n, 500)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    files = [file for file in tmp_path.iterdir() if not file.name.endswith(".lock")]
    seen = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert len(files) > 2
    assert {(line["writer"], line["number"]) for line in seen} == {
        (writer, number) for writer in range(3) for number in range(500)
    }
    assert len(seen) == 1500


def test_old_files_beyond_the_kept_ones_are_gone(tmp_path: Path):
    log = AccessLog(tmp_path / "a.jsonl", max_bytes=100, keep=2)
    for number in range(50):
        log.write({"number": number, "pad": "x" * 60})
        log.flush()
    log.close()
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["a.jsonl", "a.jsonl.1", "a.jsonl.2", "a.jsonl.lock"]


def test_a_full_disk_drops_lines_says_so_once_and_stops_nobody(capfd):
    log = AccessLog(Path("/dev/full"))
    for _ in range(3):
        log.write({"a": 1})
        log.flush()
    assert capfd.readouterr().err.count("lines lost") == 1


def test_a_log_that_is_off_writes_nothing():
    log = AccessLog(None)
    log.write({"a": 1})
    log.close()
    assert not log.enabled


def test_a_path_that_is_no_text_is_logged_escaped_beside_the_others(tmp_path: Path):
    log = AccessLog(tmp_path / "a.jsonl")
    log.write({"path": "/caf\udce9"})
    log.write({"path": "/café"})
    log.close()
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["/caf\udce9", "/café"]


def test_times_are_rfc_3339_in_utc_with_milliseconds():
    assert rfc3339(1_763_847_665.1234) == "2025-11-22T21:41:05.123Z"
