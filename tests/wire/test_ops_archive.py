"""Archives from a server of our own: good, wrong, cut, malicious, absent."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monitoring.installation import archive
from monitoring.installation.archive import ArchiveError, install
from monitoring.installation.releases import Release

BODY = b"#!/bin/sh\necho tool\n" + bytes(range(256)) * 2000


class Server:
    """Serves one archive; `cut` ends the body after so many bytes, once."""

    def __init__(self) -> None:
        self.content = b""
        self.status = 200
        self.cut: int | None = None
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/tool-1.0.tar.gz"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if self.status != 200:
            request.send_error(self.status)
            return
        if wanted and start >= len(self.content):
            request.send_error(416)
            return
        rest = self.content[start:]
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        cut, self.cut = self.cut, None
        request.wfile.write(rest[: len(rest) if cut is None else cut])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    one = Server()
    thread = threading.Thread(target=one.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield one
    one.http.shutdown()
    one.http.server_close()
    thread.join()


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, content: bytes = BODY, **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    for key, value in changes.items():
        setattr(info, key, value)
    return info, content


def release(server: Server, content: bytes) -> Release:
    server.content = content
    return Release(
        "tool",
        "1.0",
        server.url,
        hashlib.sha256(content).hexdigest(),
        (("tool", "bin/tool"),),
        len(content),
    )


GOOD = packed(member("tool-1.0.linux/bin/tool"), member("tool-1.0.linux/README", b"x"))


def silent(_done: int, _total: int | None) -> None:
    """No progress."""


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_wrong_digest_is_refused_with_both_digests_and_nothing_is_kept(
    server: Server, tmp_path: Path
):
    wanted = replace(release(server, GOOD), sha256="0" * 64)
    with pytest.raises(ArchiveError) as refused:
        install(wanted, tmp_path, silent)
    assert "0" * 64 in str(refused.value)
    assert hashlib.sha256(GOOD).hexdigest() in str(refused.value)
    assert "\n" not in str(refused.value)
    assert everything_in(tmp_path) == set()


def test_a_wrong_size_is_refused_even_if_the_pin_says_nothing_else(server: Server, tmp_path: Path):
    with pytest.raises(ArchiveError, match="not the archive it should be"):
        install(replace(release(server, GOOD), size=len(GOOD) - 1), tmp_path, silent)


@pytest.fixture(params=["data filter", "before Python 3.11.4"])
def any_python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This Python as it is, and as one without tarfile's filters."""
    if request.param != "data filter":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@pytest.mark.usefixtures("any_python")
@pytest.mark.parametrize(
    "evil",
    [
        packed(member("../outside")),
        packed(member("/etc/outside")),
        packed(member("tool/bin/tool"), member("tool/../../outside")),
        packed(
            member("tool/link", b"", type=tarfile.SYMTYPE, linkname="../../.."),
            member("tool/link/outside"),
        ),
        packed(member("tool/null", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)),
    ],
    ids=["parent", "absolute", "parent inside", "symlink", "device"],
)
def test_an_archive_that_reaches_outside_is_refused_though_its_digest_is_right(
    server: Server, tmp_path: Path, evil: bytes
):
    tools = tmp_path / "deep" / "tools"
    with pytest.raises(ArchiveError, match=r"unpacked safely|one folder|no bin/tool"):
        install(release(server, evil), tools, silent)
    assert not list(tmp_path.rglob("outside*"))
    assert not (tools / "tool-1.0").exists()
    assert not list(tools.glob(".unpack-*"))


@pytest.mark.parametrize(
    "odd",
    [b"this is no archive", GOOD[:100], packed(member("a/x"), member("b/y"))],
    ids=["text", "cut", "two folders"],
)
def test_what_is_no_archive_of_one_folder_is_refused(server: Server, tmp_path: Path, odd: bytes):
    with pytest.raises(ArchiveError):
        install(release(server, odd), tmp_path, silent)
    assert not (tmp_path / "tool-1.0").exists()


