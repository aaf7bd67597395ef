"""Whether a value grows for good: its floor at the beginning and at the end, in bounded memory."""

from __future__ import annotations

#: Values that are kept; when there are more, every second one goes, again and again.
LIMIT = 4096


class Trend:
    """Values in their order.

    What goes up and down (caches, connections) has a least value that stays; what leaks has one that rises. So growth
    is the least value of the last third less the least of the first third.
    """

    def __init__(self) -> None:
        self._values: list[float] = []
        self._stride = 1
        self._skipped = 0

    def add(self, value: float) -> None:
        """The next value. Of those between two that are kept, the least counts."""
        if self._skipped:
            self._values[-1] = min(self._values[-1], value)
        else:
            self._values.append(value)
        self._skipped = (self._skipped + 1) % self._stride
        if len(self._values) > LIMIT:
            pairs = zip(self._values[::2], [*self._values[1::2], float("inf")], strict=False)
            self._values = [min(pair) for pair in pairs]
            # The last one stands alone, for as many values as have come since it was begun.
            self._skipped = self._skipped or self._stride
            self._stride *= 2

    def growth(self) -> float:
        """How far the floor has risen; 0 with fewer than two values."""
        if len(self._values) < 2:
            return 0.0
        third = max(1, len(self._values) // 3)
        return min(self._values[-third:]) - min(self._values[:third])
