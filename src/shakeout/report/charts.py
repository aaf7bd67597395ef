"""Which series of a part are drawn on its page, and what stands beside the curves."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shakeout.errors import JournalError
from shakeout.report.chart import Chart, chart
from shakeout.report.outcome import PartOutcome
from shakeout.report.series import SeriesOutcome, in_words, scale
from shakeout.report.text import one_line
from shakeout.units import number

#: Charts on a page; a chart takes at most some 10 kB.
MAX_CHARTS = 60


class ChartView(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a series, drawn."""

    #: Whose it is: "m1 job 3"; "" for the recipe itself.
    owner: str
    title: str
    figures: str
    #: At the upper and the lower edge, with the unit.
    high: str
    low: str
    #: None where all values are the same: the figures say it all.
    chart: Chart | None


def charts(part: PartOutcome, room: int) -> tuple[tuple[ChartView, ...], int]:
    """At most *room* charts of *part*, on the same axis as its time line; and how many columns are not drawn."""
    begin = min([part.began_ns, *(job.began_ns for job in part.jobs)]) / 1e9
    end = max([part.ended_ns, *(job.ended_ns or job.began_ns for job in part.jobs)]) / 1e9
    views: list[ChartView] = []
    missing = 0
    for owner, series, column in _columns(part):
        found = series.statistics.get(column)
        view = series.view()
        if found is None or not found.count or view is None:
            continue
        if len(views) >= room:
            missing += 1
            continue
        title = one_line(series.name if len(series.started.columns) == 1 else f"{series.name} {column}")
        figures = in_words(found, series.started.columns[column], series.duration_s)
        if found.count > 1 and found.minimum == found.maximum:
            views.append(ChartView(owner=owner, title=title, figures=figures, high="", low="", chart=None))
            continue
        factor, unit = scale(found, series.started.columns[column])
        try:
            drawn = chart(view.points(column), begin, end, found.minimum or 0.0, found.maximum or 0.0)
        except JournalError:
            continue  # it went away while the page was made
        views.append(
            ChartView(
                owner=owner,
                title=title,
                figures=figures,
                high=f"{number(drawn.high * factor)} {unit}".strip(),
                low=f"{number(drawn.low * factor)} {unit}".strip(),
                chart=drawn,
            )
        )
    return tuple(views), missing


def _columns(part: PartOutcome) -> Iterator[tuple[str, SeriesOutcome, str]]:
    for series in part.series:
        for column in series.started.columns:
            yield "", series, column
    for job in part.jobs:
        for series in job.series:
            for column in series.started.columns:
                yield f"{one_line(job.host)} job {job.job}", series, column
