"""A series of samples as one asks it: its moments on the run's axis, its values, and what they amount to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import fsum
from pathlib import Path
from typing import Protocol

import msgspec

from shakeout.errors import JournalError, UnknownName
from shakeout.journal.samples import SamplesReader

#: Percentiles of more values are those of so many, chosen at random.
EXACT = 1 << 20


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the values of one column amount to, in the column's unit; all but *count* are None if there are none.

    Percentiles are interpolated linearly between the two nearest values; of more than `EXACT` values they are
    estimated from as many, drawn evenly over time.
    """

    count: int
    mean: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Source(Protocol):
    """Where a view gets its samples from: a new reader for each question, as the file grows."""

    def __call__(self) -> SamplesReader: ...


class SeriesView:
    """One series, while it is being measured and afterwards: each question is answered from what is there then.

    Examples:
        >>> cpu = job.series["cpu"]
        >>> cpu.mean("user"), max(cpu.values("system")), cpu.times[-1]

    Attributes:
        name: of the series.
        columns: name -> unit.
        host: who measured, in the recipe's words; "" for the controller.
        job: the number of the job on that host.
        file: the file of samples, relative to the run's folder; "" if the run has no folder.

    Args:
        source: gives a reader.
        offset: gives what the clock of the host is ahead of the run's axis, in nanoseconds.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, str],
        source: Source,
        offset: Callable[[], int],
        *,
        host: str = "",
        job: int = 0,
        file: str = "",
    ) -> None:
        self.name = name
        self.columns = dict(columns)
        self.host = host
        self.job = job
        self.file = file
        self._source = source
        self._offset = offset

    def settle(self, offset_ns: int) -> None:
        """From now on the host's clock counts as *offset_ns* ahead of the run's axis, whatever is measured later."""
        self._offset = lambda: offset_ns

    def __len__(self) -> int:
        """How many samples there are by now."""
        return len(self._source())

    def __repr__(self) -> str:
        columns = ", ".join(f"{name} [{unit}]" for name, unit in self.columns.items())
        return f"<Series {self.name}: {columns}>"

    @property
    def times(self) -> list[float]:
        """When the samples were taken, in seconds since the run began."""
        return [moment for block in self._moments() for moment in block]

    def span(self) -> tuple[float, float]:
        """The first and the last moment, in seconds since the run began; two times 0 if there are no samples."""
        reader = self._source()
        ends = reader.ends()
        if ends is None:
            return 0.0, 0.0
        offset = self._clock(reader)
        first, last = ((record[0] - offset) / 1e9 for record in ends)
        return first, last

    def values(self, column: str = "") -> list[float]:
        """The values of *column* (of the only one, if there is one), in the order in which they came.

        Raises:
            UnknownName: there is no such column, or there are several and none was named.
        """
        return [value for block in self.blocks(column) for value in block]

    def blocks(self, column: str = "") -> Iterator[list[float]]:
        """The same in pieces, for series that are larger than memory."""
        return self._source().column(self.column(column))

    def points(self, column: str = "") -> Iterator[tuple[list[float], list[float]]]:
        """Moments (seconds since the run began) and values, as many of each, in pieces."""
        for moments, values in zip(self._moments(), self.blocks(column), strict=False):
            both = min(len(moments), len(values))  # the file may have grown in between
            yield moments[:both], values[:both]

    def mean(self, column: str = "") -> float:
        """The mean of *column*, in its unit.

        Raises:
            JournalError: there are no samples yet.
        """
        return self._some(column, "mean")

    def minimum(self, column: str = "") -> float:
        """The least value of *column*."""
        return self._some(column, "minimum")

    def maximum(self, column: str = "") -> float:
        """The greatest value of *column*."""
        return self._some(column, "maximum")

    def percentile(self, percent: float, column: str = "") -> float:
        """The value below which *percent* per cent of those of *column* are, linearly interpolated."""
        ordered = sorted(self.values(column))
        if not ordered:
            raise JournalError(f"the series {self.name} has no samples yet")
        return quantile(ordered, percent / 100)

    def statistics(self, column: str = "") -> Statistics:
        """What the values of *column* amount to."""
        return statistics(self.blocks(column), len(self))

    def column(self, name: str = "") -> str:
        """*name* if it is a column; without one, the only column.

        Raises:
            UnknownName: it is none, or there are several.
        """
        if not name and len(self.columns) == 1:
            return next(iter(self.columns))
        if name not in self.columns:
            raise UnknownName(f"column of the series {self.name}", name, self.columns)
        return name

    def _moments(self) -> Iterator[list[float]]:
        reader = self._source()
        offset = self._clock(reader)
        for block in reader.column(reader.header.columns[0].name):
            yield [(moment - offset) / 1e9 for moment in block]

    def _clock(self, reader: SamplesReader) -> int:
        """What the clock of the file is ahead of the run's axis."""
        return self._offset() if reader.header.columns[0].name == "host_ns" else 0

    def _some(self, column: str, what: str) -> float:
        found: float | None = getattr(self.statistics(column), what)
        if found is None:
            raise JournalError(f"the series {self.name} has no samples yet, so there is no {what} of it")
        return found


def statistics(blocks: Iterator[list[float]], expected: int = 0) -> Statistics:
    """What values that come in *blocks* amount to, in bounded memory.

    Args:
        expected: how many there are, about: of more than `EXACT`, one of each so many goes into the percentiles.
    """
    stride = max(1, -(-expected // EXACT))
    draw = _draw(stride)
    count, mean, least, greatest = 0, 0.0, float("inf"), float("-inf")
    chosen: list[float] = []
    for block in blocks:
        if not block:
            continue
        count += len(block)
        mean += (_mean(block) - mean) * (len(block) / count)
        lowest, highest = min(block), max(block)
        least, greatest = min(least, lowest), max(greatest, highest)
        if stride == 1:
            chosen += block
        else:
            chosen += [block[min(i + draw(), len(block) - 1)] for i in range(0, len(block), stride)]
    if not count:
        return Statistics(count=0)
    chosen.sort()
    return Statistics(
        count=count,
        mean=min(max(mean, least), greatest),
        minimum=least,
        maximum=greatest,
        p50=quantile(chosen, 0.5),
        p95=quantile(chosen, 0.95),
        p99=quantile(chosen, 0.99),
    )


def _mean(block: list[float]) -> float:
    try:
        return fsum(block) / len(block)
    except OverflowError:
        return fsum(value / len(block) for value in block)


def _draw(stride: int) -> Callable[[], int]:
    """Gives which of *stride* values in a row counts; the same ones each time."""
    if stride == 1:
        return lambda: 0
    from random import Random

    return partial(Random(stride).randrange, stride)


def quantile(ordered: list[float], fraction: float) -> float:
    """The value at *fraction* (0 to 1) of *ordered*, which is sorted and not empty; linear between neighbours."""
    place = min(max(fraction, 0.0), 1.0) * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def view_of(
    path: Path, name: str, columns: Mapping[str, str], offset_ns: int = 0, *, host: str = "", job: int = 0
) -> SeriesView:
    """A view of a file of samples."""
    return SeriesView(name, columns, lambda: SamplesReader(path), lambda: offset_ns, host=host, job=job, file=path.name)
