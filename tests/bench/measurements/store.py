"""How many commands does one core get through to the shards?"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence

from .. import tool_outputs
from ..bench import Bench, Measurement
from ..peers import redis
from ..processes import ProgramError, bound_to
from ..programs import PROJECT
from ..results import Chart, Metric
from ..store_load import CALLERS, VALUE, Tally

CASE = f"{CALLERS} callers, {len(VALUE)} B"
OURS, OURS_TWICE = "ours", "ours, two copies"
REDIS_PY, CEILING = "redis-py's pool", "redis-benchmark"
_CLIENTS = {OURS: "shards", OURS_TWICE: "shards, two copies", REDIS_PY: "redis-py"}
_COMMANDS_A_SECOND = 50_000  # of redis-benchmark, roughly: it is told a number, not a time


def run(bench: Bench) -> None:
    shards = redis.start(bench)
    bench.result.note(bench.cores.told("client", "", "two shards"))
    bench.result.note(
        f"{CEILING} (in C, one shard, SET and GET one after the other, no pipelining) shows what"
        " the server gives; it is no peer of a client library."
    )
    for number in range(1, bench.effort.rounds + 1):
        for name, client in _CLIENTS.items():
            bench.step(f"{name}, round {number} of {bench.effort.rounds}")
            _record(bench, name, _client(bench, client, shards.urls.split(",")))
        with bench.contender(CEILING):
            bench.step(f"{CEILING}, round {number} of {bench.effort.rounds}")
            _record(bench, CEILING, _redis_benchmark(bench, shards.ports[0]))


def _client(bench: Bench, client: str, urls: Sequence[str]) -> Tally:
    command = [
        sys.executable, "-m", "tests.bench.store_load", "--client", client,
        "--warmup", str(bench.effort.paced_warmup), "--seconds", str(bench.effort.seconds),
    ]  # fmt: skip
    for url in urls:
        command += ["--url", url]
    return Tally(**json.loads(_output(bench, command)))


def _redis_benchmark(bench: Bench, port: int) -> Tally:
    """SET and GET, as many of each. Raises MissingProgramError."""
    each = round(_COMMANDS_A_SECOND * bench.effort.seconds / 2)
    command = [
        bench.program("redis-benchmark"), "-p", str(port), "-c", str(CALLERS), "-t", "set,get",
        "-d", str(len(VALUE)), "-r", "1000000", "-n", str(each), "--csv",
    ]  # fmt: skip
    before = _children_seconds()
    output = _output(bench, command)
    used = _children_seconds() - before
    try:
        rates = tool_outputs.redis_benchmark(output.splitlines())
        seconds = each / rates["set"] + each / rates["get"]
    except (ValueError, KeyError, ZeroDivisionError) as error:
        raise ProgramError(f"{CEILING} printed {output[-200:]!r}") from error
    return Tally(commands=2 * each, cpu_seconds=used, seconds=seconds)


def _output(bench: Bench, command: Sequence[str]) -> str:
    """What it printed. Raises ProgramError when it failed."""
    with bound_to(bench.cores.measured):
        done = subprocess.run(
            command,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            start_new_session=True,
        )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise ProgramError(f"{command[0]} failed: {last[0]}")
    return done.stdout


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _record(bench: Bench, name: str, tally: Tally) -> None:
    if tally.failures:
        bench.result.refuse(CASE, name, f"{tally.failures} records were not read back")
        return
    bench.result.add(
        CASE,
        name,
        per_core=tally.commands / tally.cpu_seconds,
        rate=tally.commands / tally.seconds,
        busy=tally.cpu_seconds / tally.seconds,
        cost=tally.cpu_seconds / tally.commands,
    )


MEASUREMENT = Measurement(
    name="store",
    title="Store: commands a core gets through to the shards",
    about="SET of a new record, then GET of it, compared with what was written. Two redis-servers"
    " with append-only files, as in the stack.",
    place=60,
    baseline=REDIS_PY,
    metrics=(
        Metric("per_core", "commands/s of one core", better="more", compared=True),
        Metric("rate", "commands/s reached", better="more", compared=True),
        Metric("cost", "CPU per command", "seconds", "less"),
        Metric("busy", "cores used"),
    ),
    charts=(Chart("per_core", "values", "SET and GET per second of one client core"),),
    run=run,
)
