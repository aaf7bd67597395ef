"""The geometry of a small chart of one column of samples over the time of its part. Pure; the page draws it.

However many samples there are, a chart has so many buckets: in each, the range of the values and their mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import msgspec

#: Buckets over the whole width, and the size of the picture's own coordinates.
BUCKETS, WIDTH, HEIGHT = 200, 1000, 100
#: Points that are looked at together.
_PIECE = 64


class Chart(msgspec.Struct, frozen=True):
    """What to draw, as points "x,y x,y …" of a picture of `WIDTH` by `HEIGHT`.

    Attributes:
        band: around all values; "" if there is only one in each bucket.
        line: through the means.
        dots: places of the means, if there are few.
        low, high: the values at the lower and upper edge.
    """

    band: str
    line: str
    dots: tuple[tuple[float, float], ...]
    low: float
    high: float


def chart(
    points: Iterable[tuple[list[float], list[float]]], begin: float, end: float, low: float, high: float
) -> Chart:
    """The chart of *points*, from *begin* to *end* (in seconds), with values from *low* to *high*.

    The value axis begins at zero unless there are values below.

    Args:
        points: moments and as many values, in pieces.
    """
    low, high = min(0.0, low), max(0.0, high)
    if high == low:
        high = low + 1.0
    buckets = _Buckets(begin, end)
    for moments, values in points:
        buckets.take(moments, values)
    line, upper, lower = [], [], []
    for _, bucket in sorted(buckets.found.items()):
        x = round(WIDTH * bucket.places / bucket.count, 1)
        line.append((x, _height(bucket.total / bucket.count, low, high)))
        upper.append((x, _height(bucket.greatest, low, high)))
        lower.append((x, _height(bucket.least, low, high)))
    band = [*upper, *reversed(lower)] if upper != lower and len(line) > 1 else []
    dots = tuple(line) if len(line) <= BUCKETS // 5 else ()
    return Chart(_points(band), _points(line), dots, low, high)


class _Bucket:
    """What fell into one bucket."""

    __slots__ = ("count", "greatest", "least", "places", "total")

    def __init__(self) -> None:
        self.places = self.total = 0.0
        self.count = 0
        self.least, self.greatest = inf, -inf


class _Buckets:
    """Sorts points into buckets over the time from *begin* to *end*."""

    def __init__(self, begin: float, end: float) -> None:
        self.found: dict[int, _Bucket] = {}
        self._begin = begin
        self._span = max(end - begin, 1e-9)

    def take(self, moments: list[float], values: list[float]) -> None:
        """Some more, cut into pieces of points in a row: most of these are in one bucket as a whole."""
        for start in range(0, len(values), _PIECE):
            some, theirs = moments[start : start + _PIECE], values[start : start + _PIECE]
            if self._number(min(some)) == self._number(max(some)):
                self._add(some, theirs)
            else:
                for moment, value in zip(some, theirs, strict=True):
                    self._add([moment], [value])

    def _add(self, moments: list[float], values: list[float]) -> None:
        bucket = self.found.setdefault(self._number(moments[0]), _Bucket())
        bucket.places += sum(map(self._place, (min(moments), max(moments)))) / 2 * len(moments)
        bucket.count += len(values)
        bucket.total += sum(values)
        bucket.least, bucket.greatest = min(bucket.least, *values), max(bucket.greatest, *values)

    def _number(self, moment: float) -> int:
        return int(self._place(moment) * BUCKETS)

    def _place(self, moment: float) -> float:
        return min(max((moment - self._begin) / self._span, 0.0), 1.0)


def _height(value: float, low: float, high: float) -> float:
    """Where *value* is, counted from the top; a little room is left at both edges."""
    share = value / (high - low) - low / (high - low)
    return round(6 + (HEIGHT - 12) * (1 - min(max(share, 0.0), 1.0)), 1)


def _points(places: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
