"""How long operations took: counted in classes that grow with the time, so that millions of them fit into a page."""

from __future__ import annotations

from shakeout.modules.durations import Latency

#: Classes for each doubling: so a percentile is at most 12.5 % too high.
_STEPS = 8
#: Classes altogether: up to 2^40 ns, which is 18 minutes; longer ones count as that.
CLASSES = 40 * _STEPS


def class_of(nanoseconds: int) -> int:
    """The number of the class for a duration."""
    if nanoseconds < _STEPS:
        return max(0, nanoseconds)
    exponent = nanoseconds.bit_length() - 4
    return min(CLASSES - 1, exponent * _STEPS + (nanoseconds >> exponent))


def top_of(number: int) -> int:
    """The longest duration in a class, in nanoseconds."""
    if number < 2 * _STEPS:
        return number
    exponent = number // _STEPS - 1
    return ((number - exponent * _STEPS + 1) << exponent) - 1


def latency(classes: list[int], least: int, total: int, most: int) -> Latency | None:
    """The durations behind *classes* (how many there are of each), given their exact least, sum and greatest."""
    count = sum(classes)
    if not count:
        return None
    return Latency(
        min=_milliseconds(least),
        avg=_milliseconds(total / count),
        p50=_milliseconds(min(most, _percentile(classes, (count + 1) // 2))),
        p95=_milliseconds(min(most, _percentile(classes, count - count // 20))),
        p99=_milliseconds(min(most, _percentile(classes, count - count // 100))),
        max=_milliseconds(most),
    )


def _percentile(classes: list[int], rank: int) -> int:
    seen = 0
    for number, count in enumerate(classes):
        seen += count
        if seen >= rank:
            return top_of(number)
    return top_of(len(classes) - 1)


def _milliseconds(nanoseconds: float) -> float:
    return round(nanoseconds / 1e6, 6)
