"""The settings of the policies, each an option and an environment variable with its range."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from monitoring.option_types import Number

from .arguments import Function, option
from .resilience import (
    ATTEMPT_FLOOR,
    BreakerPolicy,
    BrownoutPolicy,
    BudgetPolicy,
    CallPolicy,
    HedgePolicy,
    LimitPolicy,
    RetryPolicy,
)

_ON_OFF = click.Choice(["on", "off"])
_CALL, _HEDGE, _BREAKER = CallPolicy(), HedgePolicy(), BreakerPolicy()
_BUDGET, _LIMIT = BudgetPolicy(), LimitPolicy()
_DEADLINE = Number(ATTEMPT_FLOOR, 60)  # below the floor, no attempt is begun
_OPEN = Number(0.05, 60)

# In the order of --help.
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    option(
        "--upstream-deadline",
        type=_DEADLINE,
        default=_CALL.deadline,
        help="Seconds after which the fallback is given, whatever was tried.",
    ),
    option(
        "--upstream-busy-deadline",
        type=Number(0, 60),
        default=BrownoutPolicy().deadline,
        help="The same while this process has too much to do, at least 10 x p95 of successes."
        " 0 = no difference.",
    ),
    option(
        "--upstream-attempt-timeout",
        type=Number(0, 60),
        default=_CALL.attempt_timeout,
        help="Seconds one attempt may take, 0 = as long as the call; hedges do not wait for it.",
    ),
    option(
        "--upstream-retries",
        type=Number(0, 10, whole=True),
        default=RetryPolicy().retries,
        help="Attempts after failures.",
    ),
    option(
        "--upstream-hedges",
        type=Number(0, 10, whole=True),
        default=_HEDGE.hedges,
        help="Attempts beside slow ones.",
    ),
    option(
        "--upstream-hedge-min",
        type=Number(0.001, 60),
        default=_HEDGE.floor,
        help="Seconds of silence before a hedge, at least; 3 x p95 of successes within bounds.",
    ),
    option(
        "--upstream-hedge-max",
        type=Number(0.001, 60),
        default=_HEDGE.cap,
        help="Seconds of silence before a hedge, at most.",
    ),
    option(
        "--upstream-budget",
        type=_ON_OFF,
        default="on",
        help="Whether retries and hedges are limited over all workers.",
    ),
    option(
        "--upstream-budget-ratio",
        type=Number(0, 10),
        default=_BUDGET.ratio,
        help="Retries and hedges per call, at most, over 10 s.",
    ),
    option(
        "--upstream-budget-floor",
        type=Number(0, 10_000),
        default=_BUDGET.per_second,
        help="Retries and hedges a second that are always allowed.",
    ),
    option(
        "--upstream-breaker",
        type=_ON_OFF,
        default="on",
        help="Whether a service that has failed is left alone.",
    ),
    option(
        "--upstream-breaker-ratio",
        type=Number(0.01, 1),
        default=_BREAKER.ratio,
        help="Share of failed calls in 10 s that opens the breaker.",
    ),
    option(
        "--upstream-breaker-calls",
        type=Number(1, 1_000_000, whole=True),
        default=_BREAKER.calls,
        help="Calls in 10 s below which the share says nothing.",
    ),
    option(
        "--upstream-breaker-streak",
        type=Number(1, 1_000_000, whole=True),
        default=_BREAKER.streak,
        help="Calls failed in a row that open the breaker.",
    ),
    option(
        "--upstream-breaker-open",
        type=_OPEN,
        default=_BREAKER.open_base,
        help="Seconds it stays open the first time, doubled each time.",
    ),
    option(
        "--upstream-breaker-open-max",
        type=_OPEN,
        default=_BREAKER.open_cap,
        help="Seconds it stays open, at most.",
    ),
    option(
        "--upstream-probe-timeout",
        type=_DEADLINE,
        default=_BREAKER.probe_timeout,
        help="Seconds for a call that tries the service out.",
    ),
    option(
        "--upstream-stale",
        type=Number(0, 86_400),
        default=_CALL.stale,
        help="Seconds for which the last real answer is given as fallback, 0 = never.",
    ),
    option(
        "--limit",
        type=Number(0, 100_000, whole=True),
        default=_LIMIT.most,
        help="Requests each worker works on at once, at most; fewer when it is slow. 0 = no limit.",
    ),
    option(
        "--limit-slow",
        type=Number(0.001, 60),
        default=_LIMIT.slow,
        help="Seconds of own work per request from which the limit shrinks.",
    ),
)


def policy_options(function: Function) -> Function:
    """All of them."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


def call_policy(options: Mapping[str, Any]) -> CallPolicy:
    """Raises click.UsageError for values that contradict each other."""
    _ordered(options, "upstream_hedge_min", "upstream_hedge_max")
    _ordered(options, "upstream_breaker_open", "upstream_breaker_open_max")
    breaker = BreakerPolicy(
        ratio=options["upstream_breaker_ratio"],
        calls=options["upstream_breaker_calls"],
        streak=options["upstream_breaker_streak"],
        open_base=options["upstream_breaker_open"],
        open_cap=options["upstream_breaker_open_max"],
        probe_timeout=options["upstream_probe_timeout"],
    )
    return CallPolicy(
        deadline=options["upstream_deadline"],
        attempt_timeout=options["upstream_attempt_timeout"],
        retry=RetryPolicy(options["upstream_retries"]),
        hedge=HedgePolicy(
            hedges=options["upstream_hedges"],
            floor=options["upstream_hedge_min"],
            cap=options["upstream_hedge_max"],
        ),
        budget=BudgetPolicy(
            ratio=options["upstream_budget_ratio"],
            per_second=options["upstream_budget_floor"],
            enabled=options["upstream_budget"] == "on",
        ),
        brownout=BrownoutPolicy(options["upstream_busy_deadline"]),
        breaker=breaker if options["upstream_breaker"] == "on" else None,
        stale=options["upstream_stale"],
    )


def limit_policy(options: Mapping[str, Any]) -> LimitPolicy:
    most = options["limit"]
    return LimitPolicy(
        slow=options["limit_slow"], most=most, least=min(_LIMIT.least, most) or _LIMIT.least
    )


def _ordered(options: Mapping[str, Any], small: str, large: str) -> None:
    if options[small] > options[large]:
        flags = [f"--{name.replace('_', '-')} (APP_{name.upper()})" for name in (small, large)]
        raise click.UsageError(
            f"{flags[0]} is {options[small]:g}, more than {flags[1]}, which is {options[large]:g}"
        )
