"""MemoryMonitor: how a machine's memory was used while something else was going on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from shakeout.errors import ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.extent import Extent, Range, shown_range
from shakeout.params import DurationParam, IntParam

_PRESSURE = ("cpu", "memory", "io")


class MemoryMonitorResult(TypedDict):
    """What MemoryMonitor found.

    Keys:
        total: bytes of memory that the machine has.
        available: bytes that could be had without swapping, as the kernel estimates it.
        used: total less available.
        swap_used: bytes.
        dirty: bytes that wait to be written to disks.
        pressure: for "memory", "cpu" and "io": percent of the time in which some task was stalled for want of it
            (PSI); empty where the kernel does not tell.
        sampling: how it kept its time.
    """

    total: int
    available: Range
    used: Range
    swap_used: Range
    dirty: Range
    pressure: dict[str, Range]
    sampling: Sampling


class MemoryMonitor(BaseTestModule):
    """Watch the memory; prints "watching the memory" once it does.

    In the background without *duration*, ``job.kill(signal.SIGINT)`` ends it with what came so far. The figures are
    those of the whole machine: hosts of the default laboratory share one. The result is a `MemoryMonitorResult`, the
    samples are the series "memory" in the journal.

    Examples:
        >>> monitor = m1.run(MemoryMonitor(interval=0.05, duration=0.1))
        >>> 0 < monitor.result["available"]["min"] < monitor.result["total"]
        True
    """

    result_units = {"total": "B", "available": "B", "used": "B", "swap_used": "B", "dirty": "B", "pressure": "%"}

    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample to the next")
    duration = DurationParam(minimum=0.01, desc="how long to watch; until stopped, if not given")
    min_available = IntParam(minimum=0, desc="bytes that must be available all the time")

    def run(self) -> MemoryMonitorResult:
        from shakeout.modules.machine.procstat import parse_meminfo

        first = parse_meminfo(Path("/proc/meminfo").read_text())
        if "MemAvailable" not in first:
            raise ModuleFailed("this host's kernel does not say how much memory is available (/proc/meminfo)")
        with Beat(self.interval, self.duration) as beat:
            watch = _Watch(self, beat, first)
            self._res_data = watch.result()
            print("watching the memory", flush=True)  # noqa: T201 - it is the module's output
            for moment in beat:
                watch.sample(moment)
            result = self._res_data = watch.result()
        least = result["available"]["min"]
        if self.min_available is not None and least < self.min_available:
            raise ModuleFailed(
                f"only {least:.0f} bytes of memory were available {watch.low_at:.3f} s after the beginning (at least "
                f"{self.min_available} must be)"
            )
        return result

    def format_result(self, result: Any) -> str:
        """In MiB, on one line."""
        try:
            parts = []
            for name in ("available", "used", "swap_used"):
                values = {key: round(value / 2**20, 1) for key, value in result[name].items()}
                parts.append(f"{name} {shown_range(Range(**values), 'MiB')}")  # type: ignore[typeddict-item]
            parts += [f"{name} pressure {shown_range(each, '%')}" for name, each in result["pressure"].items()]
            return ", ".join(parts)
        except (AttributeError, KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Watch:
    """The readings while it is watched, and what they add up to."""

    def __init__(self, module: MemoryMonitor, beat: Beat, first: dict[str, int]) -> None:
        self._beat = beat
        self._total = first.get("MemTotal", 0)
        self._extents = {name: Extent() for name in ("available", "used", "swap_used", "dirty")}
        self._stalled = _pressure()
        self._pressures = {name: Extent() for name in self._stalled}
        columns = dict.fromkeys(self._extents, "B") | {f"{name}_pressure": "%" for name in self._stalled}
        self._series = module.series("memory", **columns)
        self._least = float("inf")
        #: Seconds after the beginning at which least was available.
        self.low_at = 0.0
        self._add(_figures(first), 0.0)

    def sample(self, moment: int) -> None:
        """Read once more."""
        from shakeout.modules.machine.procstat import parse_meminfo

        figures = _figures(parse_meminfo(Path("/proc/meminfo").read_text()))
        self._add(figures, self._beat.elapsed)
        if not self._beat.whole:
            return
        before, self._stalled = self._stalled, _pressure()
        for name, extent in self._pressures.items():
            stalled = self._stalled.get(name, 0) - before.get(name, 0)
            share = min(100.0, max(0.0, stalled / 1e4 / max(1e-9, self._beat.elapsed)))
            extent.add(share, self._beat.elapsed)
            figures[f"{name}_pressure"] = share
        self._series.add(moment, **figures)

    def result(self) -> MemoryMonitorResult:
        """What it amounts to."""
        ranges: dict[str, Any] = {name: extent.range(0) for name, extent in self._extents.items()}
        pressure = {name: each for name, extent in self._pressures.items() if (each := extent.range()) is not None}
        return MemoryMonitorResult(
            total=self._total,
            available=ranges["available"],
            used=ranges["used"],
            swap_used=ranges["swap_used"],
            dirty=ranges["dirty"],
            pressure=pressure,
            sampling=self._beat.sampling(),
        )

    def _add(self, figures: dict[str, float], seconds: float) -> None:
        for name, extent in self._extents.items():
            extent.add(figures[name], seconds)
        if figures["available"] < self._least:
            self._least, self.low_at = figures["available"], self._beat.seconds()


def _figures(memory: dict[str, int]) -> dict[str, float]:
    available = memory.get("MemAvailable", 0)
    return {
        "available": float(available),
        "used": float(memory.get("MemTotal", 0) - available),
        "swap_used": float(memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)),
        "dirty": float(memory.get("Dirty", 0)),
    }


def _pressure() -> dict[str, int]:
    """Microseconds in which some task was stalled, by what it lacked; empty where the kernel does not tell."""
    from shakeout.modules.machine.procstat import parse_pressure

    found = {}
    for name in _PRESSURE:
        try:
            found[name] = parse_pressure(Path("/proc/pressure", name).read_text()).get("some", 0)
        except OSError:
            continue  # not built in, or switched off (then reading gives EOPNOTSUPP)
    return found
