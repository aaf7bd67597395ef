"""Series of samples in reports: figures, charts, and what is left out."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.told import HEADER, ended

from shakeout.journal.events import ClockMeasured, Evaluated, Event, JobStarted, PartStarted, SeriesStarted
from shakeout.journal.samples import Column, SamplesHeader, SamplesWriter
from shakeout.report.brevity import shortened
from shakeout.report.chart import BUCKETS, HEIGHT, WIDTH, chart
from shakeout.report.charts import MAX_CHARTS
from shakeout.report.csvreport import csv_report
from shakeout.report.fold import fold
from shakeout.report.html import html
from shakeout.report.outcome import RunOutcome
from shakeout.report.series import MAX_LINES
from shakeout.report.summary import lines

SECOND = 10**9


def stored(folder: Path, name: str, values: list[float], unit: str = "ms") -> SeriesStarted:
    """A file of samples, one a second from the host's second 100 on, and its event."""
    file = f"samples-{name}.bin"
    columns = (Column("host_ns", "i64", "ns"), Column("v", "f64", unit))
    with (folder / file).open("wb", buffering=0) as opened:
        writer = SamplesWriter(opened, SamplesHeader(series=name, columns=columns))
        writer.append(b"".join(writer.header.layout.pack((100 + n) * SECOND, v) for n, v in enumerate(values)))
    return SeriesStarted(t_ns=2, part=1, host="m1", job=1, name=name, columns={"v": unit}, file=file)


def run_of(*series: SeriesStarted, folder: Path | None = None, finished: bool = True) -> RunOutcome:
    events: list[Event] = [
        PartStarted(t_ns=0, part=1, recipe="R"),
        ClockMeasured(t_ns=1, part=1, host="m1", offset_ns=100 * SECOND),
        JobStarted(t_ns=1, part=1, host="m1", job=1, what="measure"),
        *series,
    ]
    if finished:
        events.append(ended("m1", 1, t_ns=10 * SECOND))
    return fold(HEADER, events, folder=folder)


def test_the_figures_stand_below_their_job(tmp_path: Path) -> None:
    outcome = run_of(stored(tmp_path, "wait", [1.0, 2.0, 6.0]), folder=tmp_path)
    [job] = outcome.parts[0].jobs
    [series] = job.series
    assert (series.count, series.duration_s, series.problem) == (3, 2.0, "")
    view = series.view()
    assert view is not None
    assert view.times == [0.0, 1.0, 2.0]
    shown = list(lines(outcome))
    at = next(number for number, line in enumerate(shown) if "measure PASS" in line)
    assert shown[at + 1] == (
        "        Series wait v: 3 samples in 2.00 s, mean 3 ms, min 1, max 6, p50 2, p95 5.6, p99 5.92"
    )


def test_of_values_that_are_all_the_same_there_is_no_more_to_say(tmp_path: Path) -> None:
    outcome = run_of(stored(tmp_path, "idle", [0.0, 0.0, 0.0], unit="%"), folder=tmp_path)
    assert "        Series idle v: 3 samples in 2.00 s, always 0 %" in list(lines(outcome))
    page = html(outcome)
    assert "always 0 %" in page
    assert "<polyline" not in page


def stored_columns(folder: Path, name: str, **columns: list[float]) -> SeriesStarted:
    """A series of several columns, a sample a second."""
    path = folder / f"samples-{name}.bin"
    header = SamplesHeader(
        series=name,
        columns=(Column("host_ns", "i64", "ns"), *(Column(one, "f64", "%") for one in columns)),
        host="m1",
        job=1,
    )
    with path.open("wb", buffering=0) as opened:
        writer = SamplesWriter(opened, header)
        for second, row in enumerate(zip(*columns.values(), strict=True)):
            writer.append(header.layout.pack((100 + second) * SECOND, *row))
    return SeriesStarted(
        t_ns=2, part=1, host="m1", job=1, name=name, columns=dict.fromkeys(columns, "%"), file=path.name
    )


