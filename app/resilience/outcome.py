"""How attempts and calls end: one vocabulary for header, body, log line and metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How one attempt ended."""

    OK = "ok"
    HTTP_ERROR = "http_error"  # a complete answer with a status that is no success
    TIMEOUT = "timeout"
    CONNECT_ERROR = "connect_error"  # refused, or closed before an answer began
    BAD_ANSWER = "bad_answer"  # truncated, garbage, too large, not what was asked for
    OVERTAKEN = "overtaken"  # another attempt of the same call answered first
    CANCELLED = "cancelled"  # nobody waits for it any more


class Kind(StrEnum):
    """Why an attempt was made."""

    FIRST = "first"
    RETRY = "retry"  # after a failure
    HEDGE = "hedge"  # beside one that is slow


class Verdict(StrEnum):
    """What an ended attempt or call says about the service called.

    The third word keeps statistics honest: a client that went away is no evidence.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


VERDICTS: dict[Outcome, Verdict] = {
    Outcome.OK: Verdict.SUCCESS,
    Outcome.HTTP_ERROR: Verdict.FAILURE,
    Outcome.TIMEOUT: Verdict.FAILURE,
    Outcome.CONNECT_ERROR: Verdict.FAILURE,
    Outcome.BAD_ANSWER: Verdict.FAILURE,
    Outcome.OVERTAKEN: Verdict.IGNORED,
    Outcome.CANCELLED: Verdict.IGNORED,
}


class Result(StrEnum):
    """How one logical call ended, however many attempts it took."""

    FIRST_TRY = "first_try"
    AFTER_RETRY = "after_retry"
    AFTER_HEDGE = "after_hedge"  # nothing failed, but the first attempt was too slow
    FALLBACK = "fallback"
    CANCELLED = "cancelled"

    @property
    def verdict(self) -> Verdict:
        if self is Result.FALLBACK:
            return Verdict.FAILURE
        return Verdict.IGNORED if self is Result.CANCELLED else Verdict.SUCCESS


class Source(StrEnum):
    """Where the data of an answer comes from."""

    LIVE = "live"
    STALE = "stale"  # the last answer that was real
    FALLBACK = "fallback"


class FallbackReason(StrEnum):
    """Why a call was answered without the service called."""

    NOT_RETRYABLE = "not_retryable"
    RETRIES_EXHAUSTED = "retries_exhausted"
    DEADLINE = "deadline"
    BUSY = "busy"  # the deadline of one who has too much to do
    BREAKER_OPEN = "breaker_open"
    BUDGET = "budget"


class AttemptError(Exception):
    """An attempt failed.

    Attributes:
        outcome: one of the failures of `Outcome`.
        retryable: whether the same request may bring another answer.
        retry_after: seconds the service asked to be left alone, or None.
    """

    def __init__(
        self,
        outcome: Outcome,
        detail: str,
        *,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.retryable = retryable
        self.retry_after = retry_after

    @classmethod
    def of(cls, error: Exception) -> AttemptError:
        """What an exception of any client means.

        Network trouble may be over at the next attempt. Anything unknown is a defect of the
        code that asks or reads; it would fail the same way again.
        """
        if isinstance(error, cls):
            return error
        if isinstance(error, TimeoutError):
            return cls(Outcome.TIMEOUT, str(error) or "no answer in time")
        if isinstance(error, OSError):
            return cls(Outcome.CONNECT_ERROR, str(error) or type(error).__name__)
        return cls(Outcome.BAD_ANSWER, f"{type(error).__name__}: {error}", retryable=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One ended attempt; seconds on the caller's clock, `detail` empty unless it failed."""

    outcome: Outcome
    started: float
    seconds: float
    detail: str = ""
    kind: Kind = Kind.FIRST


@dataclass(slots=True)
class Trace:
    """What happened in one call, filled in while it runs, so that a cancelled one has it too."""

    attempts: list[Attempt] = field(default_factory=list)
    retried: list[Outcome] = field(default_factory=list)  # failures that led to another attempt
    hedges: int = 0  # attempts started beside a slow one
    result: Result = Result.CANCELLED
    reason: FallbackReason | None = None  # of a fallback
    probe: bool = False  # asked for all while the breaker was half open
    age: float | None = None  # seconds, of a stale value
    seconds: float = 0.0

    @property
    def source(self) -> Source:
        if self.result is not Result.FALLBACK:
            return Source.LIVE
        return Source.FALLBACK if self.age is None else Source.STALE
