"""Fetch a release archive, check it, unpack it: resumable, verified, all or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import aiohttp

from .releases import Release

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
_CHUNK = 256 * 1024

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all or None if unknown


class ArchiveError(RuntimeError):
    """The archive could not be had or must not be used; one line."""


class _BadArchiveError(ArchiveError):
    """What was downloaded is not the archive, and has been deleted."""


def install(release: Release, tools: Path, progress: Progress) -> Path:
    """Download, verify and unpack into `tools`, with links in `tools/bin`; its folder.

    A broken download leaves a `.part` file from which the next call goes on. Nothing else is
    left behind by a failure. Raises ArchiveError.
    """
    target = tools / release.folder
    try:
        if not target.is_dir():
            tools.mkdir(parents=True, exist_ok=True)
            part = tools / f"{release.url.rsplit('/', 1)[-1]}.part"
            _fetch(release, part, progress)
            _unpack(release, part, target)
            part.unlink()
        _link(release, target, tools / "bin")
    except OSError as error:
        raise ArchiveError(f"{release.folder} cannot be installed in {tools}: {error}") from None
    return target


def _fetch(release: Release, part: Path, progress: Progress) -> None:
    resumed = part.exists()
    try:
        _fetch_once(release, part, progress)
    except _BadArchiveError:
        if not resumed:
            raise
        _fetch_once(release, part, progress)  # the old part may have been of something else


def _fetch_once(release: Release, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    try:
        asyncio.run(_download(release, part, have, progress))
    except (aiohttp.ClientError, TimeoutError) as error:
        have = part.stat().st_size if part.exists() else 0
        kept = f"; {have:,} bytes are kept, the next try goes on from there" if have else ""
        raise ArchiveError(f"cannot download {release.url}: {_words(error)}{kept}") from None
    _verify(release, part)


async def _download(release: Release, part: Path, have: int, progress: Progress) -> None:
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
    )
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {}
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
        session.get(release.url, headers=headers) as response,
    ):
        if response.status == 416:  # nothing is left to fetch; the digest will tell
            return
        response.raise_for_status()
        if response.status != 206:
            have = 0
        total = None if response.content_length is None else have + response.content_length
        with part.open("ab" if have else "wb") as file:
            progress(have, total)
            async for chunk in response.content.iter_chunked(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)


def _verify(release: Release, part: Path) -> None:
    size = part.stat().st_size
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest == release.sha256 and release.size in (None, size):
        return
    part.unlink()
    raise _BadArchiveError(
        f"{release.url} is not the archive it should be, and was deleted: "
        f"SHA-256 {digest} ({size:,} bytes) instead of {release.sha256}"
    )


def _unpack(release: Release, archive: Path, target: Path) -> None:
    """Unpack beside the target and rename, so that the target is whole or not there."""
    scratch = Path(tempfile.mkdtemp(prefix=".unpack-", dir=target.parent))
    try:
        with tarfile.open(archive, "r:gz") as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(scratch, filter="data")
            else:  # before Python 3.11.4
                _refuse_all_but_plain_files(release, tar)
                tar.extractall(scratch)  # noqa: S202
        folders = list(scratch.iterdir())
        if len(folders) != 1 or not folders[0].is_dir():
            raise ArchiveError(f"{release.folder} does not hold one folder")
        for _name, inside in release.commands:
            if not (folders[0] / inside).is_file():
                raise ArchiveError(f"{release.folder} has no {inside}")
        folders[0].rename(target)
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{release.folder} cannot be unpacked safely: {error}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse_all_but_plain_files(release: Release, tar: tarfile.TarFile) -> None:
    """Stricter than the `data` filter: no links at all, so that no path can lead outside."""
    for member in tar:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
            raise ArchiveError(
                f"{release.folder} cannot be unpacked safely: {member.name} is no plain file "
                "(Python 3.11.4 or newer can tell harmless links)"
            )
        member.mode &= 0o755


def _link(release: Release, target: Path, links: Path) -> None:
    links.mkdir(parents=True, exist_ok=True)
    for name, inside in release.commands:
        fresh = links / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("..") / target.name / inside)
        fresh.replace(links / name)


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the server answers {error.status}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection broke"
    return " ".join(str(error).split()) or type(error).__name__
