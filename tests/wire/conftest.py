"""The balancer's tests run on uvloop, as its workers do; the others on asyncio's own loop."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Generator, Mapping

import pytest
import uvloop

from balancer.compilation import compile_request_path
from tests.scripted_backend import close_all

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, LoopFactory]:
    if item.path.name.startswith(("test_balancer_", "test_corpus_")):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="module", params=["--interpreted", "--compiled"])
def form(request: pytest.FixtureRequest) -> str:
    """The balancer's option for either form of its request path; the compiled one is made."""
    option: str = request.param
    if option == "--compiled":
        if shutil.which(os.environ.get("CC", "cc")) is None:
            pytest.skip("there is no C compiler here, and none is part of the set-up")
        compile_request_path()
    return option


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Closes what a test that failed left listening: uvloop's loop would wait for it for ever."""
    try:
        yield
    except BaseException:
        close_all()
        raise
