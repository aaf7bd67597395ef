"""Whether two sets of measurements differ by more than chance: Welch's t test, and the Mann-Whitney U test.

Sources: B. L. Welch, Biometrika 34 (1947), with the degrees of freedom of Satterthwaite; H. B. Mann and D. R. Whitney,
Annals of Mathematical Statistics 18 (1947). Exact probabilities of U are counted by their recurrence for samples
without ties; otherwise the normal approximation with corrections for ties and continuity is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import erfc, sqrt

from shakeout.evaluation.distributions import student_cdf

#: The exact distribution of U is counted up to so many pairs of values.
_EXACT_PAIRS = 2500


def welch(mean_a: float, error_a: float, freedom_a: float, mean_b: float, error_b: float, freedom_b: float) -> float:
    """The two-sided p-value of "both means are the same".

    Args:
        error_a, error_b: the standard errors of the means.
        freedom_a, freedom_b: their degrees of freedom.
    """
    error = sqrt(error_a**2 + error_b**2)
    if error == 0:
        return 1.0 if mean_a == mean_b else 0.0
    share_a, share_b = (error_a / error) ** 2, (error_b / error) ** 2
    weight = share_a**2 / freedom_a + share_b**2 / freedom_b
    freedom = 1 / weight if weight else float("inf")
    return min(1.0, 2 * student_cdf(-abs(mean_a - mean_b) / error, freedom))


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sided p-value of "a value of *a* is as likely to be greater than one of *b* as to be less"."""
    pairs = len(a) * len(b)
    if not pairs:
        return 1.0
    ranks, ties = _ranks([*a, *b])
    u = sum(ranks[: len(a)]) - len(a) * (len(a) + 1) / 2
    least = min(u, pairs - u)
    if not ties and pairs <= _EXACT_PAIRS:
        ways = _ways(len(a), len(b))
        return min(1.0, 2 * sum(ways[: int(least) + 1]) / sum(ways))
    n = len(a) + len(b)
    correction = sum(size**3 - size for size in ties) / (n * (n - 1))
    deviation = sqrt(pairs / 12 * (n + 1 - correction))
    if deviation == 0:
        return 1.0
    return min(1.0, erfc(max(0.0, pairs / 2 - least - 0.5) / deviation / sqrt(2)))


def _ranks(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """The rank of each value from 1, ties sharing theirs; and the sizes of the ties."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    ties, before = [], 0
    for _, group in groupby(order, key=values.__getitem__):
        places = list(group)
        for place in places:
            ranks[place] = before + (len(places) + 1) / 2
        before += len(places)
        if len(places) > 1:
            ties.append(len(places))
    return ranks, ties


def _ways(m: int, n: int) -> list[int]:
    """In how many ways each U from 0 to m·n comes about: the coefficients of the Gaussian binomial of m+n over m."""
    ways: Counter[int] = Counter({0: 1})
    for i in range(1, m + 1):
        # times (1 - q^(n+i)), divided by (1 - q^i)
        product = [ways[u] - ways[u - n - i] for u in range(m * n + 1)]
        for u in range(i, m * n + 1):
            product[u] += product[u - i]
        ways = Counter(dict(enumerate(product)))
    return [ways[u] for u in range(m * n + 1)]
