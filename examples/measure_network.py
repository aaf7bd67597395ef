"""Throughput, a web server, a name server, and connections through a fail-over, with nothing installed on the hosts.

Run it with: shakeout run examples/measure_network.py
"""

import signal

from shakeout import BaseRecipe, DeviceReq, HostReq, Threshold
from shakeout.modules import (
    DnsLookup,
    DnsServe,
    HttpGet,
    HttpServe,
    KeepConnections,
    TcpListen,
    ThroughputClient,
    ThroughputServer,
)


class MeasureNetwork(BaseRecipe):
    """What two hosts have of the link between them."""

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net")

    def test(self):
        m1, m2 = self.matched.m1, self.matched.m2
        for host, address in ((m1, "10.0.0.1/24"), (m2, "10.0.0.2/24")):
            host.eth0.ip_add(address)
            host.eth0.up()
        self.throughput(m1, m2)
        self.services(m1, m2)
        self.fail_over(m1, m2)

    def throughput(self, m1, m2):
        server = m2.run(ThroughputServer(tests=2), bg=True)
        server.wait_output("listening on", timeout=10)

        job = m1.run(ThroughputClient(dst="10.0.0.2", streams=2, duration=1, interval=0.1, warm_up=0.2))
        self.evaluate("TCP", job.result["received_bps"], Threshold(at_least=10, unit="Mbit/s"))

        job = m1.run(ThroughputClient(dst="10.0.0.2", protocol="udp", rate=5e6, duration=0.5, max_loss=1))
        self.evaluate("jitter", job.result["jitter_ms"], Threshold(at_most=50, unit="ms"), unit="ms")
        server.wait(timeout=10)

    def services(self, m1, m2):
        names = m2.run(DnsServe(port=53, records={"www.example": {"A": "10.0.0.2"}}), bg=True)
        pages = m2.run(HttpServe(port=80, responses={"/state": '{"state": "up"}'}), bg=True)
        for job in (names, pages):
            job.wait_output("listening on", timeout=10)

        m1.run(DnsLookup(name="www.example", server="10.0.0.2", expect=["10.0.0.2"]))
        m1.run(DnsLookup(name="ftp.example", server="10.0.0.2", rcode="NXDOMAIN"))
        job = m1.run(
            HttpGet(url="http://www.example/state", resolve="10.0.0.2", json={"state": "up"}, count=50, concurrency=2)
        )
        self.evaluate("answer", job.result["total_ms"]["p95"], Threshold(at_most=500, unit="ms"), unit="ms")

        for job in (names, pages):
            job.kill(signal.SIGINT)
            job.wait(timeout=10)

    def fail_over(self, m1, m2):
        listener = m2.run(TcpListen(port=5100, echo=True, connections=0), bg=True)
        listener.wait_output("listening on", timeout=10)
        module = KeepConnections(
            dst="10.0.0.2", port=5100, count=20, duration=0, interval=0.02, sample_interval=0.05, max_gap=5
        )
        kept = m1.run(module, bg=True)
        kept.wait_output("connections .* are up", timeout=10)

        m2.eth0.down()
        kept.series.wait("connections", 5)
        m2.eth0.up()

        for job in (kept, listener):
            job.kill(signal.SIGINT)
            job.wait(timeout=10)
        assert kept.result["survived"] == 20
        self.evaluate("longest interruption", kept.result["max_gap_ms"], unit="ms")
