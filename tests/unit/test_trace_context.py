"""Which trace a request belongs to: what is invalid is as good as none, for everybody the same."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from balancer import trace_context as bytewise
from monitoring.trace_context import Ids, TraceContext, read_trace

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OUTGOING = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

digits = st.text("0123456789abcdef", min_size=1, max_size=34)
nearly = st.builds(
    "{}-{}-{}-{}{}".format,
    st.sampled_from(["00", "01", "cc", "ff", "0", "0A"]),
    st.one_of(st.sampled_from([TRACE, "0" * 32, TRACE.upper(), TRACE[1:]]), digits),
    st.one_of(st.sampled_from([PARENT, "0" * 16, PARENT + "0"]), digits),
    st.sampled_from(["00", "01", "1", "zz"]),
    st.sampled_from(["", "-", "-more", "x", "\n", " "]),
)
latin = st.text(st.characters(max_codepoint=255), max_size=60)
parents = st.lists(st.one_of(nearly, latin), max_size=2)
states = st.lists(
    st.one_of(latin, st.from_regex(r"[a-z]{1,3}=[a-z0-9,= ]{0,9}", fullmatch=True)), max_size=3
)


@given(parents, states)
def test_app_and_unstable_continue_exactly_the_traces_that_the_balancer_continues(values, others):
    text = read_trace(values, others)
    same = bytewise.read_trace(
        [value.encode("latin-1") for value in values],
        [value.encode("latin-1") for value in others],
    )
    if same is None:
        assert text is None
    else:
        assert text is not None
        told = (text.trace_id, text.flags, text.state)
        assert told == (same.trace_id.decode(), same.flags.decode(), same.state.decode("latin-1"))


@given(parents, states, st.integers(1, 2**64 - 1))
def test_whatever_came_what_is_sent_on_is_valid_and_an_invalid_trace_is_replaced(
    values, others, drawn
):
    ids = Ids(f"{drawn | 1 << 63:016x}")
    came = read_trace(values, others)
    sent = (came or TraceContext(ids.trace(), "", "01")).fields(ids.span())
    assert OUTGOING.fullmatch(sent["traceparent"])
    again = read_trace([sent["traceparent"]], [sent["tracestate"]] if "tracestate" in sent else [])
    assert again is not None
    if came is not None:
        assert (again.trace_id, again.state) == (came.trace_id, came.state)
        assert again.parent_id != came.parent_id


def test_ids_of_a_process_are_all_different():
    ids = Ids("8000000000000000")
    made = [ids.trace() for _ in range(1000)] + [ids.span() for _ in range(1000)]
    assert len(set(made)) == 2000
    assert {len(one) for one in made} == {32, 16}
