"""Metric values in memory shared by all workers of a service, one row per worker.

A worker adds to its own row with plain stores of 8 bytes, so counting needs no lock and a worker
killed at any instruction loses nothing it had counted. Rows belong to worker *slots*, not pids:
a successor goes on counting where its predecessor stopped, and nothing grows with restarts.

Layout of the file (native byte order; it never leaves the machine)::

    header    64 B   magic, version, rows, columns; at 32 the number of columns in use
    owners    rows x 16 B   pid that counts in the row now, 0 for none yet, and when it started
    names     columns x 256 B   JSON [metric, suffix, [label values]] of each column
    values    rows x columns x 8 B   float64

Columns are handed out on first use, under a file lock, and are the same for every row. A gauge
that a worker does not report is NaN in its row.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from bisect import bisect_left
from contextlib import AbstractContextManager, nullcontext
from math import isnan, nan
from pathlib import Path

import psutil

from .catalogue import BY_NAME, Metric
from .shared_file import locked, open_shared

_HEADER = struct.Struct("=8sIII")
_HEADER_BYTES = 64
_USED_AT = 32
_NAME_BYTES = 256
_MAGIC = b"metrics\x00"
_VERSION = 2

Column = tuple[str, str, tuple[str, ...]]  # metric name, suffix ("", "_sum" or a bound), labels


class PageFullError(RuntimeError):
    """More series were asked for than the page has columns; some label is not bounded."""


class MetricsPage:
    """The shared page of one service.

    `path` None keeps it in anonymous memory (one process, tests); otherwise the file is created
    or, if it is of the same layout, continued, so that totals survive a restart of the service.
    A file of another layout is replaced, unless `replace` is false: for who only reads.

    Raises OSError when the file cannot be written, and ForeignFileError for one that is not
    there, or of another layout, when it may not be replaced.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        rows: int = 64,
        columns: int = 1024,
        replace: bool = True,
    ) -> None:
        self.rows = rows
        self.columns = columns
        self._columns: dict[Column, int] = {}
        self._names_at = _HEADER_BYTES + rows * 16
        values_at = self._names_at + columns * _NAME_BYTES
        header = _HEADER.pack(_MAGIC, _VERSION, rows, columns)
        size = values_at + rows * columns * 8
        self._fd = -1 if path is None else open_shared(path, header, size, replace=replace)
        self._map = mmap.mmap(self._fd, size)
        memory = memoryview(self._map)
        # 8 aligned bytes each, written by a single store: no process ever sees a half of one.
        self._used = memory[_USED_AT : _USED_AT + 8].cast("q")
        self._owners = memory[_HEADER_BYTES : self._names_at].cast("q")[::2]
        self._started = memory[_HEADER_BYTES : self._names_at].cast("d")[1::2]
        self._values = memory[values_at:].cast("d")

    def recorder(self, row: int) -> Recorder:
        """The row's metrics for the calling process: counters go on, gauges are unreported.

        A row that another living process still counts in (a worker that outlived its parent) is
        left to it, and the last free row is taken instead: a cell has one writer.

        Raises IndexError for a row the page does not have.
        """
        if not 0 <= row < self.rows:
            raise IndexError(f"metrics row {row} is outside 0..{self.rows - 1}")
        row = self._free_row(row)
        cells = self._values[row * self.columns : (row + 1) * self.columns]
        for (name, _suffix, _labels), column in self.series().items():
            metric = BY_NAME.get(name)
            if metric is not None and metric.kind == "gauge":
                cells[column] = nan
        pid = os.getpid()
        self._started[row] = _start_of(pid)
        self._owners[row] = pid
        return Recorder(self, cells)

    def _free_row(self, wanted: int) -> int:
        taken = {row for row in self.live_rows() if self._owners[row] != os.getpid()}
        if wanted not in taken:
            return wanted
        return next((row for row in reversed(range(self.rows)) if row not in taken), wanted)

    def live_rows(self) -> set[int]:
        """The rows whose process is alive: only their gauges are still facts."""
        owners = zip(self._owners, self._started, strict=True)
        return {
            row for row, (pid, started) in enumerate(owners) if pid and started == _start_of(pid)
        }

    def series(self) -> dict[Column, int]:
        """Every column in use, by what it counts, in the order of first use."""
        for column in range(len(self._columns), self._used[0]):
            start = self._names_at + column * _NAME_BYTES
            raw = self._map[start : start + _NAME_BYTES].rstrip(b"\x00")
            name, suffix, labels = json.loads(raw)
            self._columns[(name, suffix, tuple(labels))] = column
        return self._columns

    def values(self, column: int) -> list[float]:
        """The column's value in every row."""
        return [self._values[row * self.columns + column] for row in range(self.rows)]

    def column(self, key: Column) -> int:
        """The column of a series, handed out now if it is new. Raises PageFullError."""
        found = self.series().get(key)
        if found is not None:
            return found
        raw = json.dumps([key[0], key[1], key[2]], separators=(",", ":")).encode()
        if len(raw) > _NAME_BYTES:
            raise PageFullError(f"series name is longer than {_NAME_BYTES} bytes: {raw!r}")
        with self._locked():
            found = self.series().get(key)  # another worker may have been faster
            if found is not None:
                return found
            column = self._used[0]
            if column == self.columns:
                raise PageFullError(f"no column left for {key[0]}{list(key[2])}")
            start = self._names_at + column * _NAME_BYTES
            self._map[start : start + _NAME_BYTES] = raw.ljust(_NAME_BYTES, b"\x00")
            if BY_NAME[key[0]].kind == "gauge":
                for row in range(self.rows):
                    self._values[row * self.columns + column] = nan
            self._used[0] = column + 1
        self._columns[key] = column
        return column

    def _locked(self) -> AbstractContextManager[None]:
        return nullcontext() if self._fd < 0 else locked(self._fd)


