"""The `Server-Timing` field (W3C): what a call of the external service took, and its attempts."""

from __future__ import annotations

from .resilience import Trace


def server_timing(trace: Trace) -> str:
    """`upstream;dur=41.2;desc="2 attempts, 1 retries, 0 hedges", a1;dur=2.1;desc="first ok"`

    Milliseconds. Attempts stand in the order in which they ended.
    """
    retries = len(trace.retried)
    desc = f"{len(trace.attempts)} attempts, {retries} retries, {trace.hedges} hedges"
    entries = [f'upstream;dur={trace.seconds * 1000:.1f};desc="{desc}"']
    entries += [
        f'a{number};dur={one.seconds * 1000:.1f};desc="{one.kind} {one.outcome}"'
        for number, one in enumerate(trace.attempts, 1)
    ]
    return ", ".join(entries)
