"""However a client's bytes are cut into pieces, they mean the same.

No balancer listens here: a stand-in origin counts every request that reaches it, and beside this
process others run that ask ports which were theirs, or a backend's, a moment ago.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.proxy import Proxy
from balancer.settings import Address
from tests.balancer_under_test import running
from tests.wire.corpus.in_process import run
from tests.wire.corpus.model import Case, verdict
from tests.wire.corpus.requests import BY_NAME, CASES

NOBODY = Address("127.0.0.1", 9)  # the stand-in origin answers in its place
GROUPS = sorted({case.name.partition("-")[0] for case in CASES})
EVERY_CUT_UP_TO = 1500  # bytes; of longer cases the cuts near both ends and the limits
MOST_CUTS_UP_TO = 40_000


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with running(NOBODY, listens=False) as balancer:
        yield balancer.proxy


def cuts(case: Case) -> Iterator[int]:
    last = len(case.sent)
    if last <= EVERY_CUT_UP_TO:
        yield from range(1, last + 1)
    elif last > MOST_CUTS_UP_TO:
        yield from (1, 3, 50, 16384, 16385, 16386, 65536, last - 2, last)
    else:
        yield from range(1, 150)
        yield from (8192, 16383, 16384, 16385, 16386, 65536)
        yield from range(last - 40, last + 1)


async def check(proxy: Proxy, case: Case, pieces: list[bytes]) -> None:
    try:
        verdict(case, await run(proxy, pieces, ends=case.ends))
    except AssertionError as error:
        shown = [piece[:60] for piece in pieces[:4]]
        raise AssertionError(f"{case.name} in pieces {shown}: {error}") from error


@pytest.mark.parametrize("group", GROUPS)
async def test_every_cut_in_two_leaves_the_verdict_as_it_is(proxy: Proxy, group: str):
    for case in CASES:
        if case.name.partition("-")[0] == group:
            await check(proxy, case, [case.wire])
            for cut in cuts(case):
                await check(proxy, case, [case.wire[:cut], case.wire[cut:]])


@pytest.mark.parametrize("group", GROUPS)
async def test_byte_by_byte_leaves_the_verdict_as_it_is(proxy: Proxy, group: str):
    for case in CASES:
        if case.name.partition("-")[0] == group and len(case.wire) <= EVERY_CUT_UP_TO:
            await check(proxy, case, [case.wire[n : n + 1] for n in range(len(case.wire))])


@given(data=st.data())
@settings(max_examples=20)
async def test_any_pieces_leave_the_verdict_as_it_is(data: st.DataObject):
    names = data.draw(st.lists(st.sampled_from(sorted(BY_NAME)), min_size=10, max_size=10))
    async with running(NOBODY, listens=False) as balancer:
        for name in names:
            case = BY_NAME[name]
            within = st.integers(1, max(1, len(case.wire)))
            ends = [*sorted(data.draw(st.sets(within, max_size=8))), len(case.wire)]
            pieces = [
                case.wire[a:b] for a, b in zip([0, *ends], ends, strict=False) if case.wire[a:b]
            ]
            await check(balancer.proxy, case, pieces)
