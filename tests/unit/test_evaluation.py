"""What a measured value is worth, and how it is judged. Figures with ten digits are those of SciPy 1.17.1."""

from __future__ import annotations

import json
import math
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import UsageError
from shakeout.evaluation.baseline import Baseline
from shakeout.evaluation.distributions import student_cdf, student_quantile
from shakeout.evaluation.measured import Measured, measure
from shakeout.evaluation.significance import mann_whitney, welch
from shakeout.evaluation.store import BaselineStore
from shakeout.evaluation.threshold import Threshold
from shakeout.journal.samples import Column, SamplesHeader, SamplesWriter
from shakeout.journal.series import SeriesView, view_of
from shakeout.units import convert, plain, readable, unit, with_uncertainty

A = [9.41, 9.38, 9.45, 9.40, 9.43]
B = [9.21, 9.35, 9.3, 9.18]
C = [1, 2, 2, 3, 5, 8, 8, 9.5]
D = [2, 4, 4, 6, 8, 10, 12]
MANY = [(i * 37 % 101) / 10 for i in range(60)]
OTHERS = [(i * 53 % 97) / 10 + 1 for i in range(55)]


# -- statistics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "freedom", "value"),
    [
        (0.975, 1, 12.706204736174694), (0.975, 2, 4.302652729749462), (0.975, 5, 2.5705818356363146),
        (0.975, 31, 2.039513446396408), (0.995, 9, 3.249835541592126), (0.95, 3.7, 2.1824938039146007),
        (0.999, 120, 3.15953874331711), (0.975, 1e6, 1.959966356814107), (0.6, 4, 0.2707222947075976),
        (0.975, math.inf, 1.959963984540054), (0.025, 5, -2.5705818356363146),
    ],
)  # fmt: skip
def test_quantiles_of_students_t(probability: float, freedom: float, value: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("t", "freedom", "probability"),
    [
        (-1.2, 3, 0.15813105734905258), (2.5, 7.3, 0.9801748826671998), (0, 5, 0.5), (-40, 2, 0.0003122073360923703),
        (-6, 60, 6.143423053782547e-08), (math.inf, 3, 1.0), (-math.inf, 3, 0.0),
    ],
)  # fmt: skip
def test_students_t(t: float, freedom: float, probability: float) -> None:
    assert student_cdf(t, freedom) == pytest.approx(probability, rel=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [
        (A, B, 0.024669800418517025),
        (C, D, 0.34486545446925143),
        ([1.0, 2, 3], [10.0, 20, 30], 0.08787460158677483),
        (MANY, OTHERS, 0.1943863437904897),
    ],
)
def test_welchs_test(a: list[float], b: list[float], p: float) -> None:
    one, two = Measured.of(a), Measured.of(b)
    found = welch(one.value, one.error, one.freedom, two.value, two.error, two.freedom)
    assert found == pytest.approx(p, rel=1e-9)
    assert found == pytest.approx(welch(two.value, two.error, two.freedom, one.value, one.error, one.freedom))


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [
        (A, B, 0.015873015873015872),
        ([1, 2, 3], [4, 5, 6], 0.1),
        ([1.5, 7, 3, 9, 11, 2.2], [4, 5, 6, 8, 10, 12.5, 0.5], 0.7307692307692307),
        (C, D, 0.32135119517734967),
        (MANY, OTHERS, 0.21488656127174544),
        ([3] * 5, [3] * 4, 1.0),
        ([], [1.0], 1.0),
    ],
)
def test_mann_whitneys_test(a: list[float], b: list[float], p: float) -> None:
    assert mann_whitney(a, b) == pytest.approx(p, rel=1e-9)
    assert mann_whitney(b, a) == pytest.approx(p, rel=1e-9)


def test_means_without_spread_are_the_same_or_they_are_not() -> None:
    assert welch(1, 0, 4, 1, 0, 4) == 1.0
    assert welch(1, 0, 4, 1.1, 0, 4) == 0.0


