"""While the stack starts: what is news, who is to blame, who is still waited for.

Pure; times are seconds since the start.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .state import ProgramState, StackState

DEATHS = 2  # one early death may be bad luck; the second shows a pattern


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds. Grafana's first start migrates its database."""

    required: float = 60.0
    optional: float = 120.0


@dataclass
class Waiting:
    """What has been seen so far."""

    limits: Limits
    told: set[str] = field(default_factory=set)
    deaths: dict[str, set[int]] = field(default_factory=dict)

    def news(self, state: StackState) -> list[ProgramState]:
        """Programs to report now, each once: ready, not installed, or optional and hopeless."""
        self._count_deaths(state)
        fresh = [
            program
            for program in state.programs
            if program.name not in self.told
            and (
                program.condition in ("ready", "absent")
                or (program.optional and self._hopeless(program))
            )
        ]
        self.told.update(program.name for program in fresh)
        return fresh

    def culprit(self, state: StackState, elapsed: float) -> ProgramState | None:
        """The required program because of which the start has failed."""
        required = [program for program in state.programs if not program.optional]
        for program in required:
            if self._hopeless(program):
                return program
        if elapsed > self.limits.required:
            return next((program for program in required if _lacking(program)), None)
        return None

    def pending(self, state: StackState, elapsed: float) -> list[ProgramState]:
        """Programs still waited for; ready but not yet RUNNING counts, `supervisorctl status`
        comes next."""
        return [
            program
            for program in state.programs
            if (_lacking(program) or program.state == "STARTING")
            and not (
                program.optional and (self._hopeless(program) or elapsed > self.limits.optional)
            )
        ]

    def _count_deaths(self, state: StackState) -> None:
        for program in state.programs:
            if program.condition == "failing":
                self.deaths.setdefault(program.name, set()).add(program.died)

    def _hopeless(self, program: ProgramState) -> bool:
        return program.state == "FATAL" or len(self.deaths.get(program.name, ())) >= DEATHS


def _lacking(program: ProgramState) -> bool:
    return not program.well and program.condition != "stopped"
