"""Series of samples in reports: what the journal says of one, with what its file amounts to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from shakeout.errors import JournalError, UsageError
from shakeout.journal.events import SeriesStarted
from shakeout.journal.samples import is_samples
from shakeout.journal.series import SeriesView, Statistics, view_of
from shakeout.report.text import one_line, seconds
from shakeout.units import number, scaled

#: Columns of one job that a summary shows.
MAX_LINES = 40


class SeriesOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One series of samples.

    Attributes:
        started: the event that began it.
        path: its file; None if the folder of the run is not known, or it has none.
        offset_ns: what the host's clock was ahead of the run's axis.
        statistics: by column.
        duration_s: seconds from the first sample to the last.
        problem: why the file cannot be read; "" if it can.
    """

    started: SeriesStarted
    path: Path | None = None
    offset_ns: int = 0
    statistics: dict[str, Statistics] = {}
    duration_s: float = 0.0
    problem: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.started.name

    @property
    def count(self) -> int:
        """How many samples it has."""
        return max((column.count for column in self.statistics.values()), default=0)

    def view(self) -> SeriesView | None:
        """Its samples; None if there is no file."""
        if self.path is None:
            return None
        event = self.started
        return view_of(self.path, event.name, event.columns, self.offset_ns, host=event.host, job=event.job)


def measured(event: SeriesStarted, folder: Path | None, offset_ns: int) -> SeriesOutcome:
    """The series that *event* began, in the run's *folder*."""
    path = folder / event.file if folder is not None and is_samples(event.file) else None
    outcome = SeriesOutcome(started=event, path=path, offset_ns=offset_ns)
    view = outcome.view()
    if view is None:
        return outcome
    try:
        found = {name: view.statistics(name) for name in event.columns}
        first, last = view.span()
    except JournalError as error:
        return msgspec.structs.replace(outcome, problem=str(error))
    return msgspec.structs.replace(outcome, statistics=found, duration_s=max(0.0, last - first))


def series_lines(many: tuple[SeriesOutcome, ...]) -> Iterator[str]:
    """A line for each column: what it amounts to, in its unit; columns of a series that are always 0 share one."""
    room = MAX_LINES
    for series in many:
        if series.problem:
            yield f"Series {one_line(series.name)} cannot be read: {one_line(series.problem, 400)}"
        for line in _column_lines(series):
            if not room:
                yield "… (more series are not shown; the JSON report has them)"
                return
            room -= 1
            yield line


def _column_lines(series: SeriesOutcome) -> Iterator[str]:
    idle = idle_columns(series)
    for column, unit in series.started.columns.items():
        found = series.statistics.get(column)
        if found is not None and column not in idle:
            yield f"{label(series.name, column)}: {in_words(found, unit, series.duration_s)}"
    if idle:
        names = ", ".join(one_line(column) for column in idle)
        yield f"Series {one_line(series.name)} always 0: {names} ({samples_in_words(series.count, series.duration_s)})"


def idle_columns(series: SeriesOutcome) -> tuple[str, ...]:
    """The columns that were 0 in several samples, all of them, if there is more than one such column."""
    idle = tuple(
        column
        for column, found in series.statistics.items()
        if found.count > 1 and found.minimum == 0 and found.maximum == 0
    )
    return idle if len(idle) > 1 else ()


def samples_in_words(count: int, duration_s: float) -> str:
    """ "12 samples in 2.18 s"."""
    over = f" in {seconds(duration_s)}" if duration_s else ""
    return f"{count} sample{'s' if count > 1 else ''}{over}"


def label(name: str, column: str) -> str:
    """What to call a column of a series on one line."""
    return f"Series {one_line(name)} {one_line(column)}"


def in_words(found: Statistics, unit: str, duration_s: float) -> str:
    """What a column amounts to: its number of samples, then its figures, all at one scale."""
    if not found.count or found.maximum is None or found.minimum is None:
        return "no samples"
    factor, shown = scale(found, unit)
    samples = samples_in_words(found.count, duration_s)
    if found.count > 1 and found.minimum == found.maximum:
        return f"{samples}, always {number(found.minimum * factor)} {shown}".rstrip()
    words = [f"{name} {text}" for name, text in figures(found, factor).items()]
    words[0] += f" {shown}" if shown else ""
    return f"{samples}, {', '.join(words)}"


def figures(found: Statistics, factor: float) -> dict[str, str]:
    """The figures of a column, each times *factor*."""
    values = {
        "mean": found.mean, "min": found.minimum, "max": found.maximum, "p50": found.p50, "p95": found.p95,
        "p99": found.p99,
    }  # fmt: skip
    return {name: number(value * factor) for name, value in values.items() if value is not None}


def scale(found: Statistics, unit: str) -> tuple[float, str]:
    """The factor and unit in which a column is easy to read; a unit that is none is shown as it is."""
    try:
        return scaled(max(abs(found.minimum or 0.0), abs(found.maximum or 0.0)), unit)
    except UsageError:
        return 1.0, one_line(unit, 30)