# -- units --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (9.41e9, "bit/s", "Gbit/s", 9.41), (1, "GB/s", "Gbit/s", 8), (1, "MiB/s", "B/s", 2**20), (5, "ms", "s", 0.005),
        (2, "us", "µs", 2), (1, "Gbps", "Mbit/s", 1000), (2, "Mpps", "packets/s", 2e6), (60, "1/min", "Hz", 1),
        (50, "%", "1", 0.5), (3, "h", "min", 180), (1, "bit/ms", "kbit/s", 1), (4, "frobs", "frobs", 4),
    ],
)  # fmt: skip
def test_units_of_one_kind(value: float, source: str, target: str, result: float) -> None:
    assert convert(value, source, target) == pytest.approx(result)


@pytest.mark.parametrize(("source", "target"), [("ms", "bit/s"), ("bit", "bit/s"), ("packets", "bit"), ("s", "1")])
def test_units_of_different_kinds(source: str, target: str) -> None:
    with pytest.raises(UsageError, match="they measure different things"):
        convert(1, source, target)


@pytest.mark.parametrize("text", ["Gbit/", "/s", "x\n", "y" * 65])
def test_what_is_no_unit(text: str) -> None:
    with pytest.raises(UsageError, match="is no unit; write it as Gbit/s"):
        unit(text)


def test_a_great_k_is_not_guessed_at() -> None:
    with pytest.raises(UsageError, match="'KB/s' may mean 1000 or 1024: write kB or KiB"):
        unit("KB/s")


def test_units_as_people_read_them() -> None:
    assert [plain(text) for text in ("Gbit/s", "ms", "%", "KiB/s", "1", "")] == ["bit/s", "s", "%", "B/s", "1", "1"]
    assert readable(9.41e9, "bit/s") == "9.41 Gbit/s"
    assert readable(0.00123, "s") == "1.23 ms"
    assert readable(123456, "1") == "123456"
    assert readable(12.5, "ms") == "12.5 ms"
    assert with_uncertainty(9.4132, 0.0312, "Gbit/s") == "9.413 ± 0.031 Gbit/s"
    assert with_uncertainty(12345.6, 120.3, "1") == "12346 ± 120"
    assert with_uncertainty(9.4132, None, "ms") == "9.413 ms"
    assert with_uncertainty(2, 0, "ms") == "2 ± 0 ms"
    assert with_uncertainty(1e-12, 1e-13, "1") == "1e-12 ± 1e-13"


# -- measured values ----------------------------------------------------------------------------------


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


# -- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        (Threshold(at_least=9, unit="Gbit/s"), "passed"),
        (Threshold(at_least=9.4, unit="Gbit/s"), "inconclusive"),
        (Threshold(at_least=9.5, unit="Gbit/s"), "failed"),
        (Threshold(at_most=10, unit="Gbit/s"), "passed"),
        (Threshold(at_most=9.42, unit="Gbit/s"), "inconclusive"),
        (Threshold(at_most=9, unit="Gbit/s"), "failed"),
        (Threshold(between=(9, 10), unit="Gbit/s"), "passed"),
        (Threshold(between=(9.41, 9.42), unit="Gbit/s"), "inconclusive"),
        (Threshold(between=(1, 2), unit="Gbit/s"), "failed"),
        (Threshold(at_least=1.1, unit="GB/s"), "passed"),
        (Threshold(at_least=9e9), "passed"),
    ],
)
def test_a_limit(limit: Threshold, verdict: str) -> None:
    found = limit.judge(Measured(9.41e9, "bit/s", 3e7, 10))
    assert found.verdict == verdict
    assert found.passed is (verdict == "passed")
    assert bool(found) is found.passed
    if verdict == "inconclusive":
        assert "9.38 … 9.44 lies across the limit" in found.reason


def test_what_an_inconclusive_value_counts_as_can_be_chosen() -> None:
    value = Measured(9.41, "Gbit/s", 0.5, 10)
    counted = [Threshold(at_least=9, when_unclear=way).judge(value).passed for way in ("fail", "pass", "value")]
    assert counted == [False, True, True]
    assert Threshold(at_least=9.5, when_unclear="value").judge(value).passed is False


