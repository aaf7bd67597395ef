"""Student's t and the normal distribution, and the binomial weights that a median's interval needs.

Source of the regularised incomplete beta function: the continued fraction DLMF 8.17.22, evaluated by Lentz's method.
"""

from __future__ import annotations

from math import erfc, exp, inf, isinf, lgamma, log, log1p, sqrt

_TINY = 1e-300
_ROUNDS = 400


def student_cdf(t: float, freedom: float) -> float:
    """The probability that Student's t with *freedom* degrees of freedom (inf: normal) is at most *t*."""
    if isinf(freedom):
        return normal_cdf(t)
    if isinf(t):
        return 1.0 if t > 0 else 0.0
    tail = 0.5 * _beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return 1 - tail if t > 0 else tail


def student_quantile(probability: float, freedom: float) -> float:
    """The value that Student's t with *freedom* degrees of freedom is at most with *probability* (0 < p < 1)."""
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < probability:
        low, high = high, high * 2
        if high > 1e18:
            return high
    for _ in range(200):
        middle = (low + high) / 2
        if student_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
        if high - low <= 1e-13 * high:
            break
    return (low + high) / 2


def normal_cdf(z: float) -> float:
    """The probability that a standard normal value is at most *z*."""
    return 0.5 * erfc(-z / sqrt(2))


def binomial_half(n: int) -> list[float]:
    """The probabilities of 0 … *n* successes in *n* throws of a fair coin."""
    return [exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2)) for k in range(n + 1)]


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d or _TINY)
    value = d
    for m in range(1, _ROUNDS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / ((1 + step * d) or _TINY)
            c = (1 + step / c) or _TINY
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


#: Degrees of freedom of a value whose error is known exactly.
KNOWN = inf
