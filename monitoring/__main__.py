"""`python -m monitoring …`: start, stop and look at the whole stack. `make` calls it."""

from __future__ import annotations

import sys


def main() -> int:
    """The exit code. What the user can mend is told in lines that begin with `error: `."""
    came: list[int] = []

    def remember(number: int, _frame: object) -> None:
        came.append(number)

    # Whoever presses Ctrl-C this early gets a line too, and no traceback. Not by an exception
    # where much is imported: one that is raised in a callback of the import lock is lost.
    try:
        import signal

        signal.signal(signal.SIGINT, remember)
    except KeyboardInterrupt:
        print("Interrupted before anything was done.", file=sys.stderr)
        return 130
    import click

    from .stack.commands import monitoring
    from .stack.project import StackError
    from .stack.supervision import SupervisorError
    from .topology import SettingError
    from .verification.command import verify_grafana

    monitoring.add_command(verify_grafana)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        print("Interrupted before anything was done.", file=sys.stderr)
        return 130
    try:
        monitoring(prog_name="python -m monitoring")
    except (StackError, SettingError, SupervisorError) as error:
        for line in str(error).splitlines():
            prefix = "" if line.startswith(" ") else "error: "
            click.echo(f"{prefix}{line}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
