"""How many requests are worked on at once before more of them make everyone late."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """Additive increase, multiplicative decrease, fed with the seconds of *own* work.

    A request that took longer than `slow` shrinks the limit to `backoff` of it, at most once in
    `settle` seconds, because those in flight were admitted by the old one; any other adds
    `1/limit` while the limit is in use. Source: `AIMDLimit` of Netflix concurrency-limits, after
    D.-M. Chiu and R. Jain (Computer Networks 17, 1989), who show that this converges to a fair
    share where other combinations do not. Waiting for somebody else is not own work: a slow
    upstream is the breaker's business, and shedding for it would turn fallbacks into errors.
    `most` 0 switches it off.
    """

    slow: float = 1.0
    backoff: float = 0.9
    least: int = 64
    most: int = 1024
    settle: float = 0.1


@dataclass(slots=True)
class Limit:
    """The limit of one worker. `now` is monotonic, in seconds."""

    policy: LimitPolicy = field(default_factory=LimitPolicy)
    working: int = 0
    limit: float = 0.0
    _shrunk: float = float("-inf")

    def __post_init__(self) -> None:
        self.limit = float(max(self.policy.least, self.policy.most // 4))

    def try_begin(self) -> bool:
        """Whether a request may be worked on; if so, `end` it."""
        if self.policy.most and self.working >= self.limit:
            return False
        self.working += 1
        return True

    def pause(self) -> None:
        """A request admitted waits for somebody else; `resume` when it goes on."""
        self.working -= 1

    def resume(self) -> None:
        self.working += 1

    def end(self, seconds: float | None, now: float) -> None:
        """`seconds` of own work; None when it says nothing, because nobody waited for it."""
        used = self.working
        self.working -= 1
        policy = self.policy
        if seconds is None:
            return
        if seconds > policy.slow:
            if now - self._shrunk >= policy.settle:
                self._shrunk = now
                self.limit = max(float(policy.least), self.limit * policy.backoff)
        elif 2 * used >= self.limit:
            self.limit = min(float(max(policy.most, policy.least)), self.limit + 1 / self.limit)
