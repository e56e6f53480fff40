"""Runs measurements one after the other and keeps what each brings. Composition."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from . import machine
from .bench import Bench, Measurement
from .cores import Cores, plan
from .effort import Effort
from .processes import ProgramError, allowed_cpus
from .programs import MissingProgramError
from .results import Result

_PACKAGES = ("aiohttp", "hiredis", "httptools", "redis", "uvloop")


def run_all(
    measurements: list[Measurement], effort: Effort, say: Callable[[str, str], None]
) -> Generator[Result, None, None]:
    """Each result as soon as it is there, so that a run that is stopped keeps what it has.

    Args:
        say: told the name of the measurement and what it does now.
    """
    cores = plan(allowed_cpus(), machine.siblings())
    # Every file of a run is in here; also the copy of the project in which the stack runs.
    folder = Path(tempfile.mkdtemp(prefix="keeps-answering-bench-"))
    folder.chmod(0o755)  # NGINX started by root works as another user
    try:
        for one in measurements:
            place = folder / one.name
            place.mkdir()
            yield run_one(one, effort, cores, place, partial(say, one.name))
            shutil.rmtree(place, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_one(
    measurement: Measurement,
    effort: Effort,
    cores: Cores,
    folder: Path,
    say: Callable[[str], None] = lambda text: None,
) -> Result:
    """What it brought; a program that is missing or fails is in the result, not raised."""
    result = measurement.empty_result()
    bench = Bench(result, effort, cores, folder, say)
    others, began = machine.OtherLoad(), time.monotonic()
    try:
        with bench.for_a_while():
            measurement.run(bench)
    except MissingProgramError as error:
        result.absent[measurement.name] = str(error)
    except ProgramError as error:
        result.failed[measurement.name] = str(error)
    except OSError as error:  # a program that died while it was asked something
        result.failed[measurement.name] = f"{type(error).__name__}: {error}"
    result.run = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "effort": effort.name,
        "commit": machine.commit(),
        "machine": machine.facts(),
        "versions": {**bench.versions, **machine.packages(_PACKAGES)},
        "used_by_others": round(others.share(), 3),
    }
    return result