def test_columns_that_are_always_0_share_a_line(tmp_path: Path) -> None:
    series = stored_columns(tmp_path, "cpu", busy=[1.0, 2.0], nice=[0.0, 0.0], idle=[7.0, 7.0], steal=[0.0, 0.0])
    shown = [line.strip() for line in lines(run_of(series, folder=tmp_path)) if "Series cpu" in line]
    assert shown == [
        "Series cpu busy: 2 samples in 1.00 s, mean 1.5 %, min 1, max 2, p50 1.5, p95 1.95, p99 1.99",
        "Series cpu idle: 2 samples in 1.00 s, always 7 %",
        "Series cpu always 0: nice, steal (2 samples in 1.00 s)",
    ]


def test_a_page_has_one_table_for_each_job_and_no_curve_of_what_is_always_the_same(tmp_path: Path) -> None:
    cpu = stored_columns(tmp_path, "cpu", busy=[1.0, 2.0], nice=[0.0, 0.0], idle=[7.0, 7.0], steal=[0.0, 0.0])
    disk = stored_columns(tmp_path, "disk", busy=[3.0, 5.0])
    page = html(run_of(cpu, disk, folder=tmp_path))
    assert page.count('<table class="series">') == 1
    assert "<caption>m1 job 1 measure</caption>" in page
    figures = '<td class="unit">%</td><td class="number">2</td><td class="number">1.5</td>'
    assert f'<th scope="row">cpu busy</th>{figures}' in page
    assert '<th scope="row">disk</th>' in page
    assert "always 7 %" in page
    assert "cpu always 0: nice, steal (2 samples in 1.00 s)" in page
    assert page.count("<figure") == 2


def test_what_series_tell_is_not_told_twice(tmp_path: Path) -> None:
    span = {"min": 1.0, "avg": 1.5, "max": 2.0}
    result = {
        "total": {"busy": span, "softirq": span},
        "pressure": {"cpu": span},
        "interfaces": {"eth0": {"rx_packet_rate": span, "rx_rate": span}, "eth99": {"rx_rate": span}},
        "forks": span,
        "counts": {"a": 0, "b": 0, "c": 0.0, "d": 0, "e": 5, "gone": False},
    }
    started = [
        stored_columns(tmp_path, "cpu", busy=[1.0, 2.0], cpu_pressure=[1.0, 2.0]),
        stored_columns(tmp_path, "eth0", rx=[1.0, 2.0], rx_packets=[1.0, 2.0]),
    ]
    outcome = run_of(*started, folder=tmp_path)
    [job] = outcome.parts[0].jobs
    assert shortened(result, job.series) == {
        "total": {"softirq": span},
        "interfaces": {"eth99": {"rx_rate": span}},
        "forks": span,
        "counts": {"e": 5, "gone": False, "all 0": "a, b, c, d"},
    }
    assert shortened(result, ()) == result


def test_of_a_job_that_was_cut_short_there_is_what_there_is(tmp_path: Path) -> None:
    shown = list(lines(run_of(stored(tmp_path, "wait", [4.0]), folder=tmp_path, finished=False)))
    assert "    Host m1 Job 1 measure did not finish" in shown
    assert "        Series wait v: 1 sample, mean 4 ms, min 4, max 4, p50 4, p95 4, p99 4" in shown


@pytest.mark.parametrize("file", ["", "../journal.jsonl", "/etc/passwd", "samples-gone.bin", "samples-bad.bin"])
def test_a_file_that_is_none_is_said_and_nothing_else_is_read(file: str, tmp_path: Path) -> None:
    (tmp_path / "samples-bad.bin").write_bytes(b"\x00" * 100)
    event = SeriesStarted(t_ns=2, part=1, host="m1", job=1, name="x", columns={"v": "ms"}, file=file)
    outcome = run_of(event, folder=tmp_path)
    shown = [line for line in lines(outcome) if "Series x" in line]
    assert len(shown) == (1 if file.startswith("samples-") else 0)
    assert all("cannot be read" in line for line in shown)
    assert "<figure" not in html(outcome)


