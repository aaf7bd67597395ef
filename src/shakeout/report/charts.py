"""Which series of a part are told on its page: a table for each job, and the curves below it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shakeout.errors import JournalError
from shakeout.journal.series import SeriesView, Statistics
from shakeout.report.chart import Chart, chart
from shakeout.report.outcome import PartOutcome
from shakeout.report.series import SeriesOutcome, figures, idle_columns, samples_in_words, scale
from shakeout.report.text import one_line
from shakeout.units import number

#: Charts, and rows of tables, on a page; a chart takes at most some 10 kB.
MAX_CHARTS = 60


class ChartView(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a series, drawn."""

    title: str
    #: At the upper and the lower edge, with the unit.
    high: str
    low: str
    chart: Chart


class ColumnRow(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a series, in figures."""

    title: str
    unit: str
    samples: int
    #: Mean, least, greatest and percentiles; () where all values are the same.
    figures: tuple[str, ...]
    #: That one value, with its unit.
    always: str


class SeriesTable(msgspec.Struct, frozen=True, kw_only=True):
    """What one job measured over time."""

    #: Whose it is: "m1 job 3 CpuMonitor()"; "" for the recipe itself.
    owner: str
    rows: tuple[ColumnRow, ...]
    #: Columns that were always 0, in words, a line for each series.
    idle: tuple[str, ...]
    charts: tuple[ChartView, ...]

    @property
    def size(self) -> int:
        """Rows that it takes."""
        return len(self.rows) + len(self.idle)


def series_tables(part: PartOutcome, room: int) -> tuple[tuple[SeriesTable, ...], int]:
    """Tables of *part* with *room* rows at most, curves on its time line's axis; and how many columns are left out."""
    begin = min([part.began_ns, *(job.began_ns for job in part.jobs)]) / 1e9
    end = max([part.ended_ns, *(job.ended_ns or job.began_ns for job in part.jobs)]) / 1e9
    tables: list[SeriesTable] = []
    missing = 0
    for owner, many in _owners(part):
        rows: list[ColumnRow] = []
        idle: list[str] = []
        drawn: list[ChartView] = []
        for series, columns in ((one, idle_columns(one)) for one in many):
            for column, found, view in _told(series, columns):
                if len(rows) + len(idle) >= room:
                    missing += 1
                    continue
                rows.append(_row(series, column, found))
                curve = _curve(series, column, found, view, begin, end)
                drawn += [curve] if curve is not None else []
            if columns and len(rows) + len(idle) < room:
                idle.append(_idle(series, columns))
            elif columns:
                missing += len(columns)
        if rows or idle:
            tables.append(SeriesTable(owner=owner, rows=tuple(rows), idle=tuple(idle), charts=tuple(drawn)))
            room -= tables[-1].size
    return tuple(tables), missing


def _owners(part: PartOutcome) -> Iterator[tuple[str, tuple[SeriesOutcome, ...]]]:
    if part.series:
        yield "", part.series
    for job in part.jobs:
        if job.series:
            yield one_line(f"{job.host} job {job.job} {job.title}"), job.series


def _told(series: SeriesOutcome, idle: tuple[str, ...]) -> Iterator[tuple[str, Statistics, SeriesView]]:
    """The columns that have samples, without those that are *idle*."""
    view = series.view()
    for column in series.started.columns:
        found = series.statistics.get(column)
        if view is not None and found is not None and found.count and column not in idle:
            yield column, found, view


def _idle(series: SeriesOutcome, columns: tuple[str, ...]) -> str:
    names = ", ".join(one_line(column) for column in columns)
    return f"{one_line(series.name)} always 0: {names} ({samples_in_words(series.count, series.duration_s)})"


def _title(series: SeriesOutcome, column: str) -> str:
    return one_line(series.name if len(series.started.columns) == 1 else f"{series.name} {column}")


def _same(found: Statistics) -> bool:
    return found.count > 1 and found.minimum == found.maximum


def _row(series: SeriesOutcome, column: str, found: Statistics) -> ColumnRow:
    factor, unit = scale(found, series.started.columns[column])
    always = f"always {number((found.minimum or 0.0) * factor)} {unit}".rstrip() if _same(found) else ""
    shown = () if always else tuple(figures(found, factor).values())
    return ColumnRow(title=_title(series, column), unit=unit, samples=found.count, figures=shown, always=always)


def _curve(
    series: SeriesOutcome, column: str, found: Statistics, view: SeriesView, begin: float, end: float
) -> ChartView | None:
    """None where all values are the same: the figures say it all."""
    if _same(found):
        return None
    factor, unit = scale(found, series.started.columns[column])
    try:
        drawn = chart(view.points(column), begin, end, found.minimum or 0.0, found.maximum or 0.0)
    except JournalError:
        return None  # it went away while the page was made
    high, low = (f"{number(edge * factor)} {unit}".strip() for edge in (drawn.high, drawn.low))
    return ChartView(title=_title(series, column), high=high, low=low, chart=drawn)
