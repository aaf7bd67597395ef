"""Limits: kept, broken, or not to be told."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters, UsageError
from shakeout.evaluation.baseline import Baseline
from shakeout.evaluation.measured import Measured, measure
from shakeout.evaluation.threshold import Threshold


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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([17.3, 21.5], r"made from 2 samples, which is few: measure longer .duration=.*more often .interval="),
        ([0.0, 2.0] * 30, "made from 60 samples: measure longer .duration=., or evaluate the means of several rounds"),
    ],
)  # fmt: skip
def test_an_inconclusive_value_says_how_many_samples_there_are_and_what_to_do(values: list[float], said: str) -> None:
    found = Threshold(at_least=1, unit="Gbit/s").judge(Measured.of(values, "Gbit/s"))
    assert found.verdict == "inconclusive"
    assert re.search(said, found.reason)


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
    value = Measured.of([9.41, 9.38, 9.45, 9.40, 9.43], "Gbit/s")
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
        ({"at_least": 1, "unit": "Gbit/ss"}, "nobody knows 'ss' .did you mean 's'"),
        ({"atleast": 1}, "no argument is called 'atleast' .did you mean 'at_least'"),
        ({"at_least": 1, "when_unclear": "maybe"}, "'fail', 'pass' or 'value'"),
    ],
)
def test_limits_that_make_no_sense(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Threshold(**arguments)  # type: ignore[arg-type]


def test_a_limit_that_is_not_named() -> None:
    with pytest.raises(BadParameters, match=r"Threshold: 9 has no name; it takes at_least=, at_most="):
        Threshold(9)  # type: ignore[call-arg]
    with pytest.raises(BadParameters, match="Baseline: name= is missing"):
        Baseline()  # type: ignore[call-arg]


@given(value=st.floats(-1e6, 1e6), uncertainty=st.floats(0, 1e3), least=st.floats(-1e6, 1e6))
def test_a_limit_is_kept_broken_or_unclear(value: float, uncertainty: float, least: float) -> None:
    verdict = Threshold(at_least=least).judge(Measured(value, uncertainty=uncertainty)).verdict
    mirrored = Threshold(at_most=-least).judge(Measured(-value, uncertainty=uncertainty)).verdict
    assert verdict == mirrored
    assert (verdict == "passed") == (value - uncertainty >= least)
    assert (verdict == "failed") == (value + uncertainty < least)


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
