"""Numbered datagrams of one stream at their receiver: lost, late, doubled, and how unevenly they come."""

from __future__ import annotations

from typing import Final

#: Numbers that may still come late; one that is missing longer than that is lost for good.
MAX_MISSING: Final = 1 << 16


class Sequence:
    """What came of the datagrams 0, 1, 2, … of one stream.

    Attributes:
        received: datagrams that came, each counted once.
        reordered: those of them that came after a later one (RFC 4737, 3.3).
        duplicates: those that came again; they are in nothing else. One that is so late that its number
            was given up counts as one.
        jitter_ns: the smoothed difference of the transit times of one datagram and the next (RFC 3550, 6.4.1).
    """

    __slots__ = ("_last_transit", "_missing", "_next", "duplicates", "jitter_ns", "received", "reordered")

    def __init__(self) -> None:
        self.received = self.reordered = self.duplicates = 0
        self.jitter_ns = 0.0
        self._next = 0
        # In the order of the numbers, since a dict keeps the order in which keys came.
        self._missing: dict[int, None] = {}
        self._last_transit: int | None = None

    def arrive(self, number: int, sent_ns: int, now_ns: int) -> bool:
        """Datagram *number*, sent at *sent_ns* of its sender's clock, has come; False if it had come before.

        The clocks need not agree: only differences of their differences count.
        """
        expected = self._next
        if number == expected:
            self._next = expected + 1
        elif number > expected:
            self._skip(expected, number)
            self._next = number + 1
        elif number in self._missing:
            del self._missing[number]
            self.reordered += 1
        else:
            self.duplicates += 1
            return False
        self.received += 1
        transit = now_ns - sent_ns
        if self._last_transit is not None:
            self.jitter_ns += (abs(transit - self._last_transit) - self.jitter_ns) / 16
        self._last_transit = transit
        return True

    def lost(self, sent: int) -> int:
        """How many of *sent* datagrams did not come."""
        return max(0, sent - self.received)

    def _skip(self, first: int, end: int) -> None:
        """*first* to *end* - 1 did not come yet."""
        missing = self._missing
        for number in range(max(first, end - MAX_MISSING), end):
            missing[number] = None
        while len(missing) > MAX_MISSING:
            del missing[next(iter(missing))]
