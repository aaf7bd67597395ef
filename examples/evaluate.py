"""Measure over time, and judge what was measured: against limits, and against what it was before.

Run it with: shakeout run examples/evaluate.py

The first run records the baseline; `shakeout baselines list` shows it, and `--update-baseline` replaces it.
"""

import time
from pathlib import Path

from shakeout import Baseline, BaseRecipe, BaseTestModule, DeviceReq, FloatParam, HostReq, IntParam, Threshold
from shakeout.modules import Ping


class Load(BaseTestModule):
    """How busy the host's processors are, as the kernel counts it."""

    count = IntParam(default=10)
    interval = FloatParam(default=0.05)

    def run(self):
        series = self.series("load", runnable="1")
        for _ in range(self.params.count):
            _, _, _, processes, _ = Path("/proc/loadavg").read_text().split()
            series.add(runnable=int(processes.partition("/")[0]))
            time.sleep(self.params.interval)


class Evaluate(BaseRecipe):
    """Two hosts and a ping between them."""

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net1")

    rounds = IntParam(default=5, desc="how often to measure")

    def test(self):
        m1, m2 = self.matched.m1, self.matched.m2
        m1.eth0.ip_add("192.0.2.1/24")
        m2.eth0.ip_add("192.0.2.2/24")
        for host in (m1, m2):
            host.eth0.up()
        load = m2.run(Load(), bg=True)

        # Several measurements of one thing: their mean is known the better, the more there are.
        times = []
        for _ in range(self.params.rounds):
            job = m1.run(Ping(dst="192.0.2.2", count=5, interval=0.01))
            times.append(job.result["avg_ms"])
        self.evaluate("round trip", times, Threshold(at_most=20, unit="ms"), unit="ms")
        self.evaluate("round trip", times, Baseline("ping", tolerance="20 ms", better="lower", by=["arch"]), unit="ms")

        # What a test module measured over time, and can be asked while it still runs.
        load.series.wait("load", 3)
        load.wait()
        self.evaluate("processes on m2's processors", load.series["load"])
