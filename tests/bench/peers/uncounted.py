"""Our own programs with nothing counted: the product has no switch for it, so this puts functions
that do nothing in the place of those that only count, and then runs the program as it is.

`python -m tests.bench.peers.uncounted PROGRAM OPTION...`, with `app` or `balancer` for PROGRAM.
"""

from __future__ import annotations

import asyncio
import importlib
import runpy
import sys

from workers.child import Serve, Target

NAME = "ours, nothing counted"
MODULE = "tests.bench.peers.uncounted"

# module -> class -> methods. Of a class whose only work is to count the whole method goes, so that
# looking a cell up is not done either; the cells themselves are for everybody else who counts.
_Methods = dict[str, dict[str, tuple[str, ...]]]
_COUNTING: _Methods = {
    "monitoring.page": {"Counter": ("inc",), "Gauge": ("dec", "set"), "Histogram": ("observe",)},
}
_COUNTING_OF: dict[str, _Methods] = {
    "app": {
        "app.metrics": {"HttpMetrics": ("ended",), "CallMetrics": ("observe",)},
        "shards.shard": {"_Meter": ("succeeded",)},
    },
    "balancer": {
        "balancer.counts": {
            "Counts": ("finished", "connections", "tunnels", "retry_budget", "backend", "changes"),
        },
    },
}


def _nothing(*_args: object, **_labels: object) -> None:
    pass


async def _report_nothing(*_args: object, **_options: object) -> None:
    """A worker takes a task that ends for a fault."""
    await asyncio.Event().wait()


def count_nothing(program: str) -> None:
    """In a worker that has loaded the program.

    Raises KeyError for another program, AttributeError when a method is called otherwise now.
    """
    for module, classes in (_COUNTING | _COUNTING_OF[program]).items():
        loaded = importlib.import_module(module)
        for name, methods in classes.items():
            counting = getattr(loaded, name)
            for method in methods:
                getattr(counting, method)
                setattr(counting, method, _nothing)
    worker = importlib.import_module(f"{program}.worker")
    getattr(worker, "report_process")  # noqa: B009
    setattr(worker, "report_process", _report_nothing)  # noqa: B010


def main() -> None:
    """The parts are loaded in each worker, after the fork, as they are without us."""
    program = sys.argv[1]
    del sys.argv[1]
    load = Target.load

    def load_uncounted(target: Target) -> Serve:
        serve = load(target)
        count_nothing(program)
        return serve

    setattr(Target, "load", load_uncounted)  # noqa: B010
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