def test_an_archive_without_the_program_is_refused(server: Server, tmp_path: Path):
    with pytest.raises(ArchiveError, match="has no bin/tool"):
        install(release(server, packed(member("tool/README"))), tmp_path, silent)
    assert not (tmp_path / "tool-1.0").exists()


@pytest.mark.parametrize("status", [404, 500, 403])
def test_a_server_that_refuses_is_told_in_one_line_with_the_address(
    server: Server, tmp_path: Path, status: int
):
    server.status = status
    with pytest.raises(ArchiveError) as refused:
        install(release(server, GOOD), tmp_path, silent)
    assert str(refused.value) == f"cannot download {server.url}: the server answers {status}"
    assert everything_in(tmp_path) == set()


def test_a_server_that_is_not_there_is_told_in_one_line(tmp_path: Path, server: Server):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    wanted = replace(release(server, GOOD), url=f"http://127.0.0.1:{port}/tool.tar.gz")
    with pytest.raises(ArchiveError, match=f"cannot download http://127.0.0.1:{port}/") as refused:
        install(wanted, tmp_path, silent)
    assert "\n" not in str(refused.value)


def test_a_server_that_accepts_and_is_silent_is_not_waited_for_for_ever(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archive, "SILENCE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/tool.tar.gz"
        with pytest.raises(ArchiveError, match="no answer in time"):
            install(replace(release(server, GOOD), url=url), tmp_path, silent)


def test_a_download_that_broke_off_is_kept_and_the_next_try_goes_on_from_there(
    server: Server, tmp_path: Path
):
    wanted = release(server, GOOD)
    server.cut = 1000
    with pytest.raises(ArchiveError, match=r"connection broke; 1,000 bytes are kept"):
        install(wanted, tmp_path, silent)
    assert not (tmp_path / "tool-1.0").exists()
    install(wanted, tmp_path, silent)
    assert server.ranges == [None, "bytes=1000-"]
    assert (tmp_path / "tool-1.0/bin/tool").read_bytes() == BODY


def test_an_old_part_of_something_else_is_found_out_and_fetched_anew(
    server: Server, tmp_path: Path
):
    (tmp_path / "tool-1.0.tar.gz.part").write_bytes(b"x" * 500)
    install(release(server, GOOD), tmp_path, silent)
    assert server.ranges == ["bytes=500-", None]
    assert (tmp_path / "tool-1.0/bin/tool").read_bytes() == BODY


def test_a_part_that_is_complete_is_used_as_it_is(server: Server, tmp_path: Path):
    (tmp_path / "tool-1.0.tar.gz.part").write_bytes(GOOD)
    install(release(server, GOOD), tmp_path, silent)
    assert (tmp_path / "tool-1.0/bin/tool").read_bytes() == BODY


@pytest.mark.usefixtures("any_python")
def test_a_good_archive_is_unpacked_linked_and_cleaned_up_with_progress(
    server: Server, tmp_path: Path
):
    seen: list[tuple[int, int | None]] = []
    install(release(server, GOOD), tmp_path, lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, len(GOOD))
    assert seen[-1] == (len(GOOD), len(GOOD))
    assert (tmp_path / "bin/tool").read_bytes() == BODY
    assert (tmp_path / "bin/tool").resolve().stat().st_mode & 0o111
    assert everything_in(tmp_path) == {
        *("bin", "bin/tool"),
        *("tool-1.0", "tool-1.0/bin", "tool-1.0/bin/tool", "tool-1.0/README"),
    }


def test_what_is_installed_already_needs_no_network(server: Server, tmp_path: Path):
    wanted = release(server, GOOD)
    install(wanted, tmp_path, silent)
    (tmp_path / "bin/tool").unlink()
    install(replace(wanted, url="http://127.0.0.1:1/tool-1.0.tar.gz"), tmp_path, silent)
    assert (tmp_path / "bin/tool").read_bytes() == BODY


def test_a_folder_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path):
    (tmp_path / "tools").write_text("a file, no folder")
    with pytest.raises(ArchiveError, match=r"tool-1\.0 cannot be installed in .*tools"):
        install(release(server, GOOD), tmp_path / "tools", silent)
