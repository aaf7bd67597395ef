"""InterfaceMonitor: what network interfaces counted while something else was going on."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypedDict, cast

from shakeout.errors import ModuleFailed, did_you_mean
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.extent import Range, shown_range
from shakeout.params import BoolParam, DurationParam, IntParam, ListParam, Param

if TYPE_CHECKING:
    from shakeout.modules.machine.linkcounters import LinkCounters, LinkReading
    from shakeout.modules.machine.linktally import LinkTally

#: Events that a result lists; more are counted only.
MAX_EVENTS = 1000
#: Interfaces that get a series in the journal; the others are in the result only.
MAX_SERIES = 60
#: Up to so many interfaces are asked for one by one, which is quicker than asking for all of a host with many.
_SINGLY = 8


class InterfaceParam(Param[Any]):
    """An interface: its name, a shell pattern of names ("eth*"), or a device of the host."""

    def convert(self, value: object) -> Any:
        if isinstance(value, str) and 0 < len(value.encode()) <= 64 and not set(value) & set("/ \t\n\0"):
            return value
        kind = type(value)
        if isinstance(value, str) or not (hasattr(kind, "if_index") and hasattr(kind, "hwaddr")):
            raise self.expected()
        return value

    def accepts(self) -> str:
        return "the name of an interface, a pattern of names (eth*), or a device (m1.eth0)"


class InterfacesParam(ListParam[list[Any]]):
    """Interfaces; a single device needs no list around it."""

    def convert(self, value: object) -> Any:
        return super().convert([value] if hasattr(type(value), "if_index") else value)


class InterfaceFigures(TypedDict):
    """What one interface counted while it was watched.

    Keys:
        rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped, multicast,
            collisions: totals, by the kernel's names.
        carrier_changes: how often the carrier came or went.
        rx_rate, tx_rate: bit/s. rx_packet_rate, tx_packet_rate: packets per second. None if it was there too briefly.
        driver: counters of the driver's own (``ethtool -S``) that have changed.
        present: whether it was there at the end.
    """

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int
    multicast: int
    collisions: int
    carrier_changes: int
    rx_rate: Range | None
    tx_rate: Range | None
    rx_packet_rate: Range | None
    tx_packet_rate: Range | None
    driver: dict[str, int]
    present: bool


class InterfaceEvent(TypedDict):
    """Something that happened to an interface.

    Keys:
        at: seconds after the beginning.
        time_ns: the host's CLOCK_REALTIME.
        interface, what: "eth0", "carrier lost".
    """

    at: float
    time_ns: int
    interface: str
    what: str


class InterfaceMonitorResult(TypedDict):
    """What InterfaceMonitor found.

    Keys:
        interfaces: by name, each that was there for a while.
        events: in order, the first 1000; events_total counts the others, too.
        sampling: how it kept its time.
    """

    interfaces: dict[str, InterfaceFigures]
    events: list[InterfaceEvent]
    events_total: int
    sampling: Sampling


class InterfaceMonitor(BaseTestModule):
    """Watch the counters of network interfaces; prints "watching NAMES" once it does.

    In the background without *duration*, ``job.kill(signal.SIGINT)`` ends it with what came so far. Changes of
    the carrier, and interfaces that come, go or are renamed, are events of the kernel: none is missed between two
    samples. It fails if a limit is passed; the limits are for each interface. The result is an
    `InterfaceMonitorResult`; the rates are a series in the journal for each of the first 60 interfaces.

    Examples:
        >>> monitor = m1.run(InterfaceMonitor(interfaces="lo", interval=0.05, max_drops=0), bg=True)
        >>> monitor.wait_output("watching")
        <re.Match object; span=(0, 8), match='watching'>
        >>> job = m1.run(Ping(dst="127.0.0.1", count=3, interval=0.01))
        >>> monitor.kill(signal.SIGINT)
        >>> monitor.wait(timeout=10)
        True
        >>> monitor.result["interfaces"]["lo"]["rx_packets"]  # requests and answers
        6
    """

    interfaces = InterfacesParam(InterfaceParam(), default=[], desc="names, patterns or devices; all, if none is given")
    interval = DurationParam(default=1.0, minimum=0.001, desc="from one sample to the next")
    duration = DurationParam(minimum=0.001, desc="how long to watch; until stopped, if not given")
    later = BoolParam(default=False, desc="interfaces that are named may appear later")
    driver = BoolParam(default=True, desc="counters of the drivers, too, read at the beginning and the end")
    max_drops = IntParam(minimum=0, desc="packets that may be dropped, both directions together")
    max_errors = IntParam(minimum=0, desc="errors that there may be, both directions together")
    max_carrier_changes = IntParam(minimum=0, desc="how often the carrier may come or go")

    def run(self) -> InterfaceMonitorResult:
        from shakeout.modules.machine.linkcounters import LinkCounters

        with LinkCounters() as counters, Beat(self.interval, self.duration) as beat:
            watch = _Watch(self, counters, beat)
            self._res_data = watch.result
            try:
                watch.follow()
            finally:
                watch.conclude()
        if broken := watch.broken():
            raise ModuleFailed("; ".join(broken))
        return watch.result

    def format_result(self, result: Any) -> str:
        """A line for each interface, then the events."""
        try:
            lines = [
                f"{name}: received {each['rx_packets']} packets, {each['rx_bytes']} bytes, sent {each['tx_packets']} "
                f"packets, {each['tx_bytes']} bytes, {each['rx_dropped'] + each['tx_dropped']} dropped, "
                f"{each['rx_errors'] + each['tx_errors']} errors, rx {shown_range(each['rx_rate'], 'bit/s')}, "
                f"tx {shown_range(each['tx_rate'], 'bit/s')}"
                for name, each in result["interfaces"].items()
            ]
            lines += [f"{each['at']:.3f} s: {each['interface']} {each['what']}" for each in result["events"][:20]]
            more = result["events_total"] - 20
            return "\n".join([*lines, f"and {more} more events"] if more > 0 else lines)
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Watch:
    """All that is watched, while it is."""

    def __init__(self, module: InterfaceMonitor, counters: LinkCounters, beat: Beat) -> None:
        self._module, self._counters, self._beat = module, counters, beat
        self._wanted = [str(each) for each in module.interfaces]
        self._tallies: dict[str, LinkTally] = {}
        self._present: dict[int, LinkTally] = {}
        self._series: dict[str, Any] = {}
        self._drivers: dict[str, dict[str, int]] = {}
        #: Interface and what there was too much of -> seconds after the beginning at which the limit was passed.
        self._passed: dict[tuple[str, str], float] = {}
        self.result = InterfaceMonitorResult(interfaces={}, events=[], events_total=0, sampling=beat.sampling())

    def follow(self) -> None:
        """Until the end."""
        readings = self._counters.every()
        for reading in readings:
            self._found(reading)
        self._refuse_unknown([reading.name for reading in readings])
        self._beat.attend(self._counters.fileno(), self._hear)
        print(f"watching {', '.join(self._tallies) or 'for interfaces'}", flush=True)  # noqa: T201
        for moment in self._beat:
            self._hear()
            for reading in self._read():
                self._take(reading)
            if self._beat.whole:
                for tally in self._tallies.values():
                    self._sample(moment, tally)

    def conclude(self) -> None:
        """Put the figures into the result."""
        for name, tally in self._tallies.items():
            self.result["interfaces"][name] = self._figures(tally)
        self.result["sampling"] = self._beat.sampling()

    def _refuse_unknown(self, names: list[str]) -> None:
        for wanted in self._wanted:
            if wanted not in names and not self._module.later and not set(wanted) & set("*?["):
                near = did_you_mean(wanted, names)
                raise ModuleFailed(f"this host has no interface {wanted!r}{near}; give later=True if it appears later")

    def _wants(self, name: str) -> bool:
        return not self._wanted or any(name == each or fnmatchcase(name, each) for each in self._wanted)

    def _found(self, reading: LinkReading) -> LinkTally | None:
        """The tally for an interface that is there and was not known; None if it is not wanted."""
        from shakeout.modules.machine.linktally import LinkTally

        if not self._wants(reading.name):
            return None
        tally = self._tallies.get(reading.name)
        if tally is None:
            tally = self._tallies[reading.name] = LinkTally(reading, self._tell)
            if len(self._series) < MAX_SERIES:
                self._series[reading.name] = self._module.series(
                    reading.name, rx="bit/s", tx="bit/s", rx_packets="1/s", tx_packets="1/s", errors="1/s", drops="1/s"
                )  # fmt: skip
        elif tally.present:
            return None  # another one has got its name in exchange; events tell
        else:
            tally.returned(reading)
        self._present[reading.number] = tally
        if self._module.driver:
            from shakeout.modules.machine.ethtoolstats import driver_counters

            self._drivers.setdefault(reading.name, driver_counters(reading.name))
        return tally

    def _hear(self) -> None:
        readings, lost = self._counters.changes()
        for reading in readings:
            self._take(reading)
        if lost:
            current = self._counters.every()
            there = {reading.number for reading in current}
            for tally in [each for index, each in self._present.items() if index not in there]:
                self._take(tally.farewell())
            for reading in current:
                self._take(reading)

    def _read(self) -> list[LinkReading]:
        if len(self._present) <= _SINGLY:
            return [reading for index in self._present if (reading := self._counters.one(index)) is not None]
        return [reading for reading in self._counters.every() if reading.number in self._present]

    def _take(self, reading: LinkReading) -> None:
        from shakeout.modules.machine.linkcounters import DELLINK

        tally = self._present.get(reading.number)
        if tally is None:
            if reading.kind != DELLINK and self._found(reading) is not None:
                self._tell(reading.name, "appeared")
            return
        tally.take(reading)
        if not tally.present:
            del self._present[reading.number]
        for what, count, most in self._limits(tally):
            if most is not None and count > most:
                self._passed.setdefault((tally.name, what), self._beat.seconds())

    def _limits(self, tally: LinkTally) -> tuple[tuple[str, int, int | None], ...]:
        """What is limited: in words, how much there was of it, and how much may be."""
        module = self._module
        return (
            ("packets dropped", tally.drops, module.max_drops),
            ("errors", tally.errors, module.max_errors),
            ("changes of the carrier", tally.carrier_changes, module.max_carrier_changes),
        )

    def broken(self) -> list[str]:
        """The limits that were passed, in words."""
        return [
            f"{name} had {count} {what} (allowed are {most}; more since {since:.3f} s after the beginning)"
            for (name, passed), since in self._passed.items()
            for what, count, most in self._limits(self._tallies[name])
            if what == passed
        ]

    def _tell(self, name: str, what: str) -> None:
        self.result["events_total"] += 1
        if len(self.result["events"]) < MAX_EVENTS:
            at = round(self._beat.seconds(), 6)
            self.result["events"].append(InterfaceEvent(at=at, time_ns=time.time_ns(), interface=name, what=what))

    def _sample(self, moment: int, tally: LinkTally) -> None:
        rates = tally.rates(max(1e-9, self._beat.elapsed))
        if tally.present and tally.name in self._series:
            self._series[tally.name].add(moment, **rates._asdict())

    def _figures(self, tally: LinkTally) -> InterfaceFigures:
        from shakeout.modules.machine.linkcounters import COUNTERS

        ranges = tally.ranges()
        figures: Any = dict(zip(COUNTERS, tally.totals, strict=True))
        figures |= {
            "carrier_changes": tally.carrier_changes,
            "rx_rate": ranges["rx"],
            "tx_rate": ranges["tx"],
            "rx_packet_rate": ranges["rx_packets"],
            "tx_packet_rate": ranges["tx_packets"],
            "driver": self._driver_changes(tally),
            "present": tally.present,
        }
        return cast("InterfaceFigures", figures)

    def _driver_changes(self, tally: LinkTally) -> dict[str, int]:
        if not self._module.driver or not tally.present:
            return {}
        from shakeout.modules.machine.ethtoolstats import driver_counters

        before = self._drivers.get(tally.name, {})
        after = driver_counters(tally.current_name)
        return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
