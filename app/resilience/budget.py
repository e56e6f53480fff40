"""How much may be asked beyond one attempt per call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """Over the last `window` seconds: `extras < ratio * calls + per_second * window`.

    Extras are retries and hedges. Source: the retry budget of Finagle (`RetryBudget`:
    percentCanRetry and minRetriesPerSec over a window), there 20 % + 10/s. That would not do
    here: an answer needs 1/0.49 = 2.04 attempts at the stock rates, 104 % extras, so 150 % leaves
    room for luck and still bounds an outage to 2.5 times the load.
    """

    ratio: float = 1.5
    per_second: float = 10.0
    window: float = 10.0
    enabled: bool = True

    def allows(self, calls: float, extras: float) -> bool:
        """Whether one more extra attempt may be made, given what was made in the window."""
        allowance = self.ratio * calls + self.per_second * self.window
        return not self.enabled or extras < allowance
