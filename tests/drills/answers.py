"""One request of a drill and what came back. Pure.

Two requests are made: *ask* is `GET /`, *read* is `GET /data/ID` of an id that was acknowledged.
Every request ends with one outcome:

========  ==========================================================================
answered  200 and what was promised: for a read, the data that was acknowledged
refused   503 with Retry-After: an honest "not now"
missing   404 for a record that was acknowledged
wrong     200 with anything else than what was promised
error     any other status
timeout   no complete answer in time
connect   no connection could be made
cut       the connection ended before the answer was complete
========  ==========================================================================
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, cast

Request = Literal["ask", "read"]
Failure = Literal["timeout", "connect", "cut"]
Outcome = Literal["answered", "refused", "missing", "wrong", "error"] | Failure
Kind = Literal["live", "fallback", "stale", "read back", "refused", "failed"]

ACKNOWLEDGED = ("replicated", "degraded")  # what `stored` says of a record that must not be lost
SOURCES = ("live", "fallback", "stale")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a connection brought: a complete answer, or why there is none."""

    status: int = 0
    retry_after: bool = False
    body: bytes = field(default=b"", repr=False)
    failure: Failure | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request, as it stands in the drill's file; seconds of the machine's monotonic clock.

    `latency` counts from `due`, the moment at which the request should have been sent, to the
    last byte or to the failure; `late` is how long after that moment the generator sent it.
    """

    number: int
    due: float
    late: float
    latency: float
    request: Request
    status: int
    outcome: Outcome
    source: str = "-"
    id: int | None = None
    stored: str = "-"
    reason: str = "-"

    @property
    def done(self) -> float:
        return self.due + self.latency

    @property
    def ok(self) -> bool:
        return self.outcome == "answered"

    @property
    def kind(self) -> Kind:
        if self.outcome == "refused":
            return "refused"
        if not self.ok:
            return "failed"
        return "read back" if self.request == "read" else cast("Kind", self.source)

    @property
    def acknowledged(self) -> bool:
        return self.request == "ask" and self.ok and self.stored in ACKNOWLEDGED

    def line(self) -> str:
        record_id = "-" if self.id is None else self.id
        return (
            f"{self.number} {self.due:.6f} {self.late:.6f} {self.latency:.6f} {self.request} "
            f"{self.status} {self.outcome} {self.source} {record_id} {self.stored} {self.reason}\n"
        )

    @classmethod
    def parse(cls, line: str) -> Answer:
        """What `line` wrote. Raises ValueError for anything else."""
        number, due, late, latency, request, status, outcome, source, record_id, stored, reason = (
            line.rstrip("\n").split(" ", 10)
        )
        return cls(
            int(number), float(due), float(late), float(latency), cast("Request", request),
            int(status), cast("Outcome", outcome), source,
            None if record_id == "-" else int(record_id), stored, reason,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reply means. `digest` is there when the answer says that the record is stored."""

    outcome: Outcome
    source: str = "-"
    id: int | None = None
    stored: str = "-"
    reason: str = "-"
    digest: str = ""


def digest(data: Any) -> str:
    """SHA-256 of data as JSON in one fixed spelling."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def judge_ask(reply: Reply) -> Judgement:
    """`GET /`: `{"instance": int, "id": int | null, "data": {...}, "stored": ..., "source": ...}`,
    with an id exactly when something was stored."""
    if (unusable := _not_200(reply)) is not None:
        return unusable
    fields = _object(reply.body)
    if fields is None:
        return Judgement("wrong", reason=f"no JSON object: {reply.body[:60]!r}")
    record_id, stored, source = fields.get("id"), fields.get("stored"), fields.get("source")
    acknowledged = stored in ACKNOWLEDGED
    if (
        type(fields.get("instance")) is not int
        or not isinstance(fields.get("data"), dict)
        or source not in SOURCES
        or (type(record_id) is not int if acknowledged else record_id is not None)
        or not (acknowledged or stored is False)
    ):
        return Judgement("wrong", reason=f"not as promised: {reply.body[:120]!r}")
    if not acknowledged:
        return Judgement("answered", source, None, "false")
    return Judgement("answered", source, record_id, str(stored), digest=digest(fields["data"]))


def judge_read(reply: Reply, record_id: int, wanted: str) -> Judgement:
    """`GET /data/ID` of an acknowledged record whose data has the digest `wanted`."""
    if reply.status == 404 and reply.failure is None:
        return Judgement("missing", id=record_id, reason="404 for an acknowledged record")
    if (unusable := _not_200(reply)) is not None:
        return Judgement(unusable.outcome, id=record_id, reason=unusable.reason)
    fields = _object(reply.body)
    if fields is None or digest(fields.get("data")) != wanted or fields.get("id") != record_id:
        return Judgement("wrong", id=record_id, reason=f"other data: {reply.body[:120]!r}")
    return Judgement("answered", id=record_id)


def _not_200(reply: Reply) -> Judgement | None:
    if reply.failure is not None:
        return Judgement(reply.failure, reason=reply.reason or "-")
    if reply.status == 200:
        return None
    if reply.status == 503 and reply.retry_after:
        return Judgement("refused", reason="503 with Retry-After")
    said = (_object(reply.body) or {}).get("error")  # without the request's id: they are counted
    return Judgement("error", reason=f"status {reply.status}: {said or repr(reply.body[:80])}")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None
