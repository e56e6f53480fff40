"""The balancer's tests run on uvloop, as its workers do; the others on asyncio's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping

import pytest
import uvloop

from tests.scripted_backend import close_all

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, LoopFactory]:
    if item.path.name.startswith(("test_balancer_", "test_corpus_")):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Closes what a test that failed left listening: uvloop's loop would wait for it for ever."""
    try:
        yield
    except BaseException:
        close_all()
        raise
