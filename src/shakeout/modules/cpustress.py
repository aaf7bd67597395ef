"""CpuStress: keep processors busy."""

from __future__ import annotations

import os
import time
from typing import Any, TypedDict

from shakeout.errors import ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.extent import Extent, Range, shown_range
from shakeout.params import DurationParam, FloatParam, IntParam, ListParam

#: Seconds in which a worker is busy once and idle once.
_PERIOD = 0.05


class CpuStressResult(TypedDict):
    """What CpuStress did.

    Keys:
        workers: how many processes.
        cpu_seconds: that they used, all together.
        load: percent of one CPU that a worker reached in the mean; less than asked for if others wanted the CPUs, too.
        load_range: the same for each interval.
        sampling: how it kept its time.
    """

    workers: int
    cpu_seconds: float
    load: float
    load_range: Range | None
    sampling: Sampling


class CpuStress(BaseTestModule):
    """Keep processors busy; prints "stressing N CPUs" once it does.

    Each worker is a process that uses *load* percent of one CPU. In the background without *duration*,
    ``job.kill(signal.SIGINT)`` ends it with what it did so far; however it ends, the workers end with it. Hosts of
    the default laboratory share the machine's processors, so all of them feel it. The result is a `CpuStressResult`.

    Examples:
        >>> stress = m1.run(CpuStress(workers=1, load=50, duration=0.5, interval=0.1))
        >>> 0 < stress.result["load"] <= 60
        True
    """

    workers = IntParam(default=0, minimum=0, maximum=4096, desc="processes; 0: one for each CPU that may be used")
    load = FloatParam(default=100.0, minimum=0.1, maximum=100.0, desc="percent of one CPU that each uses")
    affinity = ListParam(IntParam(minimum=0), default=[], desc="CPUs to run on, each worker on one of them in turn")
    nice = IntParam(
        default=0, minimum=-20, maximum=19, desc="how much the workers leave to others (below 0: root only)"
    )
    interval = DurationParam(default=1.0, minimum=0.05, desc="from one sample to the next")
    duration = DurationParam(minimum=0.01, desc="how long; until stopped, if not given")

    def run(self) -> CpuStressResult:
        from shakeout.modules.workers import Workers

        count = self.workers or len(self.affinity or os.sched_getaffinity(0))
        self._check_affinity()
        series = self.series("load", load="%")
        extent = Extent()
        with Beat(self.interval, self.duration) as beat, Workers(count, self._burn, counters=1) as workers:
            workers.attend(beat)
            print(f"stressing {count} CPUs", flush=True)  # noqa: T201 - it is the module's output
            last = 0.0
            for moment in beat:
                used = sum(workers.cpu())
                if beat.whole:
                    load = max(0.0, 100 * (used - last) / count / max(1e-9, beat.elapsed))
                    last = used
                    extent.add(load, beat.elapsed)
                    series.add(moment, load=load)
                self._res_data = self._result(count, used, extent, beat)
        result: CpuStressResult = self._res_data
        return result

    def _result(self, count: int, used: float, extent: Extent, beat: Beat) -> CpuStressResult:
        return CpuStressResult(
            workers=count,
            cpu_seconds=round(used, 3),
            load=round(100 * used / count / max(1e-9, beat.seconds()), 2),
            load_range=extent.range(2),
            sampling=beat.sampling(),
        )

    def _check_affinity(self) -> None:
        usable = os.sched_getaffinity(0)
        wrong = [str(cpu) for cpu in self.affinity if cpu not in usable]
        if wrong:
            known = ", ".join(map(str, sorted(usable)))
            raise ModuleFailed(f"CPU {', '.join(wrong)} cannot be used on this host; these can: {known}")

    def _burn(self, number: int, counters: memoryview) -> None:
        """In a worker: busy for a part of each period, measured by the CPU time that it really got."""
        if self.affinity:
            os.sched_setaffinity(0, [self.affinity[number % len(self.affinity)]])
        if self.nice:
            os.setpriority(os.PRIO_PROCESS, 0, self.nice)
        while self.load >= 100:
            _spin()
        end = time.monotonic()
        while True:
            end += _PERIOD
            # What is missing from earlier periods is not made up for, or a busy host would be followed by a peak.
            goal = time.process_time() + _PERIOD * self.load / 100
            while time.process_time() < goal and time.monotonic() < end:
                _spin()
            left = end - time.monotonic()
            if left > 0:
                time.sleep(left)
            else:
                end -= left  # behind: the next period begins now

    def format_result(self, result: Any) -> str:
        """ "2 workers used 3.1 s of CPU, 97/98/99 % each"."""
        try:
            return (
                f"{result['workers']} workers used {result['cpu_seconds']:g} s of CPU, "
                f"{result['load']:g} % of one each ({shown_range(result['load_range'], '%')})"
            )
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


def _spin() -> None:
    """Some 50 µs of work."""
    value = 1
    for _ in range(600):
        value = value * 48271 % 2147483647
