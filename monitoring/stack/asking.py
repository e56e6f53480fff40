"""Asks the running programs for their metrics and their workers, twice, to tell rates."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any
from urllib.parse import urljoin

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from .figures import Figures, Labels, Page, Samples, figures
from .project import Project
from .state import StackState

APART_SECONDS = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
# NGINX and whoever else stands there pass /metrics on to one of these.
_OURS = re.compile(r"\bpython3? -m (app|balancer|unstable)\b")


async def ask_figures(project: Project, state: StackState) -> Figures | None:
    """The figures of what is ready; None when nothing that is has any."""
    ready = {program.name for program in state.programs if program.condition == "ready"}
    asked = {
        program.name: program.ready
        for program in project.topology.programs
        if program.name in ready and program.ready and _OURS.search(program.command)
    }
    if not asked:
        return None
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        began = time.monotonic()
        before = await _pages(session, asked)
        await asyncio.sleep(max(0.0, APART_SECONDS - (time.monotonic() - began)))
        seconds = time.monotonic() - began
        return figures(before, await _pages(session, asked), seconds)


async def _pages(session: aiohttp.ClientSession, asked: dict[str, str]) -> list[Page]:
    found = await asyncio.gather(*(_page(session, *one) for one in asked.items()))
    return [page for page in found if page is not None]


async def _page(session: aiohttp.ClientSession, program: str, address: str) -> Page | None:
    """None when it does not answer any more."""
    try:
        async with session.get(urljoin(address, "/metrics")) as answer:
            answer.raise_for_status()
            samples = _samples(await answer.text())
        async with session.get(urljoin(address, "/workers")) as answer:
            pool: Any = await answer.json() if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return Page(program, samples, pool)


def _samples(text: str) -> Samples:
    samples: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples
