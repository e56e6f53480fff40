"""`python -m app explain` beside a running instance."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.app_under_test import NOWHERE, running, settings
from tests.bench.programs import PROJECT
from tests.scripted_backend import ScriptedBackend

_BODY = b'{"message":"External service OK"}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
ERROR = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def flaky() -> AsyncIterator[ScriptedBackend]:
    """30 % errors, as many silent of the rest as in the stock unstable service."""
    dice = random.Random(3)

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        if dice.random() < 0.3:
            writer.write(ERROR)
        elif dice.random() < 0.3:
            await asyncio.sleep(3)
        else:
            writer.write(GOOD)

    backend = await ScriptedBackend(script).start()
    yield backend
    await backend.stop()


async def explain(folder: Path, *options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "explain", "--metrics-dir", str(folder / "metrics"),
        "--upstream-file", str(folder / "upstream"), *options,
        cwd=PROJECT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_what_it_expects_is_what_the_running_service_shows(
    tmp_path: Path, flaky: ScriptedBackend
) -> None:
    async with running(settings(tmp_path, f"http://127.0.0.1:{flaky.port}/data", NOWHERE)) as app:
        code, early = await explain(tmp_path)
        assert code == 0
        assert "Only 0 attempts were seen" in early
        for _ in range(40):
            await asyncio.gather(*(app.get() for _ in range(10)))
        code, output = await explain(tmp_path, "--json")
    assert code == 0
    told = json.loads(output)
    assert told["calls_seen"] == 400
    assert told["breaker"] == "closed"
    assert told["rates"]["failed"] == pytest.approx(0.30, abs=0.06)
    assert told["expected"]["attempts"] == pytest.approx(told["seen"]["attempts_per_call"], rel=0.1)
    assert told["expected"]["fallbacks"] == pytest.approx(told["seen"]["fallbacks"], abs=0.02)
    _, words = await explain(tmp_path)
    assert "upstream calls/request" in words
    assert "The breaker is closed" in words
    _, less = await explain(tmp_path, "--upstream-hedges", "0")
    assert "Change APP_UPSTREAM_HEDGES=1" in less


async def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    code, line = await explain(tmp_path, "--upstream-hedges", "-1")
    assert code == 2
    assert "\n" not in line.strip()
