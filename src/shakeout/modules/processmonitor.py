"""ProcessMonitor: what processes used while something else was going on, and whether it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.extent import Range, shown_range
from shakeout.modules.machine.selection import JobParam, Selection
from shakeout.params import BoolParam, DurationParam, IntParam, ListParam, StrParam

if TYPE_CHECKING:
    from shakeout.modules.machine.proctable import ProcessStat

#: Processes that a result lists by themselves; more are in the sums only.
MAX_LISTED = 200
#: What is measured, and its unit.
_UNITS = {"cpu": "%", "rss": "B", "threads": "1", "descriptors": "1", "read": "B/s", "written": "B/s", "processes": "1"}


class ProcessFigures(TypedDict):
    """One process.

    Keys:
        pid, name, command: what it is (the command line's first 200 characters).
        cpu_seconds: CPU time that it used while it was watched.
        rss_max: bytes. threads_max, descriptors_max: the most at one time (None: may not be known).
        ended: whether it had ended at the end.
    """

    pid: int
    name: str
    command: str
    cpu_seconds: float
    rss_max: int
    threads_max: int
    descriptors_max: int | None
    ended: bool


class Growth(TypedDict):
    """How far the least value of the last third of the time is above that of the first third."""

    rss: float
    threads: float
    descriptors: float
    processes: float


class ProcessMonitorResult(TypedDict):
    """What ProcessMonitor found.

    Keys:
        processes, threads, descriptors: how many there were, all together.
        cpu: percent of one CPU, all together.
        cpu_seconds: CPU time used, as far as samples saw it.
        rss: bytes of memory, all together; what they share counts for each.
        pss: the same, with what is shared divided by those that share it; only with *pss*.
        read, written: bytes per second from and to disks; None if that may not be known.
        growth: since *settle* seconds after the beginning; zeros if there was too little time.
        each: the single processes, the first 200; each_total counts the others, too.
        sampling: how it kept its time.
    """

    processes: Range | None
    threads: Range | None
    descriptors: Range | None
    cpu: Range | None
    cpu_seconds: float
    rss: Range | None
    pss: Range | None
    read: Range | None
    written: Range | None
    growth: Growth
    each: list[ProcessFigures]
    each_total: int
    sampling: Sampling


class ProcessMonitor(BaseTestModule):
    """Watch what processes use: CPU, memory, threads, descriptors, disk; prints "watching N processes" once it does.

    Which processes is said by *pids*, *name*, *cmdline*, or *job*: all processes of a background job on the same host
    and their children. Those that come later belong to it, too. In the background without *duration*,
    ``job.kill(signal.SIGINT)`` ends it with what came so far. The limits of growth find leaks: they compare the
    least value of the last third of the time with that of the first, so that what comes and goes does no harm. The
    result is a `ProcessMonitorResult`; the sums are the series "processes" in the journal.

    Examples:
        >>> server = m1.run(TcpListen(port=5001, connections=0), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> monitor = m1.run(ProcessMonitor(job=server, interval=0.02, duration=0.2, max_descriptor_growth=0))
        >>> monitor.result["processes"]["max"]
        1.0
    """

    pids = ListParam(IntParam(minimum=1), default=[], desc="processes by their numbers")
    name = StrParam(min_length=1, desc='name or pattern of names ("nginx*")')
    cmdline = StrParam(min_length=1, desc="regular expression, looked for in command lines")
    job = JobParam(desc="a background job on the same host")
    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample to the next")
    duration = DurationParam(minimum=0.01, desc="how long to watch; until stopped, if not given")
    pss = BoolParam(default=False, desc="proportional memory, too; costs the kernel milliseconds for a large process")
    settle = DurationParam(default=0.0, desc="growth counts from so long after the beginning")
    max_descriptor_growth = IntParam(minimum=0, desc="how many descriptors more there may be in the end")
    max_thread_growth = IntParam(minimum=0, desc="how many threads more there may be in the end")
    max_rss_growth = IntParam(minimum=0, desc="how many bytes of memory more there may be in the end")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._selection()

    def run(self) -> ProcessMonitorResult:
        selection = self._selection()
        processes = selection.current()
        if not processes:
            raise ModuleFailed(f"no process on this host is described by {selection}")
        with Beat(self.interval, self.duration) as beat:
            watch = _Watch(self, beat, processes)
            self._res_data = watch.result()
            print(f"watching {len(processes)} processes", flush=True)  # noqa: T201 - it is the module's output
            for moment in beat:
                watch.sample(moment, selection.current())
                if not watch.alive and selection.fixed:
                    beat.stop()
            result = self._res_data = watch.result()
        self._judge(result)
        return result

    def _selection(self) -> Selection:
        return Selection(type(self).__name__, self.pids, self.name, self.cmdline, self.job)

    def _judge(self, result: ProcessMonitorResult) -> None:
        growth = result["growth"]
        found = [
            f"{what} grew by {grown:.0f}{unit} (allowed are {most})"
            for what, grown, most, unit in (
                ("descriptors", growth["descriptors"], self.max_descriptor_growth, ""),
                ("threads", growth["threads"], self.max_thread_growth, ""),
                ("memory", growth["rss"], self.max_rss_growth, " bytes"),
            )
            if most is not None and grown > most
        ]
        if found:
            raise ModuleFailed(f"{'; '.join(found)} in {result['sampling']['seconds']:.3f} s")

    def format_result(self, result: Any) -> str:
        """The sums on one line, then the processes."""
        try:
            text = f"{shown_range(result['processes'])} processes, cpu {shown_range(result['cpu'], '%')}, "
            text += f"memory {shown_range(result['rss'], 'B')}, {shown_range(result['threads'])} threads, "
            text += f"{shown_range(result['descriptors'])} descriptors; grown by {result['growth']['rss']:.0f} B, "
            text += f"{result['growth']['threads']:.0f} threads, {result['growth']['descriptors']:.0f} descriptors"
            lines = [
                f"{each['pid']} {each['name']}: {each['cpu_seconds']:.2f} s CPU, at most {each['rss_max']} B, "
                f"{each['threads_max']} threads, {each['descriptors_max']} descriptors{' (ended)' * each['ended']}"
                for each in result["each"][:20]
            ]
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)
        return "\n".join([text, *lines])


class _Watch:
    """The processes while they are watched, and what they add up to."""

    def __init__(self, module: ProcessMonitor, beat: Beat, processes: list[ProcessStat]) -> None:
        from shakeout.modules.extent import Extent
        from shakeout.modules.trend import Trend

        self._module, self._beat = module, beat
        names = [*_UNITS, "pss"] if module.pss else list(_UNITS)
        self._extents = {name: Extent() for name in names}
        self._trends = {name: Trend() for name in ("rss", "threads", "descriptors", "processes")}
        self._series = module.series("processes", **(_UNITS | {"pss": "B"} if module.pss else _UNITS))
        #: By pid and start: a pid may be used again.
        self._each: dict[tuple[int, int], ProcessFigures] = {}
        self._cpu: dict[tuple[int, int], float] = {}
        self._io: dict[tuple[int, int], tuple[int, int]] = {}
        self._cpu_seconds = 0.0
        self._total = 0
        self.alive = len(processes)
        self._measure(processes, first=True)

    def sample(self, moment: int, processes: list[ProcessStat]) -> None:
        """Look once more."""
        sums = self._measure(processes, first=False)
        self.alive = len(processes)
        there = {(each.pid, each.start) for each in processes}
        for key, figures in self._each.items():
            figures["ended"] = key not in there
        for key in self._cpu.keys() - there:
            del self._cpu[key]
            self._io.pop(key, None)
        if not self._beat.whole:
            return
        seconds = max(1e-9, self._beat.elapsed)
        for name in ("cpu", "read", "written"):
            sums[name] /= seconds
        for name, extent in self._extents.items():
            extent.add(sums[name], seconds)
        self._series.add(moment, **sums)
        if self._beat.seconds() >= self._module.settle:
            for name, trend in self._trends.items():
                trend.add(sums[name])

    def result(self) -> ProcessMonitorResult:
        """What it amounts to."""
        ranges = {name: extent.range() for name, extent in self._extents.items()}
        growth: Any = {name: trend.growth() for name, trend in self._trends.items()}
        return ProcessMonitorResult(
            processes=ranges["processes"],
            threads=ranges["threads"],
            descriptors=ranges["descriptors"],
            cpu=ranges["cpu"],
            cpu_seconds=round(self._cpu_seconds, 3),
            rss=ranges["rss"],
            pss=ranges.get("pss"),
            read=ranges["read"],
            written=ranges["written"],
            growth=growth,
            each=list(self._each.values()),
            each_total=self._total,
            sampling=self._beat.sampling(),
        )

    def _measure(self, processes: list[ProcessStat], *, first: bool) -> dict[str, float]:
        """The sums over *processes*; CPU and disk since the last time, CPU as percent × seconds."""
        from shakeout.modules.machine import proctable

        sums = dict.fromkeys(self._extents, 0.0)
        sums["processes"] = float(len(processes))
        for stat in processes:
            key = stat.pid, stat.start
            opened = proctable.descriptors(stat.pid)
            # What has been started since the last look has used all its time since then.
            used = stat.cpu - self._cpu.get(key, stat.cpu if first else 0.0)
            self._cpu[key] = stat.cpu
            self._cpu_seconds += used
            sums["cpu"] += 100 * used
            sums["rss"] += stat.rss
            sums["threads"] += stat.threads
            sums["descriptors"] += opened or 0
            self._add_disk(key, sums, first=first)
            if self._module.pss:
                sums["pss"] += proctable.parse_fields(proctable.read(stat.pid, "smaps_rollup")).get("Pss", 0)
            self._note(key, stat, used, opened)
        return sums

    def _add_disk(self, key: tuple[int, int], sums: dict[str, float], *, first: bool) -> None:
        from shakeout.modules.machine import proctable

        fields = proctable.parse_fields(proctable.read(key[0], "io"))
        now = fields.get("read_bytes", 0), fields.get("write_bytes", 0)
        before = self._io.get(key, now if first else (0, 0))
        self._io[key] = now
        sums["read"] += max(0, now[0] - before[0])
        sums["written"] += max(0, now[1] - before[1])

    def _note(self, key: tuple[int, int], stat: ProcessStat, used: float, opened: int | None) -> None:
        from shakeout.modules.machine import proctable

        known = self._each.get(key)
        if known is None:
            self._total += 1
            if len(self._each) >= MAX_LISTED:
                return
            known = self._each[key] = ProcessFigures(
                pid=stat.pid, name=stat.name, command=proctable.command_line(stat.pid)[:200], cpu_seconds=0.0,
                rss_max=0, threads_max=0, descriptors_max=opened, ended=False,
            )  # fmt: skip
        known["cpu_seconds"] = round(known["cpu_seconds"] + used, 3)
        known["rss_max"] = max(known["rss_max"], stat.rss)
        known["threads_max"] = max(known["threads_max"], stat.threads)
        if opened is not None:
            known["descriptors_max"] = max(known["descriptors_max"] or 0, opened)
