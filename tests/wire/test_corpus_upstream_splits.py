"""However an answer is cut into pieces, it means the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.proxy import Proxy
from balancer.request_head import Field
from balancer.response_head import ResponseHead
from balancer.settings import Address
from balancer.upstream import BackendConnection
from tests.balancer_under_test import running
from tests.wire.corpus.in_process import StandInTransport
from tests.wire.corpus.upstream import CASES, CUT, UpstreamCase

NOBODY = Address("127.0.0.1", 9)
SHORT = [case for case in CASES if len(case.sent) <= 1000]
GROUPS = sorted({case.name.partition("-")[0] for case in SHORT})


class Recorder:
    """Who gets the answer."""

    may_switch = False

    def __init__(self, connection: BackendConnection, method: str) -> None:
        self.connection = connection
        self.method = method.encode()
        self.head: ResponseHead | None = None
        self.body = b""
        self.end = "open"

    def response_interim(self, block: bytes) -> None:
        assert self.head is None

    def response_head(self, head: ResponseHead) -> None:
        assert self.head is None
        assert self.end == "open"
        self.head = head

    def response_body(self, data: bytes) -> None:
        assert self.head is not None
        assert self.end == "open"
        self.body += data

    def response_end(self) -> None:
        assert self.head is not None
        assert self.end == "open"
        self.end = "whole"
        self.connection.release()

    def response_failed(self, why: str, *, protocol: bool) -> None:
        assert self.end == "open"
        self.end = "failed"

    def response_switched(self, fields: list[Field], behind: bytes) -> None:
        raise AssertionError("nobody asked for another protocol")

    def response_flush(self) -> None: ...
    def request_paused(self, paused: bool) -> None: ...


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with running(NOBODY, listens=False) as balancer:
        yield balancer.proxy


def check(proxy: Proxy, case: UpstreamCase, pieces: list[bytes]) -> None:
    connection, transport = BackendConnection(next(iter(proxy.pools.values()))), StandInTransport()
    connection.connection_made(transport)
    recorder = Recorder(connection, case.method)
    connection.send(recorder, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for piece in pieces:
        if recorder.end == "open":
            connection.data_received(piece)
    if case.then == "closes":
        connection.eof_received()
    if case.then != "stays" or transport.closed:
        connection.connection_lost(None)
    shown = (case.name, [piece[:40] for piece in pieces[:4]])
    if case.expected == CUT:
        assert recorder.head is not None, shown
        assert recorder.end != "whole", shown
    elif isinstance(case.expected, int):
        assert recorder.end == ("open" if case.expected == 504 else "failed"), shown
        assert recorder.head is None, shown
    else:
        assert recorder.head is not None, shown
        seen = (recorder.end, recorder.head.status, recorder.body)
        assert seen == ("whole", *case.expected), shown


@pytest.mark.parametrize("group", GROUPS)
async def test_every_cut_in_two_leaves_the_verdict_as_it_is(proxy: Proxy, group: str):
    for case in SHORT:
        if case.name.partition("-")[0] == group:
            for cut in range(len(case.sent) + 1):
                check(proxy, case, [p for p in (case.sent[:cut], case.sent[cut:]) if p])


@pytest.mark.parametrize("group", GROUPS)
async def test_byte_by_byte_leaves_the_verdict_as_it_is(proxy: Proxy, group: str):
    for case in SHORT:
        if case.name.partition("-")[0] == group:
            check(proxy, case, [case.sent[n : n + 1] for n in range(len(case.sent))])


@given(data=st.data())
@settings(max_examples=20)
async def test_any_pieces_leave_the_verdict_as_it_is(data: st.DataObject):
    cases = data.draw(st.lists(st.sampled_from(SHORT), min_size=10, max_size=10))
    async with running(NOBODY, listens=False) as balancer:
        for case in cases:
            within = st.integers(1, max(1, len(case.sent)))
            ends = [*sorted(data.draw(st.sets(within, max_size=8))), len(case.sent)]
            pieces = [
                case.sent[a:b] for a, b in zip([0, *ends], ends, strict=False) if case.sent[a:b]
            ]
            check(balancer.proxy, case, pieces)
