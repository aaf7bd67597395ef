"""What carries a connection."""

from __future__ import annotations

from shakeout.devices.carrier import made_of
from shakeout.wire.network import Link

LINKS = [
    Link(1, "lo"),
    Link(2, "eth0", master=5),
    Link(3, "eth1", master=5),
    Link(4, "eth2"),
    Link(5, "bond0", kind="bond", master=7),
    Link(6, "bond0.10", kind="vlan", link=5),
    Link(7, "br0", kind="bridge"),
    Link(8, "v0", kind="veth", link=9),
    Link(9, "v1", kind="veth", link=8),
    Link(10, "moved.20", kind="vlan", link=4, link_netnsid=0),
]


def test_an_interface_alone() -> None:
    assert made_of({4}, LINKS) == {4}


def test_ports_and_lower_devices_belong_to_it() -> None:
    assert made_of({6}, LINKS) == {2, 3, 5, 6}
    assert made_of({7}, LINKS) == {2, 3, 5, 7}


def test_a_veth_is_not_made_of_its_other_end() -> None:
    assert made_of({8}, LINKS) == {8}


def test_a_lower_device_elsewhere_is_not_one_of_these() -> None:
    assert made_of({10}, LINKS) == {10}


def test_what_is_not_there_is_nothing() -> None:
    assert made_of({77}, LINKS) == frozenset()
