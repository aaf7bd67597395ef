"""Values compared with those before, and the files that keep these."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from shakeout.errors import UsageError
from shakeout.evaluation.baseline import Baseline
from shakeout.evaluation.measured import Measured
from shakeout.evaluation.store import BaselineStore

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


def test_a_baseline_that_is_less_certain_than_its_tolerance_says_so() -> None:
    rough = Measured.of([10.0, 26.0], "Gbit/s")
    first = Baseline("x").judge(rough, None)
    assert first.recorded
    assert "this baseline is less certain (± 564.7 %) than the tolerance (5 %)" in first.warning
    assert "made from 2 samples" in first.warning
    assert "--update-baseline" in first.warning
    later = Baseline("x").judge(around(100, unit="Gbit/s"), rough)
    assert "the baseline is less certain (± 564.7 %, from 2 samples) than the tolerance (5 %)" in later.warning
    now = Baseline("x", tolerance="2 Gbit/s").judge(rough, around(18, unit="Gbit/s"))
    assert "the value is less certain (± 564.7 %) than the tolerance (2 Gbit/s)" in now.warning
    assert not Baseline("x").judge(around(100), None).warning
    assert not Baseline("x").judge(Measured(9), None).warning
    assert "this baseline is less certain" in Baseline("x", update=True).judge(rough, around(18, unit="Gbit/s")).warning


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
        ({"unit": "gbit/s"}, "nobody knows 'gbit' .did you mean 'Gbit'"),
        ({"tolerance": "1 Gbit/ss"}, "nobody knows 'ss'"),
        ({"tolerence": 0.1}, "no argument is called 'tolerence' .did you mean 'tolerance'"),
        ({"better": "faster"}, "better is 'higher', 'lower' or 'same'"),
        ({"test": "t"}, "test is 'welch' or 'mann-whitney'"),
    ],
)
def test_baselines_that_make_no_sense(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Baseline(**{"name": "x", **arguments})  # type: ignore[arg-type]


# -- files ---------------------------------------------------------------------------------------

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
