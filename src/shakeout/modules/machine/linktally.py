"""What interfaces have counted since a moment, added up over resets, wraps, disappearing and coming back. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from shakeout.modules.extent import Extent, Range
from shakeout.modules.machine.linkcounters import COUNTERS, DELLINK, LinkReading
from shakeout.modules.machine.procstat import counted

_RX_PACKETS, _TX_PACKETS, _RX_BYTES, _TX_BYTES = range(4)
_ERRORS, _DROPS = slice(4, 6), slice(6, 8)
#: Counters whose growth is an event, in words.
_TROUBLE = {
    4: "receive errors",
    5: "transmit errors",
    6: "received packets dropped",
    7: "packets to send dropped",
}
NOTHING = (0,) * len(COUNTERS)

#: Takes the interface and what happened to it.
Tell = Callable[[str, str], None]


class Rates(NamedTuple):
    """Over one interval: bits and packets per second, and errors and drops of both directions per second."""

    rx: float
    tx: float
    rx_packets: float
    tx_packets: float
    errors: float
    drops: float


class LinkTally:
    """One interface, under the name that it had when it was first seen."""

    def __init__(self, reading: LinkReading, tell: Tell) -> None:
        self.name = reading.name
        self.present = True
        self.totals = [0] * len(COUNTERS)
        self.carrier_changes = 0
        self._extents = [Extent() for _ in Rates._fields]
        self._since = [0] * len(COUNTERS)
        self._last = reading
        self._base = reading.counters or NOTHING
        self._tell = tell

    @property
    def index(self) -> int:
        """The interface's index, the last one if it is gone."""
        return self._last.number

    @property
    def current_name(self) -> str:
        """What the interface is called now."""
        return self._last.name

    def farewell(self) -> LinkReading:
        """The reading of an interface that has gone without a word."""
        return self._last._replace(kind=DELLINK, counters=())

    @property
    def errors(self) -> int:
        """Errors of both directions so far."""
        return sum(self.totals[_ERRORS])

    @property
    def drops(self) -> int:
        """Drops of both directions so far."""
        return sum(self.totals[_DROPS])

    def returned(self, reading: LinkReading) -> None:
        """An interface of this name is there again: it counts from what it says now."""
        self._last, self._base, self.present = reading, reading.counters or NOTHING, True

    def take(self, reading: LinkReading) -> None:
        """Add what *reading* has more than the one before."""
        before, self._last = self._last, reading
        if reading.counters:
            self._count(reading.counters)
        if reading.kind == DELLINK:
            self.present = False
            self._tell(self.name, "disappeared")
            return
        if reading.name != before.name:
            self._tell(self.name, f"was renamed from {before.name} to {reading.name}")
        if reading.up != before.up:
            self._tell(self.name, "was set up" if reading.up else "was set down")
        changes = counted(before.carrier_changes, reading.carrier_changes)
        self.carrier_changes += changes
        if changes == 1 and reading.carrier != before.carrier:
            self._tell(self.name, "carrier came" if reading.carrier else "carrier lost")
        elif changes:
            self._tell(self.name, f"carrier changed {changes} times, now {'there' if reading.carrier else 'lost'}")

    def rates(self, seconds: float) -> Rates:
        """The rates since the last call, over *seconds*; they become part of the ranges."""
        since, self._since = self._since, [0] * len(COUNTERS)
        found = Rates(
            since[_RX_BYTES] * 8 / seconds,
            since[_TX_BYTES] * 8 / seconds,
            since[_RX_PACKETS] / seconds,
            since[_TX_PACKETS] / seconds,
            sum(since[_ERRORS]) / seconds,
            sum(since[_DROPS]) / seconds,
        )
        for extent, value in zip(self._extents, found, strict=True):
            extent.add(value, seconds)
        return found

    def ranges(self) -> dict[str, Range | None]:
        """Rate -> what it was like over time."""
        return {name: extent.range() for name, extent in zip(Rates._fields, self._extents, strict=True)}

    def _count(self, counters: tuple[int, ...]) -> None:
        reset = any(
            new < old and counted(old, new) == new for old, new in zip(self._base, counters, strict=True)
        )  # fmt: skip
        for number, (old, new) in enumerate(zip(self._base, counters, strict=True)):
            more = counted(old, new)
            self.totals[number] += more
            self._since[number] += more
            if more and number in _TROUBLE:
                self._tell(self.name, f"{more} {_TROUBLE[number]}")
        self._base = counters
        if reset:
            self._tell(self.name, "its counters began anew")
