"""DiskMonitor: what block devices did while something else was going on."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import ModuleFailed, did_you_mean
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.extent import Extent, Range, shown_range
from shakeout.params import DurationParam, ListParam, StrParam

if TYPE_CHECKING:
    from shakeout.modules.machine.procstat import DiskStat
    from shakeout.modules.series import Series

#: Disks that get a series in the journal; those beyond are in the result only.
MAX_SERIES = 60
_RATES = {"reads": "1/s", "writes": "1/s", "read_rate": "B/s", "write_rate": "B/s", "busy": "%"}


class DiskFigures(TypedDict):
    """What one disk did.

    Keys:
        reads, writes: requests; read_bytes, written_bytes: of these.
        read_ms, write_ms: how long a request took in the mean, in milliseconds; None if there was none.
        read_rate, write_rate: bytes per second.
        busy: percent of the time in which it had something to do.
    """

    reads: int
    writes: int
    read_bytes: int
    written_bytes: int
    read_ms: float | None
    write_ms: float | None
    read_rate: Range | None
    write_rate: Range | None
    busy: Range | None


class DiskMonitorResult(TypedDict):
    """What DiskMonitor found: by name of the disk, and how it kept its time."""

    disks: dict[str, DiskFigures]
    sampling: Sampling


class DiskMonitor(BaseTestModule):
    """Watch block devices; prints "watching NAMES" once it does.

    In the background without *duration*, ``job.kill(signal.SIGINT)`` ends it with what came so far. The disks are
    those of the whole machine, from /proc/diskstats: hosts of the default laboratory share them. The result is a
    `DiskMonitorResult`, the samples are a series in the journal for each disk.

    Examples:
        >>> monitor = m1.run(DiskMonitor(interval=0.05, duration=0.1))
        >>> sorted(monitor.result)
        ['disks', 'sampling']
    """

    disks = ListParam(
        StrParam(min_length=1),
        default=[],
        desc='names or patterns ("sd*"); if none is given, all but loop and ram ones that did nothing yet',
    )
    result_units = {"read_rate": "B/s", "write_rate": "B/s", "busy": "%"}

    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample to the next")
    duration = DurationParam(minimum=0.01, desc="how long to watch; until stopped, if not given")

    def run(self) -> DiskMonitorResult:
        with Beat(self.interval, self.duration) as beat:
            watch = _Watch(self, beat)
            for moment in beat:
                watch.sample(moment)
                self._res_data = watch.result()
            return watch.result()

    def format_result(self, result: Any) -> str:
        """A line for each disk."""
        try:
            return "\n".join(
                f"{name}: {each['reads']} reads, {each['read_bytes']} bytes, {each['writes']} writes, "
                f"{each['written_bytes']} bytes, busy {shown_range(each['busy'], '%')}"
                for name, each in result["disks"].items()
            )
        except (AttributeError, KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Watch:
    """The readings while it is watched, and what they add up to."""

    def __init__(self, module: DiskMonitor, beat: Beat) -> None:
        self._beat = beat
        self._first = self._last = self._rated = self._chosen(module.disks, _read())
        self._extents = {name: {rate: Extent() for rate in _RATES} for name in self._first}
        self._series: dict[str, Series] = {
            name: module.series(name, **_RATES) for name in list(self._first)[:MAX_SERIES]
        }
        print(f"watching {', '.join(self._first) or 'no disks: there are none'}", flush=True)  # noqa: T201

    def sample(self, moment: int) -> None:
        """Read once more."""
        found = _read()
        self._last = {name: found.get(name, stat) for name, stat in self._last.items()}
        if self._beat.whole:
            before, self._rated = self._rated, self._last
            for name, extents in self._extents.items():
                rates = _rates(before[name], self._rated[name], max(1e-9, self._beat.elapsed))
                for rate, extent in extents.items():
                    extent.add(rates[rate], self._beat.elapsed)
                if name in self._series:
                    self._series[name].add(moment, **rates)

    def result(self) -> DiskMonitorResult:
        """What it amounts to."""
        disks = {name: self._figures(name, stat, self._last[name]) for name, stat in self._first.items()}
        return DiskMonitorResult(disks=disks, sampling=self._beat.sampling())

    def _chosen(self, wanted: list[str], found: dict[str, DiskStat]) -> dict[str, DiskStat]:
        if not wanted:
            return {
                name: stat
                for name, stat in found.items()
                if any(stat) or not name.startswith(("loop", "ram", "zram", "nbd"))
            }
        for pattern in wanted:
            if not any(fnmatchcase(name, pattern) for name in found):
                raise ModuleFailed(f"this host has no disk {pattern!r}{did_you_mean(pattern, found)}")
        return {name: stat for name, stat in found.items() if any(fnmatchcase(name, each) for each in wanted)}

    def _figures(self, name: str, before: DiskStat, after: DiskStat) -> DiskFigures:
        reads, writes, read, written, read_ms, write_ms, _ = _grown(before, after)
        extents = self._extents[name]
        return DiskFigures(
            reads=reads,
            writes=writes,
            read_bytes=read,
            written_bytes=written,
            read_ms=round(read_ms / reads, 3) if reads else None,
            write_ms=round(write_ms / writes, 3) if writes else None,
            read_rate=extents["read_rate"].range(0),
            write_rate=extents["write_rate"].range(0),
            busy=extents["busy"].range(),
        )


def _rates(before: DiskStat, after: DiskStat, seconds: float) -> dict[str, float]:
    reads, writes, read, written, _, _, busy = _grown(before, after)
    return {
        "reads": reads / seconds,
        "writes": writes / seconds,
        "read_rate": read / seconds,
        "write_rate": written / seconds,
        "busy": min(100.0, busy / 10 / seconds),
    }


def _grown(before: DiskStat, after: DiskStat) -> tuple[int, ...]:
    from shakeout.modules.machine.procstat import counted

    return tuple(counted(old, new) for old, new in zip(before, after, strict=True))


def _read() -> dict[str, DiskStat]:
    from shakeout.modules.machine.procstat import parse_disks

    try:
        return parse_disks(Path("/proc/diskstats").read_text())
    except FileNotFoundError:
        return {}
