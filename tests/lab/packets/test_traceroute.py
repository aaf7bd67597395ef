"""Routes through a router, and routes that end there."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.lab.module_process import LO_UP, ModuleProcess, reason, run
from tests.lab.packets.conftest import nft

from shakeout.errors import BadParameters
from shakeout.hosts.matched import Matched
from shakeout.modules import TcpListen, Traceroute

FAR, FAR6 = "10.0.2.2", "2001:db8:2::2"
ROUTE, ROUTE6 = ["10.0.1.254", FAR], ["2001:db8:1::fe", FAR6]
PROTOCOLS = ("udp", "icmp", "tcp")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_way_through_a_router(row: Matched, protocol: str) -> None:
    for dst, route in ((FAR, ROUTE), (FAR6, ROUTE6)):
        job = row.m1.run(Traceroute(dst=dst, protocol=protocol, expect=route))
        assert job.passed, job
        hops = job.result["hops"]
        assert [hop["addresses"] for hop in hops] == [[address] for address in route]
        assert all(rtt is not None and 0 <= rtt < 1000 for hop in hops for rtt in hop["rtt_ms"])
        assert job.result["reached"]
        assert job.result["target"] == dst


def test_a_connection_that_is_accepted_is_an_answer(row: Matched) -> None:
    listener = row.m2.run(TcpListen(port=5000, connections=0), bg=True)
    listener.wait_output("listening")
    assert row.m1.run(Traceroute(dst=FAR, protocol="tcp", port=5000, expect=ROUTE)).passed


def test_another_way_than_expected(row: Matched) -> None:
    job = row.m1.run(Traceroute(dst=FAR, expect=["10.0.1.253", FAR]))
    lines = job.error.message.splitlines()
    assert lines[0] == "hop 1 to 10.0.2.2 is 10.0.1.254, expected is 10.0.1.253:"
    assert lines[1].startswith(" 1  10.0.1.254  ")
    assert lines[-1] == "10.0.2.2 was reached"
    assert "has 2 hops, expected are 3" in row.m1.run(Traceroute(dst=FAR, expect=["*", "*", "*"])).error.message
    assert row.m1.run(Traceroute(dst=FAR, expect=["*", FAR])).passed


@pytest.mark.needs("nft")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_router_that_refuses(row: Matched, protocol: str) -> None:
    nft(row.router, "forward", "ip daddr 10.0.2.2 reject with icmp host-prohibited",
        "ip6 daddr 2001:db8:2::2 reject with icmpv6 admin-prohibited")  # fmt: skip
    job = row.m1.run(Traceroute(dst=FAR, protocol=protocol))
    assert job.error.message.startswith("10.0.2.2 was not reached: 10.0.1.254 says host prohibited")
    job = row.m1.run(Traceroute(dst=FAR6, protocol=protocol))
    assert "2001:db8:1::fe says administratively prohibited" in job.error.message


@pytest.mark.needs("nft")
def test_a_router_that_says_nothing(row: Matched) -> None:
    nft(row.router, "output", "meta l4proto icmp drop")
    job = row.m1.run(Traceroute(dst=FAR, timeout=0.2, expect=["*", FAR]))
    assert job.passed, job
    assert job.result["hops"][0] == {"hop": 1, "addresses": [], "rtt_ms": [None] * 3, "said": ""}


@pytest.mark.needs("nft")
def test_nothing_comes_back_at_all(row: Matched) -> None:
    nft(row.router, "prerouting", "ip saddr 10.0.1.1 drop")
    job = row.m1.run(Traceroute(dst=FAR, timeout=0.1, max_hops=5))
    assert "10.0.2.2 was not reached within 5 hops, after 0 hops that answered" in job.error.message
    assert job.result["hops"] == []
    assert job.duration < 5
    assert row.m1.run(Traceroute(dst=FAR, timeout=0.05, max_hops=3, reach=False)).passed


@pytest.mark.needs("nft")
def test_the_way_back_is_another(row: Matched) -> None:
    assert row.m2.run("ip route replace 10.0.1.0/24 via 10.0.2.253").passed
    nft(row.router, "forward", "ip saddr 10.0.2.2 drop")
    nft(row.back, "forward", "ip saddr 10.0.1.1 drop")
    for protocol in PROTOCOLS:
        assert row.m1.run(Traceroute(dst=FAR, protocol=protocol, expect=ROUTE)).passed


def test_too_few_hops_and_a_neighbour_that_is_not_there(row: Matched) -> None:
    job = row.m1.run(Traceroute(dst=FAR, max_hops=1, timeout=0.3))
    assert "was not reached within 1 hops, after 1 hop that answered" in job.error.message
    assert row.router.run("ip neigh replace 10.0.2.9 lladdr 02:00:00:00:00:99 dev eth1").passed
    job = row.m1.run(Traceroute(dst="10.0.2.9", max_hops=3, timeout=0.1))
    assert [hop["addresses"] for hop in job.result["hops"]] == [["10.0.1.254"]]


@pytest.mark.needs("unshare")
def test_what_cannot_be_sent_is_explained() -> None:
    for protocol in PROTOCOLS:
        said = reason(run(Traceroute(dst="10.9.0.1", protocol=protocol), LO_UP))
        assert (
            said
            == "nothing can be sent to 10.9.0.1: Network is unreachable; give this host a route to it, and an address"
        )
    assert "the host name nonesuch.invalid is not known" in reason(run(Traceroute(dst="nonesuch.invalid"), LO_UP))
    assert "nothing can be sent from 10.9.0.1: Cannot assign" in reason(
        run(Traceroute(dst="127.0.0.1", bind="10.9.0.1"), LO_UP)
    )


@pytest.mark.needs("unshare", "setpriv")
def test_without_privileges() -> None:
    nobody = LO_UP + '; set -- setpriv --bounding-set -net_raw "$@"'
    assert run(Traceroute(dst="127.0.0.1"), nobody).passed
    assert run(Traceroute(dst="::1", protocol="tcp"), nobody).passed
    outcome = run(Traceroute(dst="127.0.0.1", protocol="icmp"), nobody)
    assert outcome.error is not None
    assert "this job may not send pings by itself: run it as root, use protocol='udp'" in outcome.error.message


@pytest.mark.needs("unshare")
@pytest.mark.parametrize("dst", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_this_host_itself(dst: str, protocol: str) -> None:
    outcome = run(Traceroute(dst=dst, protocol=protocol, queries=1, size=0), LO_UP)
    assert outcome.passed, outcome
    assert len(outcome.result["hops"]) == 1


@pytest.mark.needs("unshare")
def test_an_interrupt_tells_what_is_known() -> None:
    silent = "ip link add d0 type veth peer name d1; ip addr add 10.9.0.1/24 dev d0; ip link set d0 up; "
    silent += "ip link set d1 up; ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev d0; echo ready"
    with ModuleProcess(Traceroute(dst="10.9.0.2", timeout=60), silent) as process:
        assert process.line() == "ready"
        while True:  # until it has sent something
            counters = Path(f"/proc/{process.process.pid}/net/snmp").read_text()
            if int(counters.split("Udp: ")[2].split()[3]) > 3:
                break
        outcome = process.outcome(signal.SIGINT)
    assert reason(outcome) == "stopped before 10.9.0.2 was reached, after 0 hops that answered"


@pytest.mark.parametrize("options", [
    {}, {"dst": ""}, {"dst": FAR, "protocol": "sctp"}, {"dst": FAR, "max_hops": 0}, {"dst": FAR, "expect": ["x"]},
    {"dst": FAR, "port": 65500}, {"dst": FAR, "size": -1},
])  # fmt: skip
def test_bad_parameters_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(BadParameters):
        Traceroute(**options)