def test_what_a_host_calls_its_units_is_only_shown(tmp_path: Path) -> None:
    outcome = run_of(stored(tmp_path, "a", [1.0], unit="KB/<b>"), folder=tmp_path)
    assert any("mean 1 KB/<b>" in line for line in lines(outcome))
    assert "KB/&lt;b&gt;" in html(outcome)


def test_a_page_and_a_summary_of_many_series_are_bounded(tmp_path: Path) -> None:
    chance = random.Random(1)
    values = [chance.random() for _ in range(3000)]
    series = [stored(tmp_path, f"s{number}", values) for number in range(MAX_CHARTS + 5)]
    outcome = run_of(*series, folder=tmp_path)
    page = html(outcome)
    assert page.count("<figure") == MAX_CHARTS
    assert "5 more columns of samples are not drawn" in page
    assert len(page) < MAX_CHARTS * 12_000
    shown = [line for line in lines(outcome) if "Series s" in line]
    assert len(shown) == MAX_LINES
    assert any("more series are not shown" in line for line in lines(outcome))


finite = st.floats(-1e300, 1e300)


@given(
    points=st.lists(st.tuples(st.floats(-10, 110), finite), min_size=1, max_size=300),
    size=st.integers(1, 100),
)
def test_a_chart_stays_in_its_picture_whatever_the_samples(points: list[tuple[float, float]], size: int) -> None:
    values = [value for _, value in points]
    pieces = [points[i : i + size] for i in range(0, len(points), size)]
    drawn = chart(
        (([t for t, _ in piece], [v for _, v in piece]) for piece in pieces), 0, 100, min(values), max(values)
    )
    places = [tuple(map(float, place.split(","))) for place in f"{drawn.line} {drawn.band}".split()]
    assert places
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert len(places) <= 3 * (BUCKETS + 1)


def test_a_chart_shows_the_extremes_of_very_many_samples() -> None:
    values = [5.0] * 100_000
    values[70_000] = 10.0
    moments = [number / 1000 for number in range(100_000)]
    drawn = chart([(moments, values)], 0, 100, 5, 10)
    assert (drawn.low, drawn.high, drawn.dots) == (0.0, 10.0, ())
    top = min(float(place.split(",")[1]) for place in drawn.band.split())
    assert top == 6.0
    assert len(drawn.line.split()) == BUCKETS


def test_a_value_of_a_hostile_name_is_only_text() -> None:
    event = Evaluated(
        t_ns=5, part=1, name="<b>\x1b[31m", passed=False, value=1.0, unit="<i>", limit="≥ <u>", reason="x"
    )
    outcome = fold(HEADER, [PartStarted(t_ns=0, part=1, recipe="R"), event])
    assert "    <b>\\x1b[31m 1 <i> ≥ <u> FAIL" in list(lines(outcome))
    page = html(outcome)
    assert "&lt;b&gt;" in page
    assert "<i>" not in page


def test_samples_as_a_table(tmp_path: Path) -> None:
    series = [stored(tmp_path, "wait", [1.5, 1e-300]), stored(tmp_path, "rate", [0.1], unit="bit,s")]
    table = csv_report(run_of(*series, folder=tmp_path)).decode()
    assert list(csv.reader(table.splitlines())) == [
        ["part", "host", "job", "series", "column", "unit", "time_s", "value"],
        ["1", "m1", "1", "wait", "v", "ms", "0.000000000", "1.5"],
        ["1", "m1", "1", "wait", "v", "ms", "1.000000000", "1e-300"],
        ["1", "m1", "1", "rate", "v", "bit,s", "0.000000000", "0.1"],
    ]
