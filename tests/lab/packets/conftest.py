"""Three hosts in a row, m1 - router - m2, on IPv4 and IPv6; and one more router, for who wants to go back by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shakeout.devices.base import Device
from shakeout.hosts.host import Host
from shakeout.hosts.matched import Matched
from shakeout.testing import Laboratory, Recording


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here makes hosts, which go on after a test, and whose zygotes fork ahead of need."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs("root", "namespaces"))
            item.add_marker(pytest.mark.leaks("processes"))


@pytest.fixture(scope="session")
def packet_laboratory() -> Iterator[Laboratory]:
    with Laboratory() as made:
        yield made


@pytest.fixture(scope="module")
def standing(
    packet_laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Matched, Recording]]:
    """The hosts of one file's tests, and what they have recorded."""
    recording = Recording(tmp_path_factory.mktemp("run"))
    ports = {"m1": {"eth0": "net1"}, "router": {"eth0": "net1", "eth1": "net2"}, "m2": {"eth0": "net2"}}
    ports["back"] = ports["router"]
    with packet_laboratory.hosts(recorder=recording, **ports) as matched:
        for host in (matched.router, matched.back):
            host.procfs_set("sys/net/ipv4/ip_forward", 1)
            host.procfs_set("sys/net/ipv6/conf/all/forwarding", 1)
        for host in matched:
            host.procfs_set("sys/net/ipv4/icmp_ratelimit", 0)
            host.procfs_set("sys/net/ipv6/icmp/ratelimit", 0)
        for device, number, last in devices_of(matched):
            device.ip_add(f"10.0.{number}.{last}/24")
            device.ip_add(f"2001:db8:{number}::{last:x}/64")
            device.up()
        for host, number in ((matched.m1, 1), (matched.m2, 2)):
            job = host.run(
                f"ip route add default via 10.0.{number}.254 && ip -6 route add default via 2001:db8:{number}::fe"
            )
            assert job.passed, job
        # A wire without the greetings of IPv6, so that only what a test sends is on it.
        quiet = "ip link add v0 type veth peer name v1; for dev in v0 v1; do ip link set $dev up addrgenmode none; done"
        assert matched.m1.run(f"sysctl -qw net.ipv6.conf.default.disable_ipv6=1; {quiet}").passed
        yield matched, recording


@pytest.fixture
def row(standing: tuple[Matched, Recording]) -> Iterator[Matched]:
    """The hosts; rules, sizes, routes and jobs of a test go with it."""
    matched = standing[0]
    yield matched
    for host in matched:
        for job in host.jobs:
            job.dismiss()
        host.run("nft flush ruleset")
    for device, _, _ in devices_of(matched):
        device.mtu = 1500
    matched.m2.run("ip route del 10.0.1.0/24")


@pytest.fixture
def recording(standing: tuple[Matched, Recording]) -> Recording:
    return standing[1]


def devices_of(matched: Matched) -> list[tuple[Device, int, int]]:
    """Each device, the number of its network, and the last part of its addresses."""
    result = [(matched.m1.eth0, 1, 1), (matched.m2.eth0, 2, 2)]
    for host, last in ((matched.router, 254), (matched.back, 253)):
        result += [(host.eth0, 1, last), (host.eth1, 2, last)]
    return result


def nft(host: Host, hook: str, *rules: str) -> None:
    """Rules for packets at one place of a host's way for them."""
    lines = ["table inet t {", "chain c {", f"type filter hook {hook} priority 0; policy accept;", *rules, "}", "}"]
    job = host.run(["nft", "\n".join(lines)])
    assert job.passed, str(job)
