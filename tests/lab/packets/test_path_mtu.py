"""Paths that are narrower somewhere, with routers that say so and routers that do not."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.lab.module_process import LO_UP, ModuleProcess, reason, run
from tests.lab.packets.conftest import nft

from shakeout.errors import BadParameters
from shakeout.hosts.matched import Matched
from shakeout.modules import PathMtu, UdpListen

FAR, FAR6 = "10.0.2.2", "2001:db8:2::2"
ROUTER = {FAR: "10.0.1.254", FAR6: "2001:db8:1::fe"}
SILENT = ("icmp type destination-unreachable drop", "icmpv6 type packet-too-big drop")


def narrow(row: Matched, mtu: int) -> None:
    """Make the second network narrower."""
    row.router.eth1.mtu = mtu
    row.m2.eth0.mtu = mtu


@pytest.mark.parametrize("protocol", ["icmp", "udp"])
@pytest.mark.parametrize("dst", [FAR, FAR6])
def test_a_router_says_what_fits(row: Matched, dst: str, protocol: str) -> None:
    job = row.m1.run(PathMtu(dst=dst, protocol=protocol, expect=1500))
    assert job.passed, job
    assert (job.result["how"], job.result["said"]) == ("interface", [])
    assert job.result["rtt_ms"] > 0
    narrow(row, 1357)
    job = row.m1.run(PathMtu(dst=dst, protocol=protocol, expect=1357))
    assert job.passed, job
    result = job.result
    assert (result["how"], result["limited_by"], result["black_hole"]) == ("icmp", ROUTER[dst], False)
    assert result["said"] == [{"address": ROUTER[dst], "mtu": 1357}]
    assert result["probes"] <= 3
    assert str(job) == f"packets of 1357 bytes reach {dst}, limited by {ROUTER[dst]}"


@pytest.mark.needs("nft")
@pytest.mark.parametrize("dst", [FAR, FAR6])
def test_a_black_hole_is_measured_and_named(row: Matched, dst: str) -> None:
    narrow(row, 1357)
    nft(row.router, "output", *SILENT)
    job = row.m1.run(PathMtu(dst=dst, tries=2))
    assert job.passed, job
    result = job.result
    assert (result["mtu"], result["how"], result["limited_by"], result["black_hole"]) == (1357, "search", "", True)
    assert "vanish without an ICMP message (a black hole)" in str(job)
    assert job.duration < 10


@pytest.mark.needs("nft")
def test_a_black_hole_behind_a_router_that_speaks(row: Matched) -> None:
    narrow(row, 1400)
    nft(row.m2, "prerouting", "ip daddr 10.0.2.2 meta length > 1300 drop")
    job = row.m1.run(PathMtu(dst=FAR, tries=2, expect=(1301, None)))
    assert job.error.message == (
        "packets of 1300 bytes reach 10.0.2.2; larger ones vanish without an ICMP message (a black hole); "
        "expected are at least 1301 bytes"
    )
    assert job.result["said"] == [{"address": "10.0.1.254", "mtu": 1400}]


@pytest.mark.needs("nft")
def test_datagrams_to_somebody_who_sends_them_back(row: Matched) -> None:
    narrow(row, 1300)
    listener = row.m2.run(UdpListen(port=5000, datagrams=0, echo=True), bg=True)
    listener.wait_output("listening")
    nft(row.m2, "output", "icmp type destination-unreachable drop")
    job = row.m1.run(PathMtu(dst=FAR, protocol="udp", port=5000, expect=1300))
    assert job.passed, job
    job = row.m1.run(PathMtu(dst=FAR, protocol="udp", timeout=0.1, tries=2))
    assert "does not even answer packets of 68 bytes; use protocol='icmp', or port=" in job.error.message


@pytest.mark.needs("nft")
def test_loss_is_no_black_hole(row: Matched) -> None:
    nft(row.m2, "prerouting", "icmp type echo-request numgen inc mod 3 < 2 drop")
    job = row.m1.run(PathMtu(dst=FAR, expect=1500))
    assert job.passed, job
    assert job.result["how"] == "interface"
    nft(row.router, "forward", "ip daddr 10.0.2.2 drop")
    job = row.m1.run(PathMtu(dst=FAR, timeout=0.1, tries=2))
    assert "10.0.2.2 does not even answer packets of 68 bytes: is it up" in job.error.message
    assert job.result["mtu"] == 0


def test_the_way_back_may_be_narrower(row: Matched) -> None:
    assert row.m2.run("ip route replace 10.0.1.0/24 via 10.0.2.253 mtu 1200").passed
    assert row.m1.run(PathMtu(dst=FAR, expect=1500)).passed


@pytest.mark.needs("nft")
def test_a_router_that_refuses(row: Matched) -> None:
    nft(row.router, "forward", "ip daddr 10.0.2.2 reject with icmp host-prohibited")
    job = row.m1.run(PathMtu(dst=FAR))
    assert job.error.message == "10.0.2.2 was not reached: 10.0.1.254 says host prohibited"


def test_the_own_interface_and_what_the_kernel_believes(row: Matched) -> None:
    narrow(row, 1300)
    assert row.m1.run(["ping", "-c1", "-s1400", "-Mdo", "-W1", FAR], fail=True).passed  # now it knows 1300
    narrow(row, 1500)
    assert row.m1.run(PathMtu(dst=FAR, expect=1500)).passed
    row.m1.eth0.mtu = 1280
    job = row.m1.run(PathMtu(dst=FAR, expect="1280-1290"))
    assert job.passed, job
    assert str(job) == "packets of 1280 bytes reach 10.0.2.2, as many as this host's own interface sends"
    job = row.m1.run(PathMtu(dst=FAR, max_mtu=1000))
    assert (job.result["mtu"], job.result["how"]) == (1000, "max")


@pytest.mark.needs("unshare", "setpriv")
def test_this_host_itself_without_privileges() -> None:
    nobody = LO_UP + ' mtu 9000; set -- setpriv --bounding-set -net_raw "$@"'
    for dst in ("127.0.0.1", "::1"):
        outcome = run(PathMtu(dst=dst, expect=9000), nobody)
        assert outcome.passed, outcome
    assert "may not send pings by itself" in reason(run(PathMtu(dst="127.0.0.1", protocol="icmp"), nobody))
    assert run(PathMtu(dst="127.0.0.1", expect=65535), LO_UP).passed


@pytest.mark.needs("unshare")
def test_what_cannot_be_sent_is_explained_and_an_interrupt_too() -> None:
    assert "nothing can be sent to 10.9.0.1: Network is unreachable" in reason(run(PathMtu(dst="10.9.0.1"), LO_UP))
    silent = "ip link add d0 type veth peer name d1; ip addr add 10.9.0.1/24 dev d0; ip link set d0 up; "
    silent += "ip link set d1 up; ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev d0"
    with ModuleProcess(PathMtu(dst="10.9.0.2", timeout=60), silent) as process:
        await_sent(process, "d0")
        outcome = process.outcome(signal.SIGINT)
    assert reason(outcome) == "stopped before it was known: nothing has come back from 10.9.0.2"


def await_sent(process: ModuleProcess, device: str) -> None:
    """Until something was sent through a device in the process's network."""
    while True:
        lines = Path(f"/proc/{process.process.pid}/net/dev").read_text().splitlines()
        sent = [line.split()[10] for line in lines if line.strip().startswith(f"{device}:")]
        if sent and int(sent[0]) > 5:
            return


@pytest.mark.parametrize("options", [
    {}, {"dst": FAR, "port": 5}, {"dst": FAR6, "max_mtu": 1000}, {"dst": FAR, "expect": "x"}, {"dst": FAR, "tries": 0},
])  # fmt: skip
def test_bad_parameters_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(BadParameters):
        PathMtu(**options)
