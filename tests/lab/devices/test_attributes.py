"""What every device has, read and set over the wire, and undone."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.lab.devices.iproute import ip
from tests.lab.devices.twin import Host, assert_same

from shakeout.devices.netlink import Netlink
from shakeout.devices.veth import VethDevice
from shakeout.errors import DeviceError, UnknownName

pytestmark = pytest.mark.needs("root", "ip")


def test_reads(host: Host) -> None:
    eth0 = host.adopt("eth0")
    assert eth0.name == "eth0"
    assert eth0.if_index == host.netlink.link("eth0").index
    assert eth0.ifi_type == 1
    assert eth0.hwaddr == "52:54:00:00:00:01"
    assert eth0.state == "UP"
    assert eth0.carrier is True
    assert eth0.operstate == "up"
    assert eth0.driver == "veth"
    assert eth0.mtu == 1500
    assert [one for one in eth0.ips if not one.is_link_local] == []
    assert eth0.master is None
    assert eth0.kind == "veth"
    assert eth0.netns == ""
    assert eth0.link_stats["rx_bytes"] >= 0
    assert host.adopt("lo").driver == ""
    assert host.adopt("lo").ifi_type == 772


def test_iterating_gives_every_attribute(host: Host) -> None:
    values = dict(iter(host.adopt("eth0")))
    assert values["name"] == "eth0"
    assert values["mtu"] == 1500
    assert {"if_index", "ifi_type", "hwaddr", "state", "driver", "ips", "master", "link_stats"} <= set(values)
    assert "up" not in values
    assert host.calls == [("items", "")]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("mtu", 9000, "mtu 9000"),
        ("mtu", 1000, "mtu 1000"),
        ("name", "renamed", "renamed@"),
        ("hwaddr", "52:54:00:00:00:AA", "52:54:00:00:00:aa"),
        ("state", "down", "state DOWN"),
    ],
)
def test_sets_and_undoes(host: Host, name: str, value: object, shown: str) -> None:
    eth0 = host.adopt("eth0")
    before = host.snapshot()
    setattr(eth0, name, value)
    assert shown in ip("link", "show", "dev", eth0.name)
    assert all(step.ok for step in host.undo())
    assert_same(before, host.snapshot())


def test_setting_what_is_so_already_changes_and_records_nothing(host: Host) -> None:
    eth0 = host.adopt("eth0")
    eth0.mtu = 1500
    eth0.name = "eth0"
    eth0.hwaddr = "52-54-00-00-00-01"
    eth0.up()
    eth0.master = None
    assert host.log.entries() == []


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda d: setattr(d, "mtu", "big"), "a number of bytes, not 'big'"),
        (lambda d: setattr(d, "mtu", 1 << 20), "mtu greater than device maximum"),
        (lambda d: setattr(d, "name", "a/b"), "cannot be the name of an interface"),
        (lambda d: setattr(d, "name", "x" * 16), "1 to 15 characters"),
        (lambda d: setattr(d, "name", "eth1"), "File exists"),
        (lambda d: setattr(d, "hwaddr", "52:54"), "has 2 bytes, not 6"),
        (lambda d: setattr(d, "hwaddr", "nonsense"), "write it as 52:54:00:00:00:01"),
        (lambda d: setattr(d, "hwaddr", "01:00:00:00:00:00"), "Cannot assign requested address"),
        (lambda d: setattr(d, "state", "sideways"), "'UP' or 'DOWN'"),
        (lambda d: setattr(d, "master", 3), "a device of the same host or None"),
        (lambda d: setattr(d, "if_index", 3), "if_index of <VethDevice m1.eth0> can only be read"),
        (lambda d: setattr(d, "mtuu", 3), "did you mean 'mtu'"),
        (lambda d: setattr(d, "up", 3), "up is a method"),
        (lambda d: d.ip_add("fish"), "cannot be added"),
        (lambda d: d.ip_add("10.0.0.1/24", peer="::1"), "is no IPv4 address"),
        (lambda d: d.ip_del("10.9.9.9"), "has no address 10.9.9.9; it has 10.0.0.1/24"),
        (lambda d: d.ip_add("10.0.0.1/24"), "it has it already"),
        (lambda d: d.create(), "exists already"),
    ],
)
def test_refusals_are_in_words_and_change_nothing(host: Host, act: Callable[[Any], object], message: str) -> None:
    eth0 = host.adopt("eth0")
    ip("address", "add", "10.0.0.1/24", "dev", "eth0")
    before = host.snapshot()
    with pytest.raises((DeviceError, AttributeError, UnknownName), match=message.replace("(", r"\(")):
        act(eth0)
    assert_same(before, host.snapshot())
    assert all(step.ok for step in host.undo())
    assert_same(before, host.snapshot())


def test_unknown_attributes(host: Host) -> None:
    eth0 = host.adopt("eth0")
    assert not hasattr(eth0, "colour")
    with pytest.raises(AttributeError, match="did you mean 'carrier'"):
        _ = eth0.carier
    with pytest.raises(AttributeError):
        _ = eth0._netlink_socket


def test_addresses(host: Host) -> None:
    eth0 = host.adopt("eth0")
    ip("address", "add", "192.0.2.9/24", "dev", "eth0")
    ip("route", "add", "198.51.100.0/24", "via", "192.0.2.1")
    before = host.snapshot()
    eth0.ip_add("10.0.0.1/24")
    eth0.ip_add(ipaddress.ip_interface("10.0.0.2/24"))
    eth0.ip_add("2001:db8::1/64")
    eth0.ip_add("10.5.0.1/32", peer="10.5.0.2")
    assert [str(one) for one in eth0.ips if not one.is_link_local] == [
        "192.0.2.9/24",
        "10.0.0.1/24",
        "10.5.0.1/32",
        "10.0.0.2/24",
        "2001:db8::1/64",
    ]
    assert "brd 10.0.0.255" in ip("address", "show", "dev", "eth0")
    assert "tentative" not in ip("address", "show", "dev", "eth0", "to", "2001:db8::1")
    eth0.ip_del("10.0.0.1")
    assert not [one for one in eth0.ips if str(one).startswith("10.0.0.1/")]
    eth0.clear_ips()
    assert [one for one in eth0.ips if not one.is_link_local] == []
    assert "198.51.100.0/24" not in ip("route")
    assert all(step.ok for step in host.undo())
    assert_same(before, host.snapshot())


def test_duplicates_are_looked_for_when_asked(host: Host) -> None:
    eth0 = host.adopt("eth0")
    eth0.ip_add("2001:db8::1/64", nodad=False)
    assert "nodad" not in ip("address", "show", "dev", "eth0")
    eth0.ip_add("2001:db8::2/64")
    assert "nodad" in ip("address", "show", "dev", "eth0", "to", "2001:db8::2")


def test_down_brings_everything_back(host: Host) -> None:
    """The kernel drops routes, IPv6 addresses and permanent neighbours with a link."""
    for words in (
        "address add 192.0.2.1/24 dev eth0",
        "address add 2001:db8::1/64 dev eth0 nodad",
        "route add 198.51.100.0/24 via 192.0.2.254 metric 7",
        "route add 203.0.113.0/24 nexthop via 192.0.2.253 nexthop via 192.0.2.254",
        "route add 10.0.0.0/8 dev eth0 mtu 1300 table 77",
        "-6 route add default via 2001:db8::ffff",
        "neighbour add 192.0.2.254 lladdr 52:54:00:00:00:99 dev eth0",
        "rule add from 192.0.2.0/24 table 77",
    ):
        ip(*words.split())
    before = host.snapshot()
    eth0 = host.adopt("eth0")
    eth0.down()
    assert eth0.state == "DOWN"
    assert eth0.carrier is False
    assert "203.0.113.0" not in ip("route")
    steps = host.undo()
    assert [step.error for step in steps if not step.ok] == []
    assert_same(before, host.snapshot())


def test_up_of_a_link_with_addresses(host: Host) -> None:
    eth0 = host.adopt("eth0")
    ip("link", "set", "eth0", "down")
    ip("address", "add", "2001:db8::1/64", "dev", "eth0")
    ip("address", "add", "192.0.2.1/24", "dev", "eth0")
    before = host.snapshot()
    eth0.up()
    assert eth0.state == "UP"
    host.undo()
    assert_same(before, host.snapshot())


def test_mtu_below_what_ipv6_needs(host: Host) -> None:
    ip(*["address", "add", "2001:db8::1/64", "dev", "eth0", "nodad"])
    ip(*["-6", "route", "add", "2001:db8:1::/48", "via", "2001:db8::2"])
    ip(*["link", "add", "mv0", "link", "eth0", "type", "macvlan", "mode", "bridge"])
    settings = Path("/proc/sys/net/ipv6/conf/eth0")
    (settings / "accept_ra").write_text("0")
    (settings / "hop_limit").write_text("77")
    before = host.snapshot()
    host.adopt("eth0").mtu = 1000
    assert not settings.exists()
    assert "2001:db8::1" not in ip("address")
    assert host.netlink.link("mv0").mtu == 1000
    assert [step.error for step in host.undo() if not step.ok] == []
    assert_same(before, host.snapshot())
    assert (settings / "accept_ra").read_text() == "0\n"
    assert (settings / "hop_limit").read_text() == "77\n"


def test_the_connections_interface_is_refused(netlink: Netlink, host: Host) -> None:
    eth0 = host.adopt("eth0")
    host.table.protected = {eth0.if_index}
    before = host.snapshot()
    for act in (
        lambda: setattr(eth0, "mtu", 1400),
        lambda: setattr(eth0, "name", "x"),
        eth0.down,
        eth0.ip_flush,
        lambda: eth0.ip_add("10.0.0.1/24"),
    ):
        if act == eth0.ip_flush:
            ip("address", "add", "192.0.2.1/24", "dev", "eth0")
            before = host.snapshot()
        with pytest.raises(DeviceError, match="eth0 carries the connection"):
            act()
    assert_same(before, host.snapshot())
    assert eth0.mtu == 1500  # reading is fine


def test_what_jobs_do_is_seen(host: Host) -> None:
    eth0 = host.adopt("eth0")
    ip(*["link", "set", "eth0", "down"])
    ip(*["link", "set", "eth0", "name", "moved", "mtu", "1400"])
    assert (eth0.name, eth0.mtu, eth0.state) == ("moved", 1400, "DOWN")
    ip(*["link", "add", "late", "type", "bridge"])
    late = host.adopt("late")
    assert late.kind == "bridge"
    assert {info.name for info in host.table.list()} == {"lo", "moved", "eth1", "late"}
    ip(*["link", "del", "late"])
    with pytest.raises(DeviceError, match="the interface late is gone"):
        _ = late.mtu
    with pytest.raises(UnknownName, match="did you mean 'moved'"):
        host.adopt("move")


def test_found_by_hardware_address_and_alternative_name(host: Host) -> None:
    host.netlink.altname_add(host.netlink.link("eth1").index, "the-interface-towards-the-switch")
    assert host.adopt("52:54:00:00:00:02").name == "eth1"
    assert host.adopt("the-interface-towards-the-switch") is host.adopt("eth1")
    host.adopt("eth0").hwaddr = "52:54:00:00:00:02"
    with pytest.raises(UnknownName, match=r"eth0, eth1 all have this hardware address|eth1, eth0 all"):
        host.adopt("52:54:00:00:00:02")


def test_hardware_is_neither_created_nor_destroyed(host: Host) -> None:
    lo = host.adopt("lo")
    assert lo.destroy() is True
    assert lo.remove() is True
    with pytest.raises(DeviceError, match="hardware, which cannot be created"):
        lo.create()
    eth0 = host.adopt("eth0")  # software, but not the recipe's
    assert eth0.destroy() is True
    assert eth0.mtu == 1500


def test_unassigned(host: Host) -> None:
    device = VethDevice()
    with pytest.raises(DeviceError, match="has not been assigned to a host yet"):
        _ = device.mtu
    with pytest.raises(DeviceError, match="has not been assigned to a host yet"):
        device.up()
    with pytest.raises(DeviceError, match="assign it to one first"):
        host.adopt("eth0").master = device
    host.assign("v0", device)
    with pytest.raises(DeviceError, match="belongs to a host already"):
        host.assign("v1", device)
