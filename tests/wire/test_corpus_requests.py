"""The corpus of raw requests against the balancer's own process, and its twin's differences."""

from __future__ import annotations

import asyncio
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wire.corpus import door, twin
from tests.wire.corpus.model import CANARY_FORWARDED, DOORS_OWN, Case, Seen, verdict
from tests.wire.corpus.requests import BY_NAME, CASES
from tests.wire.corpus.upstream import CASES as UPSTREAM_CASES

FRAMING = (b"content-length: ", b"transfer-encoding: ")


async def _run_all(folder: Path, kind: str, *options: str) -> dict[str, Seen]:
    origin = door.Origin()
    backend = await origin.start()
    patience = door.PATIENCE if kind == "balancer" else 2.0  # it is known to let some wait
    seen = {}
    if kind == "balancer":
        opened = door.balancer(backend, folder, *options)
    else:
        opened = door.nginx(backend, folder)
    async with opened as port:
        for case in CASES:
            if kind == "nginx" and case.name in twin.SOMETIMES:
                continue
            seen[case.name] = await door.run(port, origin, case, patience)
    origin.stop()
    return seen


@pytest.fixture(scope="module")
def balancer(form: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("balancer")
    seen = asyncio.run(_run_all(folder, "balancer", form))
    assert door.is_compiled(folder) == (form == "--compiled")
    return seen


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return asyncio.run(_run_all(tmp_path_factory.mktemp("nginx"), "nginx"))


def test_the_corpus_is_as_large_as_promised_and_no_case_is_there_twice():
    assert len(BY_NAME) == len(CASES) >= 260


def test_the_readme_counts_as_this_corpus_does():
    readme = " ".join((door.PROJECT / "README.md").read_text().split())
    assert f"{len(CASES)} raw requests and {len(UPSTREAM_CASES)} answers of misbehav" in readme
    assert f"makes something else of {len(twin.BY_NAME)} of the requests" in readme


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_has_its_one_meaning_or_none(case: Case, balancer: dict[str, Seen]):
    verdict(case, balancer[case.name])


def test_what_the_door_adds_is_there_once_and_its_own(balancer: dict[str, Seen]):
    for name, seen in balancer.items():
        for head in seen.heads:
            lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
            own = [line for line in lines if line[0].lower() in DOORS_OWN]
            names = [line[0].lower() for line in own]
            assert len(names) == len(set(names)), name
            assert {b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"} <= set(names), name
            values = {line[0].lower(): line[2] for line in own}
            assert values[b"x-forwarded-for"] == b"127.0.0.1", name
            assert values[b"x-forwarded-proto"] == b"http", name
            assert re.fullmatch(rb"[A-Za-z0-9._-]{1,128}", values[b"x-request-id"]), name


def meaning(seen: Seen) -> str:
    """What a door made of a case, without statuses: two doors may refuse with different ones,
    and without how a body is framed: NGINX gives a chunked one that is at hand a length."""
    if seen.odd:
        return "malformed at the origin"
    if not seen.closed:
        return "hangs"
    requests = [
        replace(one, fields=tuple(f for f in one.fields if not f.startswith(FRAMING)))
        for one in seen.requests
    ]
    if requests and requests[-1] == CANARY_FORWARDED:
        return f"{requests[:-1]} then open"
    return f"{requests} then closed"


def test_nginx_differs_exactly_where_it_is_known_to_and_why(
    balancer: dict[str, Seen], nginx: dict[str, Seen]
):
    differ = {name for name, seen in nginx.items() if meaning(seen) != meaning(balancer[name])}
    known = set(twin.BY_NAME)
    version = subprocess.run([door.nginx_program(), "-v"], capture_output=True, check=True).stderr
    if f"nginx/{twin.VERSION}.".encode() not in version:
        known &= differ  # newer ones have become stricter; what none knows of yet still fails
    assert differ == known, {
        name: (meaning(nginx[name])[:200], meaning(balancer[name])[:200]) for name in differ ^ known
    }