def _start_of(pid: int) -> float:
    """When the process started, 0 if there is none: with the pid, it names one process for ever.

    A pid alone does not, it is given away again. Seconds since boot on Linux, where wall-clock
    times shift when the clock is set.
    """
    boot = psutil.boot_time() if psutil.LINUX else 0.0
    try:
        return round(psutil.Process(pid).create_time() - boot, 2)
    except psutil.Error:
        return 0.0


class Counter:
    """One series that only grows, or a gauge: one cell of one worker's row."""

    __slots__ = ("_cells", "_column")

    def __init__(self, cells: memoryview[float], column: int) -> None:
        self._cells = cells
        self._column = column

    def inc(self, amount: float = 1.0) -> None:
        self._cells[self._column] += amount

    @property
    def value(self) -> float:
        return self._cells[self._column]


class Gauge(Counter):
    __slots__ = ()

    def dec(self, amount: float = 1.0) -> None:
        self._cells[self._column] -= amount

    def set(self, value: float) -> None:
        self._cells[self._column] = value


class Histogram:
    """Counts per bucket, not cumulative until they are exposed, and the sum."""

    __slots__ = ("_bounds", "_buckets", "_cells", "_sum")

    def __init__(
        self,
        cells: memoryview[float],
        bounds: tuple[float, ...],
        buckets: tuple[int, ...],
        total: int,
    ) -> None:
        self._cells = cells
        self._bounds = bounds
        self._buckets = buckets
        self._sum = total

    def observe(self, value: float) -> None:
        cells = self._cells
        cells[self._buckets[bisect_left(self._bounds, value)]] += 1.0
        cells[self._sum] += value


class Recorder:
    """Hands out the cells of one row. Keep what it returns: looking up costs, counting does not.

    Every method raises KeyError for a name that is not in the catalogue, TypeError for the wrong
    kind or labels, and PageFullError when the page has no column left.
    """

    def __init__(self, page: MetricsPage, cells: memoryview[float]) -> None:
        self._page = page
        self._cells = cells

    def counter(self, name: str, **labels: str) -> Counter:
        metric, values = _checked(name, ("counter", "unknown"), labels)
        return Counter(self._cells, self._page.column((metric.name, "", values)))

    def gauge(self, name: str, **labels: str) -> Gauge:
        metric, values = _checked(name, ("gauge",), labels)
        column = self._page.column((metric.name, "", values))
        if isnan(self._cells[column]):
            self._cells[column] = 0.0
        return Gauge(self._cells, column)

    def histogram(self, name: str, **labels: str) -> Histogram:
        metric, values = _checked(name, ("histogram",), labels)
        bounds = (*(repr(bound) for bound in metric.buckets), "+Inf")
        columns = tuple(self._page.column((name, bound, values)) for bound in bounds)
        total = self._page.column((name, "_sum", values))
        return Histogram(self._cells, metric.buckets, columns, total)


def _checked(
    name: str, kinds: tuple[str, ...], labels: dict[str, str]
) -> tuple[Metric, tuple[str, ...]]:
    metric = BY_NAME.get(name)
    if metric is None:
        raise KeyError(f"{name} is not in monitoring/catalogue.py")
    if metric.kind not in kinds:
        raise TypeError(f"{name} is a {metric.kind}, not a {kinds[0]}")
    if set(labels) != set(metric.labels):
        raise TypeError(f"{name} has the labels {metric.labels}, got {tuple(labels)}")
    return metric, tuple(labels[label] for label in metric.labels)
