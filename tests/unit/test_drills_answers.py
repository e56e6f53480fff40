"""What came back is judged by what was promised, and written down so that nothing is changed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drills.answers import Answer, Reply, digest, judge_ask, judge_read

GOOD = {
    "instance": 17, "id": 5, "data": {"message": "x"}, "stored": "replicated", "source": "live",
}  # fmt: skip


def ok(**changes: object) -> Reply:
    return Reply(200, body=json.dumps({**GOOD, **changes}).encode())


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(failure="timeout", reason="no answer in 10 s"), "timeout"),
        (Reply(failure="connect", reason="connection refused"), "connect"),
        (Reply(failure="cut", reason="reset"), "cut"),
        (Reply(503, retry_after=True), "refused"),
        (Reply(503, retry_after=False), "error"),
        (Reply(502), "error"),
        (Reply(404), "error"),
        (Reply(200, body=b"<html>"), "wrong"),
        (Reply(200, body=b"[]"), "wrong"),
        (ok(instance="17"), "wrong"),
        (ok(data=None), "wrong"),
        (ok(source="guess"), "wrong"),
        (ok(stored=True), "wrong"),
        (ok(stored=None), "wrong"),
        (ok(stored="replicated", id=None), "wrong"),
        (ok(stored=False, id=5), "wrong"),
        (ok(id=True), "wrong"),
        (ok(), "answered"),
        (ok(stored="degraded"), "answered"),
        (ok(stored=False, id=None), "answered"),
    ],
)
def test_an_answer_to_the_front_page_is_judged_by_what_was_promised(reply: Reply, outcome: str):
    assert judge_ask(reply).outcome == outcome


def test_failures_that_differ_by_their_request_alone_have_one_reason():
    said = {judge_ask(Reply(502, body=b'{"error": "cut", "request_id": "%d"}' % n)) for n in (1, 2)}
    assert {judgement.reason for judgement in said} == {"status 502: cut"}
    assert judge_ask(Reply(500, body=b"<html>")).reason == "status 500: b'<html>'"


def test_only_an_answer_that_says_stored_is_taken_for_an_acknowledgement():
    assert judge_ask(ok()).digest == digest(GOOD["data"])
    assert judge_ask(ok(stored=False, id=None)).digest == ""


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(404, body=b'{"error": "Data not found"}'), "missing"),
        (Reply(503, retry_after=True), "refused"),
        (Reply(500), "error"),
        (Reply(failure="cut"), "cut"),
        (Reply(200, body=b'{"id": 5, "data": {"n": 2}}'), "wrong"),
        (Reply(200, body=b'{"id": 6, "data": {"n": 1}}'), "wrong"),
        (Reply(200, body=b'{"id": 5'), "wrong"),
        (Reply(200, body=b'{"data": {"n": 1}, "id": 5}'), "answered"),
    ],
)
def test_a_record_read_back_must_have_the_data_it_was_acknowledged_with(reply: Reply, outcome: str):
    assert judge_read(reply, 5, digest({"n": 1})).outcome == outcome


def test_the_digest_is_of_the_data_and_not_of_its_spelling():
    assert digest({"a": 1, "b": [2]}) == digest(json.loads('{ "b": [2], "a": 1 }'))
    assert digest({"a": 1}) != digest({"a": "1"})


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"source": "live"}, "live"),
        ({"source": "fallback"}, "fallback"),
        ({"request": "read", "source": "-"}, "read back"),
        ({"outcome": "refused", "source": "-"}, "refused"),
        ({"outcome": "missing", "request": "read", "source": "-"}, "failed"),
        ({"outcome": "cut", "source": "-"}, "failed"),
    ],
)
def test_every_answer_is_of_one_kind(fields: dict[str, object], kind: str):
    plain = {"request": "ask", "outcome": "answered", "source": "live"}
    assert Answer(1, 2.0, 0.0, 0.1, status=200, **{**plain, **fields}).kind == kind  # type: ignore[arg-type]


@given(
    number=st.integers(0, 10**9),
    due=st.floats(0, 1e7),
    latency=st.floats(0, 100),
    record_id=st.none() | st.integers(0, 2**53 - 1),
    reason=st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1),
)
def test_a_written_line_is_read_back_as_the_same_answer(
    number: int, due: float, latency: float, record_id: int | None, reason: str
):
    written = Answer(
        number, due, 0.25, latency, "ask", 200, "answered", "live", record_id, "false", reason
    )
    back = Answer.parse(written.line())
    assert (back.number, back.id, back.reason) == (number, record_id, reason)
    assert back.due == pytest.approx(due, abs=1e-6)
    assert back.latency == pytest.approx(latency, abs=1e-6)


def test_half_a_line_is_no_answer():
    line = Answer(1, 2.0, 0.0, 0.1, "ask", 200, "answered").line()
    with pytest.raises(ValueError, match="unpack"):
        Answer.parse(line[:20])