def test_a_single_number_decides_by_itself_and_the_limit_belongs_to_what_is_good() -> None:
    assert Threshold(at_least=9).judge(Measured(9)).verdict == "passed"
    assert Threshold(at_most=9).judge(Measured(9.0001)).verdict == "failed"


def test_a_limit_shows_the_value_in_its_own_unit() -> None:
    found = Threshold(at_least=9, unit="Gbit/s").judge(Measured(9.41e9, "bit/s", 3e7))
    assert found.measured.value == pytest.approx(9.41)
    assert (found.measured.unit, found.limit) == ("Gbit/s", "≥ 9 Gbit/s")
    assert Threshold(between=(1, 2), unit="ms").judge(Measured(1.5, "ms")).limit == "1 … 2 ms"
    with pytest.raises(UsageError, match="a value in ms cannot be told in Gbit/s"):
        Threshold(at_least=9, unit="Gbit/s").judge(Measured(5, "ms"))


def test_more_confidence_is_harder_to_have() -> None:
    value = Measured.of(A, "Gbit/s")
    assert Threshold(at_least=9.375).judge(value).verdict == "passed"
    assert Threshold(at_least=9.375, confidence=0.999).judge(value).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "needs a limit"),
        ({"at_least": "9 Gbit/s"}, "a limit is a number, not '9 Gbit/s'"),
        ({"at_least": True}, "a limit is a number"),
        ({"at_most": math.nan}, "a limit is a number"),
        ({"at_least": 2, "at_most": 1}, "no value is at least 2 and at most 1"),
        ({"between": (1, 2), "at_least": 1}, "takes two numbers"),
        ({"between": (1,)}, "takes two numbers"),
        ({"at_least": 1, "unit": "Kbit"}, "may mean 1000 or 1024"),
        ({"at_least": 1, "confidence": 95}, "a number from 0.5 to less than 1"),
        ({"at_least": 1, "when_unclear": "maybe"}, "'fail', 'pass' or 'value'"),
    ],
)
def test_limits_that_make_no_sense(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Threshold(**arguments)  # type: ignore[arg-type]


@given(value=st.floats(-1e6, 1e6), uncertainty=st.floats(0, 1e3), least=st.floats(-1e6, 1e6))
def test_a_limit_is_kept_broken_or_unclear(value: float, uncertainty: float, least: float) -> None:
    verdict = Threshold(at_least=least).judge(Measured(value, uncertainty=uncertainty)).verdict
    mirrored = Threshold(at_most=-least).judge(Measured(-value, uncertainty=uncertainty)).verdict
    assert verdict == mirrored
    assert (verdict == "passed") == (value - uncertainty >= least)
    assert (verdict == "failed") == (value + uncertainty < least)


# -- baselines ----------------------------------------------------------------------------------------

BEFORE = Measured.of([100.0, 101, 99, 100.5, 99.5], "Mbit/s")


def around(mean: float, spread: float = 0.5, unit: str = "Mbit/s") -> Measured:
    return Measured.of([mean - 2 * spread, mean - spread, mean, mean + spread, mean + 2 * spread], unit)


@pytest.mark.parametrize(
    ("value", "better", "verdict", "passed", "said"),
    [
        (around(100), "higher", "passed", True, ""),
        (around(96), "higher", "passed", True, ""),
        (around(90), "higher", "failed", False, "worse by more than the tolerance of 5 %"),
        (around(90, 10), "higher", "inconclusive", True, "may be chance"),
        (around(110), "higher", "passed", True, "better by more than the tolerance; --update-baseline"),
        (around(110), "lower", "failed", False, "worse by more"),
        (around(90), "lower", "passed", True, "better by more"),
        (around(90), "same", "failed", False, "worse by more"),
        (around(110), "same", "failed", False, "worse by more"),
        (around(101), "same", "passed", True, ""),
        (around(0.09, 0.0005, "Gbit/s"), "higher", "failed", False, "worse"),
        (Measured(94, "Mbit/s"), "higher", "failed", False, "the tolerance alone decides"),
        (Measured(96, "Mbit/s"), "higher", "passed", True, "the tolerance alone decides"),
    ],
)
def test_compared_with_before(value: Measured, better: str, verdict: str, passed: bool, said: str) -> None:
    found = Baseline("x", better=better).judge(value, BEFORE)  # type: ignore[arg-type]
    assert (found.verdict, found.passed, found.recorded) == (verdict, passed, False)
    assert said in found.reason
    assert found.baseline is not None
    assert found.change == pytest.approx((found.measured.value - found.baseline.value) / found.baseline.value)


def test_the_comparison_says_its_figures() -> None:
    found = Baseline("x").judge(around(90), BEFORE)
    assert found.limit == "≥ 95 Mbit/s (baseline 100.00 ± 0.98)"
    assert found.p is not None
    assert found.p < 1e-6
    assert Baseline("x", better="lower").judge(around(90), BEFORE).limit.startswith("≤ 105 Mbit/s")
    assert Baseline("x", better="same").judge(around(90), BEFORE).limit.startswith("95 … 105 Mbit/s")
    assert Baseline("x", tolerance="8 Mbit/s").judge(around(90), BEFORE).limit.startswith("≥ 92 Mbit/s")


def test_chance_counts_as_failure_if_somebody_wants_that() -> None:
    assert Baseline("x", when_unclear="fail").judge(around(90, 10), BEFORE).passed is False


def test_ranks_instead_of_means() -> None:
    baseline = Baseline("x", test="mann-whitney")
    assert baseline.judge(around(90), BEFORE).p == pytest.approx(2 / 252)
    few = baseline.judge(Measured.of([90.0, 91.0], "Mbit/s"), BEFORE)
    assert "too few values for Mann-Whitney's test (2, it needs 4), so Welch's was used" in few.reason


def test_the_first_value_is_recorded_and_others_only_if_asked() -> None:
    first = Baseline("x", unit="Gbit/s").judge(around(100), None)
    assert (first.verdict, first.passed, first.recorded, first.measured.unit) == ("recorded", True, True, "Gbit/s")
    assert "recorded as the baseline 'x', which had none yet" in first.reason
    again = Baseline("x").judge(around(50), BEFORE, update=True)
    assert (again.verdict, again.passed, again.recorded) == ("recorded", True, True)
    assert "in place of 100 Mbit/s" in again.reason
    assert Baseline("x", update=True).judge(around(50), BEFORE).recorded


def test_a_baseline_of_nothing_has_no_relative_change() -> None:
    found = Baseline("x", better="lower").judge(Measured(3), Measured(0))
    assert (found.change, found.verdict) == (None, "failed")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": ""}, "cannot be the name of a baseline"),
        ({"name": "a\nb"}, "cannot be the name of a baseline"),
        ({"tolerance": "five"}, "'five' is no tolerance"),
        ({"tolerance": -0.1}, "is no tolerance"),
        ({"tolerance": 5}, "is no tolerance"),
        ({"tolerance": "5 Kbit"}, "may mean"),
        ({"better": "faster"}, "better is 'higher', 'lower' or 'same'"),
        ({"test": "t"}, "test is 'welch' or 'mann-whitney'"),
    ],
)
def test_baselines_that_make_no_sense(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Baseline(**{"name": "x", **arguments})  # type: ignore[arg-type]


# -- files --------------------------------------------------------------------------------------------

KEY = {"m1.arch": "x86_64"}


def store(folder: Path, value: Measured, name: str = "tcp", key: dict[str, str] | None = None) -> Path:
    with BaselineStore(folder).slot(name, KEY if key is None else key) as slot:
        slot.write(value, recorded="2026-11-20T13:45:01Z", run="20261120-134501-4000")
    return slot.path


@pytest.mark.parametrize("value", [BEFORE, Measured(5), Measured(5, "ms", 0.1), Measured(1, "ms", 0.1, 4, freedom=3)])
def test_a_baseline_is_read_as_it_was_written(value: Measured, tmp_path: Path) -> None:
    path = store(tmp_path / "deep" / "er", value)
    assert path.relative_to(tmp_path) == Path("deep/er/tcp/m1.arch=x86_64.json")
    with BaselineStore(tmp_path / "deep" / "er").slot("tcp", KEY) as slot:
        assert slot.stored is not None
        assert slot.stored.measured == value
        assert slot.stored.run == "20261120-134501-4000"
    assert [entry.name for entry in path.parent.iterdir() if entry.name != ".lock"] == [path.name]


@pytest.mark.parametrize(
    ("name", "key"),
    [("../../etc", {}), ("a/b", {"m1.x": "../.."}), (".hidden", {"x": "y" * 500}), ("a b", {"é": "\udcff"}), ("-", {})],
)
def test_no_name_leads_elsewhere(name: str, key: dict[str, str], tmp_path: Path) -> None:
    places = {BaselineStore(tmp_path).path(given, key) for given in (name, name + " ", name.replace("/", "-"))}
    for path in places:
        assert path.parent.parent == tmp_path
        assert not path.name.startswith(".")
        assert len(path.name) < 200
    assert BaselineStore(tmp_path).path("a b", {}) != BaselineStore(tmp_path).path("a-b", {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no baseline .* left as it is: repair it, or remove it"),
        (b"{", "is no baseline"),
        (b'{"schema": 1, "name": "tcp"}', "is no baseline"),
        (b'{"schema": 9}', "has schema 9, and this version reads schema 1"),
        (b'{"schema":1,"name":"tcp","key":{},"value":"x","unit":"1"}', "is no baseline"),
        (b'{"schema":1,"name":"tcp","key":{"m1.arch":"x86_64"},"value":1,"unit":"1","n":0}', "is no baseline"),
        (b'{"schema":1,"name":"udp","key":{},"value":1,"unit":"1"}', "holds the baseline 'udp' of all, not that of"),
        (b'{"schema":1,"name":"tcp","key":{"m1.arch":"arm"},"value":1,"unit":"1"}', "m1.arch=arm, not that of 'tcp'"),
        (b"\xff" * (2 << 20), "is no baseline"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_kept(content: bytes, said: str, tmp_path: Path) -> None:
    path = BaselineStore(tmp_path).path("tcp", KEY)
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        store(tmp_path, BEFORE)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_used_says_which_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"baselines cannot be kept in .*file.*baselines_dir"):
        store(tmp_path / "file", BEFORE)


def test_several_at_once_do_not_overwrite_each_other(tmp_path: Path) -> None:
    def count() -> None:
        for _ in range(50):
            with BaselineStore(tmp_path).slot("counter", {}) as slot:
                now = slot.stored.value if slot.stored else 0
                slot.write(Measured(now + 1), recorded="", run="")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert json.loads(BaselineStore(tmp_path).path("counter", {}).read_text())["value"] == 200


@pytest.mark.parametrize(
    ("value", "criterion", "hint"),
    [
        (
            9.4,
            Threshold(at_least=9, unit="Gbit/s"),
            "9.4 was taken to be in bit/s: if it is in Gbit/s, say unit='Gbit/s'",
        ),
        ([3, 3.1, 3.2], Threshold(at_most=5, unit="ms"), "3.1 was taken to be in s: if it is in ms, say unit='ms'"),
        (8e9, Threshold(at_least=9, unit="Gbit/s"), ""),
        (0.4, Threshold(at_least=9, unit="Gbit/s"), ""),
        (4, Threshold(at_least=9), ""),
    ],
)
def test_a_number_in_a_unit_that_nobody_said(value: float | list[float], criterion: Threshold, hint: str) -> None:
    judgement = criterion.judge(measure(value, "", criterion.plain_unit))
    assert judgement.passed is False
    assert judgement.reason == hint
    assert "taken to be" not in criterion.judge(measure(value, criterion.plain_unit, "1")).reason
