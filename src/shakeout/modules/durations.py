"""Durations of several of a kind, and of many: a spread, and one with percentiles in bounded memory."""

from __future__ import annotations

from typing import Final, TypedDict

#: Durations that are kept: as long as there are no more, percentiles are exact.
KEPT: Final = 50_000

# A generator of Knuth's (MMIX): which durations are kept must be even, not secret, and the same in every run.
_FACTOR, _SUMMAND, _MASK = 6364136223846793005, 1442695040888963407, 2**64 - 1


class Spread(TypedDict):
    """Durations of several of a kind, in milliseconds."""

    min: float
    avg: float
    max: float


def spread(seconds: list[float]) -> Spread | None:
    """The spread of *seconds*, None if there are none."""
    if not seconds:
        return None
    return Spread(
        min=round(min(seconds) * 1e3, 3),
        avg=round(sum(seconds) / len(seconds) * 1e3, 3),
        max=round(max(seconds) * 1e3, 3),
    )


class Latency(Spread):
    """Durations in milliseconds, with how long half, 95 % and 99 % took at most."""

    p50: float
    p95: float
    p99: float


class Durations:
    """Adds up to a `Latency`.

    Of more than `KEPT`, an even sample of as many gives the percentiles (Vitter's algorithm R); the rest is
    exact.
    """

    __slots__ = ("_count", "_high", "_kept", "_low", "_random", "_sum")

    def __init__(self) -> None:
        self._count = 0
        self._sum = self._low = self._high = 0.0
        self._kept: list[float] = []
        self._random = 1

    def add(self, seconds: float) -> None:
        """One more took *seconds*."""
        self._count += 1
        self._sum += seconds
        self._low = seconds if self._count == 1 else min(self._low, seconds)
        self._high = max(self._high, seconds)
        if len(self._kept) < KEPT:
            self._kept.append(seconds)
            return
        self._random = (self._random * _FACTOR + _SUMMAND) & _MASK
        place = (self._random >> 16) % self._count
        if place < KEPT:
            self._kept[place] = seconds

    def told(self) -> Latency | None:
        """What they amount to so far, None if there are none. Percentiles are values that there were."""
        if not self._count:
            return None
        ordered = sorted(self._kept)
        low, mean, high, p50, p95, p99 = (
            round(seconds * 1e3, 3)
            for seconds in (
                self._low,
                self._sum / self._count,
                self._high,
                *(ordered[max(0, -(-len(ordered) * percent // 100) - 1)] for percent in (50, 95, 99)),
            )
        )
        return Latency(min=low, avg=mean, max=high, p50=p50, p95=p95, p99=p99)
