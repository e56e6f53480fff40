"""What other people's tools print, read. Pure. Raises ValueError for anything else."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WrkRun:
    """The line that `wrk.lua` makes wrk print at the end."""

    requests: int
    microseconds: int
    bytes: int
    connect: int  # errors: connecting, reading, writing, status above 399, no answer in time
    read: int
    write: int
    status: int
    timeout: int
    marked: int

    @property
    def per_second(self) -> float:
        return self.requests / (self.microseconds / 1e6)

    def problem(self, least_bytes: int = 0) -> str | None:
        """Why this run says nothing, or None.

        Args:
            least_bytes: size of the body that each answer must have.
        """
        kinds = {
            "not connected": self.connect,
            "reading failed": self.read,
            "writing failed": self.write,
            "status above 399": self.status,
            "no answer in time": self.timeout,
        }
        told = ", ".join(f"{count} × {kind}" for kind, count in kinds.items() if count)
        if told:
            return f"{told} (of {self.requests} answers)"
        if not self.requests:
            return "not one answer"
        if self.bytes < self.requests * least_bytes:
            return f"answers of {self.bytes // self.requests} bytes, not {least_bytes}"
        return None


def wrk_run(output: str) -> WrkRun:
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                return WrkRun(**json.loads(line))
            except (TypeError, ValueError) as error:
                raise ValueError(f"wrk printed {line!r}") from error
    raise ValueError(f"wrk printed no summary: {output.strip()[-300:]!r}")


def redis_benchmark(lines: Iterable[str]) -> dict[str, float]:
    """Requests per second of each test, by its name in lower case ("set", "get"), of `--csv`."""
    found = {}
    for row in csv.reader(lines):
        try:
            found[row[0].partition(" ")[0].lower()] = float(row[1])
        except (IndexError, ValueError):
            continue  # the heading, and warnings
    if not found:
        raise ValueError("redis-benchmark printed no result")
    return found


def version(output: str) -> str:
    """The first thing that looks like a version: 1.22.1, 7.0.15, 2.6.12-1+deb12u4."""
    found = re.search(r"(?<![\d.])v?(\d+\.\d+(?:\.\d+)*(?:-[\w.+~]+)?)", output)
    if found is None:
        raise ValueError(f"no version in {output.strip()[:200]!r}")
    return found[1]
