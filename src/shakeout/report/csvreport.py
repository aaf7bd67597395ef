"""All samples of a run as one CSV table, a line for each value: for spreadsheets, gnuplot, pandas.

Columns: part, host, job, series, column, unit, time_s (since the run began), value. Numbers are written so that they
are read back as they were.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from shakeout.report.outcome import RunOutcome
from shakeout.report.series import SeriesOutcome
from shakeout.report.text import harmless

COLUMNS = ("part", "host", "job", "series", "column", "unit", "time_s", "value")


def csv_report(outcome: RunOutcome) -> bytes:
    """The samples of a run as CSV in UTF-8 (RFC 4180, but with plain line ends).

    Raises:
        JournalError: a file of samples cannot be read.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(COLUMNS)
    for part, series in _all(outcome):
        view = series.view()
        for column, unit in series.started.columns.items() if view is not None and not series.problem else ():
            first = _prefix(part, series, column, unit)
            for moments, values in view.points(column) if view is not None else ():
                text.write("".join(f"{first}{t:.9f},{v!r}\n" for t, v in zip(moments, values, strict=True)))
    return text.getvalue().encode()


def _prefix(part: int, series: SeriesOutcome, column: str, unit: str) -> str:
    """What all lines of one column begin with."""
    line = io.StringIO()
    event = series.started
    words = [event.host, event.job or "", event.name, column, unit]
    csv.writer(line, lineterminator="").writerow([part, *(harmless(str(word)) for word in words), ""])
    return line.getvalue()


def _all(outcome: RunOutcome) -> Iterator[tuple[int, SeriesOutcome]]:
    for part in outcome.parts:
        for series in part.series:
            yield part.number, series
        for job in part.jobs:
            for series in job.series:
                yield part.number, series
