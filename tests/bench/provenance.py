"""Where figures come from, in words. Pure."""

from __future__ import annotations

from .results import Result

_QUIET = 0.05  # share of the CPUs that may go to others


def machine(result: Result) -> str:
    """`2 × AMD EPYC, 24 GiB, Linux 6.18 x86_64, Python 3.11.2`."""
    facts = result.run["machine"]
    return (
        f"{facts['cpus']} × {facts['cpu']}, {facts['memory_gib']} GiB,"
        f" {facts['system']}, Python {facts['python']}"
    )


def of_one(result: Result) -> str:
    """When, what, with which versions, on which machine."""
    run = result.run
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    commit = f" at commit {run['commit']}" if run["commit"] else ""
    quick = "; a quick run: these are no figures" if run["effort"] == "quick" else ""
    return (
        f"Measured {run['made'][:10]}{commit} in {run['seconds']:.0f} s{quick}."
        f" {machine(result)}. Versions: {versions}."
        f" Other programs used {run['used_by_others']:.0%} of the CPUs meanwhile."
    )


def warning(result: Result) -> str | None:
    """When the machine was not ours alone."""
    share = result.run["used_by_others"]
    if share <= _QUIET:
        return None
    return (
        f"Other programs used {share:.0%} of the CPUs meanwhile. Ratios and figures per core stand"
        " that better than times and rates do; for figures to quote, run it on a quiet machine."
    )


def of_all(results: list[Result]) -> str:
    """The machines and days, each named once."""
    machines = list(dict.fromkeys(map(machine, results)))
    days = sorted({result.run["made"][:10] for result in results})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "never"
    return f"{'; '.join(machines)}. Measured {when}."
