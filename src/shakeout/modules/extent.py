"""What a value was like over time: its least, its mean and its greatest."""

from __future__ import annotations

from typing import TypedDict


class Range(TypedDict):
    """A value over time: the least, the mean (weighted by how long it held) and the greatest."""

    min: float
    avg: float
    max: float


class Extent:
    """Adds up to a `Range`, value by value, in constant memory."""

    __slots__ = ("_high", "_low", "_sum", "_weight", "first", "last")

    def __init__(self) -> None:
        self._low = self._high = self._sum = self._weight = 0.0
        #: The first and the last value; None if there is none yet.
        self.first: float | None = None
        self.last: float | None = None

    def add(self, value: float, weight: float = 1.0) -> None:
        """Take in *value*, which held for *weight* (seconds, if values come from a clock)."""
        if self.first is None:
            self.first = self._low = self._high = value
        self._low, self._high = min(self._low, value), max(self._high, value)
        self._sum += value * weight
        self._weight += weight
        self.last = value

    def range(self, digits: int = 3) -> Range | None:
        """The range so far, rounded to *digits* after the point; None if nothing was added."""
        if self.first is None:
            return None
        avg = self._sum / self._weight if self._weight else self.first
        # Sums of floats may end a hair beyond the values that they are made of.
        avg = min(max(avg, self._low), self._high)
        return Range(min=round(self._low, digits), avg=round(avg, digits), max=round(self._high, digits))


def shown_range(values: Range | None, unit: str = "") -> str:
    """ "1.2/3.4/5.6 %", or "none"."""
    if values is None:
        return "none"
    return f"{values['min']:g}/{values['avg']:g}/{values['max']:g}" + (f" {unit}" if unit else "")
