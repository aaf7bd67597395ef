"""CpuMonitor: what the processors of a machine did while something else was going on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.extent import Range, shown_range
from shakeout.params import BoolParam, DurationParam, FloatParam

if TYPE_CHECKING:
    from shakeout.modules.extent import Extent
    from shakeout.modules.machine.procstat import MachineStat
    from shakeout.modules.series import Series

#: Single CPUs that get a series in the journal; those beyond are in the result only.
MAX_SERIES = 60

_SHOWN = ("busy", "user", "nice", "system", "irq", "softirq", "iowait", "steal", "idle")


class CpuUse(TypedDict):
    """Where the time of one CPU, or of all together, went: percent of it, over the intervals.

    Keys:
        busy: all but idle and iowait.
        user, nice, system, irq, softirq, iowait, steal, idle: as in proc(5).
    """

    busy: Range
    user: Range
    nice: Range
    system: Range
    irq: Range
    softirq: Range
    iowait: Range
    steal: Range
    idle: Range


class CpuMonitorResult(TypedDict):
    """What CpuMonitor found.

    Keys:
        cpus: how many the machine has in use.
        total: all together, 100 % is all of them busy; None if it ended before a tick of the kernel's clock.
        each: the single ones by name ("cpu0"), with *each_cpu*; those that were there at the beginning.
        load: the load average over one minute, as the kernel has it.
        running: tasks that run or could run, at the moments of the samples.
        context_switches, interrupts, forks: a second.
        sampling: how it kept its time.
    """

    cpus: int
    total: CpuUse | None
    each: dict[str, CpuUse]
    load: Range | None
    running: Range | None
    context_switches: Range | None
    interrupts: Range | None
    forks: Range | None
    sampling: Sampling


class CpuMonitor(BaseTestModule):
    """Watch how busy the processors are; prints "watching N CPUs" once it does.

    In the background without *duration*, ``job.kill(signal.SIGINT)`` ends it with what came so far. The figures are
    those of the whole machine, from /proc/stat: hosts of the default laboratory are namespaces of one machine and
    share its processors, so each of them shows the same. The kernel counts in ticks of 10 ms: intervals of less than
    0.1 s are coarse. The result is a `CpuMonitorResult`, the samples are series in the journal ("cpu", and "cpu0" …).

    Examples:
        >>> monitor = m1.run(CpuMonitor(interval=0.1, duration=0.3))
        >>> monitor.result["sampling"]["samples"]
        3
        >>> 0 <= monitor.result["total"]["busy"]["avg"] <= 100
        True
    """

    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample to the next")
    duration = DurationParam(minimum=0.01, desc="how long to watch; until stopped, if not given")
    each_cpu = BoolParam(default=False, desc="each CPU by itself, too")
    max_busy = FloatParam(minimum=0.0, maximum=100.0, desc="percent that all together may be busy in the mean")

    def run(self) -> CpuMonitorResult:
        with Beat(self.interval, self.duration) as beat:
            watch = _Watch(self, beat)
            try:
                watch.follow()
            finally:
                result = watch.result()
                self._res_data = result
        if self.max_busy is not None and result["total"] is not None:
            busy = result["total"]["busy"]
            if busy["avg"] > self.max_busy:
                raise ModuleFailed(
                    f"the CPUs were busy for {busy['avg']:g} % of the time (allowed are {self.max_busy:g} %)"
                )
        return result

    def format_result(self, result: Any) -> str:
        """A line for all CPUs, and one for each if they are there."""
        try:
            named = {f"{result['cpus']} CPUs": result["total"], **result["each"]}
            lines = [
                f"{name}: busy {shown_range(use['busy'], '%')}, user {use['user']['avg']:g}, system "
                f"{use['system']['avg']:g}, softirq {use['softirq']['avg']:g}, iowait {use['iowait']['avg']:g}, steal "
                f"{use['steal']['avg']:g} % in the mean"
                for name, use in named.items()
                if use is not None
            ]
            lines.append(
                f"load {shown_range(result['load'])}, {shown_range(result['context_switches'])} switches a second"
            )
        except (AttributeError, KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)
        return "\n".join(lines)


class _Watch:
    """The readings while it is watched, and what they add up to."""

    def __init__(self, module: CpuMonitor, beat: Beat) -> None:
        from shakeout.modules.extent import Extent

        self._module, self._beat = module, beat
        self._last = _read()
        names = ["cpu", *sorted(_single(self._last), key=_number)] if module.each_cpu else ["cpu"]
        self._uses = {name: {kind: Extent() for kind in _SHOWN} for name in names}
        self._extents = {name: Extent() for name in ("load", "running", "context_switches", "interrupts", "forks")}
        self._series: dict[str, Series] = {
            name: module.series(name, **dict.fromkeys(_SHOWN, "%")) for name in names[: MAX_SERIES + 1]
        }
        self._machine = module.series("machine", load="1", running="1", context_switches="1/s", interrupts="1/s")

    def follow(self) -> None:
        """Until the end."""
        print(f"watching {len(_single(self._last))} CPUs", flush=True)  # noqa: T201
        for moment in self._beat:
            if self._beat.whole:
                self._sample(moment, max(1e-9, self._beat.elapsed))

    def result(self) -> CpuMonitorResult:
        """What it amounts to."""
        ranges = {name: extent.range() for name, extent in self._extents.items()}
        each = {name: use for name, extents in self._uses.items() if (use := _use(extents)) is not None}
        return CpuMonitorResult(
            cpus=len(_single(self._last)),
            total=each.pop("cpu", None),
            each=each,
            load=ranges["load"],
            running=ranges["running"],
            context_switches=ranges["context_switches"],
            interrupts=ranges["interrupts"],
            forks=ranges["forks"],
            sampling=self._beat.sampling(),
        )

    def _sample(self, moment: int, seconds: float) -> None:
        from shakeout.modules.machine.procstat import parse_load, shares

        before, self._last = self._last, _read()
        for name, extents in self._uses.items():
            if name not in before.cpus or name not in self._last.cpus:
                continue  # it was taken out of use
            found = shares(before.cpus[name], self._last.cpus[name])
            if found is None:
                continue
            for kind, extent in extents.items():
                extent.add(found[kind], seconds)
            if name in self._series:
                self._series[name].add(moment, **{kind: found[kind] for kind in _SHOWN})
        values = {
            "load": parse_load(Path("/proc/loadavg").read_text())[0],
            "running": float(self._last.running),
            "context_switches": (self._last.context_switches - before.context_switches) / seconds,
            "interrupts": (self._last.interrupts - before.interrupts) / seconds,
        }
        self._machine.add(moment, **values)
        values["forks"] = (self._last.forks - before.forks) / seconds
        for name, value in values.items():
            self._extents[name].add(value, seconds)


def _read() -> MachineStat:
    from shakeout.modules.machine.procstat import parse_stat

    return parse_stat(Path("/proc/stat").read_text())


def _single(stat: MachineStat) -> list[str]:
    return [name for name in stat.cpus if name != "cpu"]


def _number(name: str) -> int:
    return int(name[3:]) if name[3:].isdecimal() else 0


def _use(extents: dict[str, Extent]) -> CpuUse | None:
    found: dict[str, Any] = {kind: extent.range() for kind, extent in extents.items()}
    return None if found["busy"] is None else CpuUse(**found)  # type: ignore[typeddict-item]
