"""The geometry of a small chart of one column of samples over the time of its part. Pure; the page draws it.

However many samples there are, a chart has so many buckets: in each, the range of the values and their mean.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: Buckets over the whole width, and the size of the picture's own coordinates.
BUCKETS, WIDTH, HEIGHT = 200, 1000, 100


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


def chart(points: Iterable[tuple[float, float]], begin: float, end: float, low: float, high: float) -> Chart:
    """The chart of *points* (moment, value), from *begin* to *end* (in seconds), with values from *low* to *high*.

    The value axis begins at zero unless there are values below.
    """
    low, high = min(0.0, low), max(0.0, high)
    if high == low:
        high = low + 1.0
    span = max(end - begin, 1e-9)
    buckets: dict[int, list[float]] = {}
    for moment, value in points:
        place = min(max((moment - begin) / span, 0.0), 1.0)
        bucket = buckets.get(int(place * BUCKETS))
        if bucket is None:
            buckets[int(place * BUCKETS)] = [place, value, value, value, 1.0]
            continue
        bucket[0] += place
        bucket[1] = min(bucket[1], value)
        bucket[2] = max(bucket[2], value)
        bucket[3] += value
        bucket[4] += 1.0
    line, upper, lower = [], [], []
    for _, (places, least, greatest, total, count) in sorted(buckets.items()):
        x = round(WIDTH * places / count, 1)
        line.append((x, _height(total / count, low, high)))
        upper.append((x, _height(greatest, low, high)))
        lower.append((x, _height(least, low, high)))
    band = [*upper, *reversed(lower)] if upper != lower and len(line) > 1 else []
    dots = tuple(line) if len(line) <= BUCKETS // 5 else ()
    return Chart(_points(band), _points(line), dots, low, high)


def _height(value: float, low: float, high: float) -> float:
    """Where *value* is, counted from the top; a little room is left at both edges."""
    share = value / (high - low) - low / (high - low)
    return round(6 + (HEIGHT - 12) * (1 - min(max(share, 0.0), 1.0)), 1)


def _points(places: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
