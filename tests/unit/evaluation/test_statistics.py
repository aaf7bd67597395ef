"""The statistics. Figures with ten digits are those of SciPy 1.17.1."""

from __future__ import annotations

import math

import pytest

from shakeout.evaluation.distributions import student_cdf, student_quantile
from shakeout.evaluation.measured import Measured
from shakeout.evaluation.significance import mann_whitney, welch

A = [9.41, 9.38, 9.45, 9.40, 9.43]
B = [9.21, 9.35, 9.3, 9.18]
C = [1, 2, 2, 3, 5, 8, 8, 9.5]
D = [2, 4, 4, 6, 8, 10, 12]
MANY = [(i * 37 % 101) / 10 for i in range(60)]
OTHERS = [(i * 53 % 97) / 10 + 1 for i in range(55)]


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
