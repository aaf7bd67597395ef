"""Three hosts in a row, m1 - router - m2, on IPv4 and IPv6; and one more router, for who wants to go back by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shakeout.hosts.host import Host
from shakeout.hosts.matched import Matched
from shakeout.testing import Laboratory, Recording


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here makes hosts."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs("root", "namespaces"))


@pytest.fixture(scope="session")
def packet_laboratory() -> Iterator[Laboratory]:
    with Laboratory() as made:
        yield made


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    (tmp_path / "run").mkdir()
    return Recording(tmp_path / "run")


@pytest.fixture
def row(packet_laboratory: Laboratory, recording: Recording) -> Iterator[Matched]:
    ports = {"m1": {"eth0": "net1"}, "router": {"eth0": "net1", "eth1": "net2"}, "m2": {"eth0": "net2"}}
    ports["back"] = ports["router"]
    with packet_laboratory.hosts(recorder=recording, **ports) as matched:
        m1, router, back, m2 = matched.m1, matched.router, matched.back, matched.m2
        for host in (router, back):
            host.procfs_set("sys/net/ipv4/ip_forward", 1)
            host.procfs_set("sys/net/ipv6/conf/all/forwarding", 1)
        for host in (m1, router, back, m2):
            host.procfs_set("sys/net/ipv4/icmp_ratelimit", 0)
            host.procfs_set("sys/net/ipv6/icmp/ratelimit", 0)
        devices = [(m1.eth0, 1, 1), (m2.eth0, 2, 2)]
        for host, last in ((router, 254), (back, 253)):
            devices += [(host.eth0, 1, last), (host.eth1, 2, last)]
        for device, number, last in devices:
            device.ip_add(f"10.0.{number}.{last}/24")
            device.ip_add(f"2001:db8:{number}::{last:x}/64")
            device.up()
        for host, number in ((m1, 1), (m2, 2)):
            job = host.run(
                f"ip route add default via 10.0.{number}.254 && ip -6 route add default via 2001:db8:{number}::fe"
            )
            assert job.passed, job
        yield matched


def nft(host: Host, hook: str, *rules: str) -> None:
    """Rules for packets at one place of a host's way for them."""
    lines = ["table inet t {", "chain c {", f"type filter hook {hook} priority 0; policy accept;", *rules, "}", "}"]
    job = host.run(["nft", "\n".join(lines)])
    assert job.passed, str(job)
