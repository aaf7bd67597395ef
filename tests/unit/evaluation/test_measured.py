"""What a measured value is worth. Figures with ten digits are those of SciPy 1.17.1."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from shakeout.errors import UsageError
from shakeout.evaluation.measured import Measured, measure
from shakeout.journal.samples import Column, SamplesHeader, SamplesWriter
from shakeout.journal.series import SeriesView, view_of

A = [9.41, 9.38, 9.45, 9.40, 9.43]


def test_the_mean_of_repetitions() -> None:
    found = Measured.of(A, "Gbit/s")
    assert found.value == pytest.approx(9.414)
    assert found.error == pytest.approx(0.012083045973594315)
    assert found.uncertainty == pytest.approx(0.033547913849265844)
    assert (found.n, found.method, found.unit, found.samples) == (5, "mean", "Gbit/s", tuple(A))
    assert found.low == pytest.approx(9.380452)
    assert found.high == pytest.approx(9.447548)
    narrower = found.at(0.5)
    assert narrower.uncertainty is not None
    assert narrower.uncertainty < 0.033
    assert narrower.at(0.95).uncertainty == pytest.approx(found.uncertainty)


def test_of_one_number_the_uncertainty_is_not_known() -> None:
    for data in (5, 5.0, [5]):
        assert Measured.of(data).uncertainty is None


def test_another_unit() -> None:
    found = Measured.of([1.0, 2.0, 3.0], "ms").to("s")
    assert (found.value, found.unit, found.samples) == (0.002, "s", (0.001, 0.002, 0.003))
    assert found.uncertainty == pytest.approx(Measured.of([0.001, 0.002, 0.003]).uncertainty)


def test_a_median_takes_nothing_for_granted() -> None:
    values = [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 1000]
    found = Measured.of(values, "ms", statistic="median")
    assert (found.value, found.method) == (5.5, "median")
    assert found.uncertainty == 3.5  # ranks 2 and 9 of ten: 97.9 %
    few = Measured.of(values[:5], statistic="median")
    assert few.uncertainty is None
    assert "fewer than 6 values" in few.note
    assert Measured.of(list(range(10_001)), statistic="median").uncertainty == pytest.approx(98, abs=3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("9.4", "'9.4' is no measured value"),
        (None, "None is no measured value"),
        (object(), "is no measured value"),
        ([], "the list has no measurements"),
        ([1, None], "None, which is no finite number"),
        ([1, True], "True, which is no finite number"),
        ([1, math.nan], "nan, which is no finite number"),
        (math.inf, "inf, which is no finite number"),
        (1e200, "1e\\+200, which is no finite number"),
        ({"sent_bps": 1.0, "received_bps": 2.0}, 'must have "value" or "mean".*the numbers sent_bps, received_bps'),
        ({"value": 1, "n": 0}, '"n" an integer'),
        ({"value": 1, "uncertainty": -1}, '"uncertainty" a number'),
        ({"value": 1, "unit": "KB"}, "may mean 1000 or 1024"),
    ],
)
def test_what_is_no_measured_value(data: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Measured.of(data)  # type: ignore[arg-type]


def test_dicts_that_say_it_all() -> None:
    found = Measured.of({"value": 2.0, "unit": "ms", "uncertainty": 0.1, "n": 10})
    assert (found.value, found.unit, found.uncertainty, found.n, found.freedom) == (2.0, "ms", 0.1, 10, 9)
    assert Measured.of({"mean": 2.0, "unit": "ms"}, "us").value == pytest.approx(2000)


def series_of(folder: Path, values: list[float], unit: str = "bit/s") -> SeriesView:
    path = folder / f"samples-{len(values)}.bin"
    columns = (Column("t_ns", "i64", "ns"), Column("v", "f64", unit), Column("w", "f64", "1"))
    with path.open("wb", buffering=0) as file:
        writer = SamplesWriter(file, SamplesHeader(series="x", columns=columns))
        for number, value in enumerate(values):
            writer.add(number, value, 1.0)
    return view_of(path, "x", {"v": unit, "w": "1"})


def wandering(count: int, memory: float) -> list[float]:
    """Values of which each remembers so much of the last."""
    draw, value = random.Random(7).gauss, 0.0
    values = []
    for _ in range(count):
        value = memory * value + draw(0, 1)
        values.append(100 + value)
    return values


def test_samples_that_hang_together_count_for_less(tmp_path: Path) -> None:
    values = wandering(4000, 0.9)
    series, list_ = Measured.of(series_of(tmp_path, values), column="v"), Measured.of(values)
    assert series.method == "batch means"
    assert series.value == pytest.approx(list_.value)
    assert (series.n, series.unit) == (4000, "bit/s")
    assert series.uncertainty is not None
    assert list_.uncertainty is not None
    # The standard error of such a series is greater by the root of (1 + 0.9) / (1 - 0.9), which is 4.4.
    assert 2.5 < series.uncertainty / list_.uncertainty < 8
    assert series.low < 100 < series.high


def test_intervals_of_series_hold_what_they_promise(tmp_path: Path) -> None:
    kept = 0
    for seed in range(60):
        draw, value, values = random.Random(seed).gauss, 0.0, []
        for _ in range(600):
            value = 0.7 * value + draw(0, 1)
            values.append(value)
        found = Measured.of(values, correlated=True)
        kept += found.low <= 0 <= found.high
    assert kept >= 52  # of 60: 95 % are 57


def test_a_drifting_series_says_so(tmp_path: Path) -> None:
    found = Measured.of([float(n) for n in range(500)], correlated=True)
    assert "the uncertainty is at least this" in found.note
    assert "fewer than 16 samples" in Measured.of([1.0, 2.0, 3.0], correlated=True).note


def test_a_series_says_its_unit_and_numbers_take_the_usual_one(tmp_path: Path) -> None:
    assert measure(series_of(tmp_path, [1.0, 2.0]), "", "s", column="v").unit == "bit/s"
    assert measure(5, "", "s").unit == "s"
    assert measure(5, "ms", "s").unit == "ms"
    assert measure(Measured(5, "ms"), "", "s").unit == "ms"
    assert measure({"value": 5}, "", "s").unit == "s"
