"""Watchers and monitors beside a test: what happens on the hosts meanwhile becomes part of the verdict.

Run it with: shakeout run examples/watch_while_testing.py
"""

import signal

from shakeout import BaseRecipe, DeviceReq, HostReq
from shakeout.modules import CpuMonitor, CpuStress, InterfaceMonitor, LogWatch, Ping, ProcessMonitor, ProcessWatch


class WatchWhileTesting(BaseRecipe):
    """A ping between two hosts, while one of them is busy and much is looked at."""

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net")

    def test(self):
        m1, m2 = self.matched.m1, self.matched.m2
        for host, address in ((m1, "10.0.0.1/24"), (m2, "10.0.0.2/24")):
            host.eth0.ip_add(address)
            host.eth0.up()

        # A program to look at: it writes a line to its log each time that it is asked.
        server = m1.run("while read -r line; do echo served $line >> /tmp/server.log; done < <(sleep 600)", bg=True)

        # Each says "watching …" when it does; what happens from then on is not missed.
        watchers = [
            m1.run(InterfaceMonitor(interfaces=m1.eth0, interval=0.1, max_drops=0, max_errors=0), bg=True),
            m1.run(LogWatch(path="/tmp/server.log", forbid="ERROR|panic", note="served"), bg=True),
            m1.run(ProcessWatch(job=server), bg=True),
            m1.run(ProcessMonitor(job=server, interval=0.1, max_descriptor_growth=0), bg=True),
            m1.run(CpuMonitor(interval=0.1), bg=True),
        ]
        for watcher in watchers:
            watcher.wait_output("watching", timeout=10)

        stress = m1.run(CpuStress(workers=1, load=30), bg=True)
        stress.wait_output("stressing", timeout=10)
        m1.run("echo served by hand >> /tmp/server.log")
        m1.run(Ping(dst="10.0.0.2", count=10, interval=0.05))

        # SIGINT ends each in order, with all that it has found; one that found something wrong has failed.
        for job in (stress, *watchers):
            job.kill(signal.SIGINT)
            job.wait(timeout=10)

        interfaces, log, alive, used, cpu = (job.result for job in watchers)
        self.add_result(interfaces["interfaces"]["eth0"]["tx_packets"] >= 10, "the requests were counted")
        self.add_result(log["counts"]["served"] == 1, "the log was read")
        self.add_result(alive["alive"] == 1, "the server is alive")
        data = {
            "busy": cpu["total"]["busy"],
            "server's descriptors": used["descriptors"],
            "load": stress.result["load"],
        }
        self.add_result(None, "what was going on", data)
