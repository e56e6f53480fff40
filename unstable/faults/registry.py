"""Faults by group, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Mapping

from ..settings import SEED, Knob, Schema
from .fault import Fault
from .noop import Noop


class Registry:
    """The faults a service can inject.

    Args:
        failing: those that spoil the answer. Order matters only to a seed: earlier faults own
            the lower draws, so append.
        slowing: those that give the good answer slowly.

    Attributes:
        by_kind: every fault, the noop too.
        schema: their knobs and the seed.
    """

    def __init__(self, failing: tuple[Fault, ...], slowing: tuple[Fault, ...]) -> None:
        self.by_kind: Mapping[str, Fault] = {
            fault.kind: fault for fault in (Noop(), *failing, *slowing)
        }
        knobs = [
            *(_rate(fault, "of all requests") for fault in failing),
            *(_rate(fault, "of the rest") for fault in slowing),
            *(knob for fault in (*failing, *slowing) for knob in fault.knobs),
            SEED,
        ]
        self.schema = Schema(
            knobs={knob.name: knob for knob in knobs},
            failing={fault.kind: f"{fault.kind}_rate" for fault in failing},
            slowing={fault.kind: f"{fault.kind}_rate" for fault in slowing},
        )


def _rate(fault: Fault, share: str) -> Knob:
    return Knob(f"{fault.kind}_rate", fault.default_rate, 0.0, 1.0, f"Share {share}: {fault.help}")
