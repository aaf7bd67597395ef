"""Devices through the whole way: recipe, session, agent, device process, kernel."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest
from tests.lab.hosts.kinds import Counting

from shakeout import BridgeDevice, Device, MacvlanDevice, VethDevice, VethPair
from shakeout.errors import DeviceError, JobError, UnknownName, UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import DeviceChanged
from shakeout.testing import Laboratory, Recording


def test_attributes_are_what_the_kernel_says(host: Host) -> None:
    eth0 = host.eth0
    assert isinstance(eth0, Device)
    assert eth0 is host.eth0
    said = host.run("ip -j link show eth0", json=False).stdout or ""
    assert f'"ifindex":{eth0.if_index},' in said.replace(" ", "")
    assert eth0.hwaddr in said
    assert (eth0.name, eth0.mtu, eth0.state, eth0.ifi_type, eth0.driver) == ("eth0", 1500, "UP", 1, "veth")
    assert eth0.master is None
    assert eth0.link_stats["rx_errors"] == 0
    host.run("ip link set eth0 mtu 1300")
    assert eth0.mtu == 1300
    host.run("ip link set eth0 mtu 1500")


def test_assignment_is_done_when_it_returns(host: Host) -> None:
    host.eth0.mtu = 1400
    assert host.run("cat /sys/class/net/eth0/mtu").stdout == "1400\n"
    host.eth0.ip_add("192.0.2.5/24")
    host.eth0.ip_add("2001:db8::5/64")
    assert "192.0.2.5/24" in (host.run("ip addr show eth0").stdout or "")
    assert host.eth0.ips[0] == ip_interface("192.0.2.5/24")
    assert ip_interface("2001:db8::5/64") in host.eth0.ips
    host.eth0.clear_ips()
    assert ip_interface("192.0.2.5/24") not in host.eth0.ips
    host.eth0.down()
    assert host.eth0.state == "DOWN"


def test_iterating(host: Host) -> None:
    names = [device.name for device in host]
    assert {"lo", "eth0"} <= set(names)
    values = dict(host.eth0)
    assert (values["name"], values["mtu"]) == ("eth0", host.eth0.mtu)
    assert next(device for device in host if device.name == "eth0") is host.eth0
    assert "eth0" in dir(host) or "eth0" in names


def test_kinds_are_made_by_assignment(host: Host, recording: Recording) -> None:
    host.v0, host.v1 = VethPair()
    host.br0 = BridgeDevice()
    host.mv0 = MacvlanDevice(host.v1)
    kinds = host.run("for kind in bridge veth macvlan; do ip -br link show type $kind; done").stdout or ""
    for name in ("br0", "v0@v1", "mv0@v1"):
        assert name in kinds
    host.v0.master = host.br0
    assert host.v0.master is host.br0
    assert host.v1.master is None
    host.br0.slave_del(host.v0)
    assert host.v0.master is None
    made = [event.device for event in recording.of(DeviceChanged) if event.action == "create"]
    assert {"v0", "br0", "mv0"} <= set(made)


def test_a_removed_name_is_free_again(host: Host) -> None:
    host.br0 = BridgeDevice()
    first = host.br0
    first.destroy()
    host.br0 = BridgeDevice()
    assert host.br0 is not first
    assert host.br0.kind == "bridge"
    host.br0.remove()
    with pytest.raises(UnknownName):
        host.br0  # noqa: B018
    with pytest.raises(DeviceError, match=r"destroyed|gone"):
        first.mtu  # noqa: B018


def test_what_cannot_be_assigned(host: Host) -> None:
    host.br0 = BridgeDevice()
    with pytest.raises(UsageError, match=r"m1.br0 exists already.*m1.br0.destroy\(\)"):
        host.br0 = VethDevice()
    with pytest.raises((UsageError, DeviceError), match=r"m1.eth0 exists already|there is an interface of that name"):
        host.eth0 = BridgeDevice()
    with pytest.raises((UsageError, DeviceError)):
        host.lo = BridgeDevice()
    for value, hint in ((5, "5"), ("br", "'br'"), (None, "None"), (BridgeDevice, r"make one: BridgeDevice\(\)")):
        with pytest.raises(UsageError, match=hint):
            host.br9 = value
    for name in ("run", "props", "name", "send_file", "_private"):
        with pytest.raises(UsageError, match="name of the host's own"):
            setattr(host, name, BridgeDevice())
    with pytest.raises(DeviceError):
        host.a_name_that_is_far_too_long = BridgeDevice()


def test_an_unknown_device_and_the_nearest(host: Host) -> None:
    with pytest.raises(UnknownName, match=r"m1: no interface .*'etho'.*did you mean 'eth[01]'"):
        host.etho  # noqa: B018
    with pytest.raises(UnknownName, match=r"m1: no interface .*'rum' \(did you mean 'run'\?\)$"):
        host.rum  # noqa: B018
    assert not hasattr(host, "etho")
    assert str(host.eth0) == "m1.eth0"
    assert hasattr(host, "eth0")
    with pytest.raises(AttributeError):
        host.eth0.mtuu  # noqa: B018


def test_errors_of_the_kernel(host: Host) -> None:
    with pytest.raises(DeviceError, match=r"m1: .*mtu of eth0") as refused:
        host.eth0.mtu = 99_999_999
    assert refused.value.errno == 22
    host.eth0.ip_add("192.0.2.9/24")
    with pytest.raises(DeviceError) as refused:
        host.eth0.ip_add("192.0.2.9/24")
    assert refused.value.errno == 17
    with pytest.raises(DeviceError, match=r"m1: .*nonsense"):
        host.eth0.ip_add("nonsense")
    with pytest.raises(DeviceError, match=r"only be read"):
        host.eth0.if_index = 9
    with pytest.raises(DeviceError):
        host.eth0.create()
    assert host.eth0.destroy() is True
    assert host.eth0.name == "eth0"


def test_a_kind_of_the_users_own(host: Host) -> None:
    host.c0 = Counting(start=3)
    c0 = host.c0
    assert (c0.count, c0.limit, c0.twice, c0.log) == (3, 10, 6, ["made"])
    assert c0.add() == 4
    assert c0.add(2, times=2) == 8
    assert c0.count == 8
    c0.count = 1
    assert c0.twice == 2
    c0.label = "seen"
    assert c0.label == "made-seen"
    with pytest.raises(DeviceError, match="twice"):
        c0.twice = 5
    assert c0.where() == (host.run("hostname").stdout or "").strip()
    with pytest.raises(JobError, match="OverflowError: 101 is more than 10") as refused:
        c0.add(100)
    assert "kinds.py" in str(refused.value)
    assert "in add" in str(refused.value)
    values = dict(c0)
    assert (values["count"], values["twice"], values["mtu"]) == (101, 202, 1500)
    c0.limit = 500
    assert (c0.limit, Counting.limit) == (500, 10)


def test_two_hosts_are_on_one_network(laboratory: Laboratory, recording: Recording) -> None:
    with laboratory.hosts("m1", "m2", m3={"eth0": "elsewhere"}, recorder=recording) as matched:
        for number, host in enumerate(matched, 1):
            host.eth0.ip_add(f"192.0.2.{number}/24")
        assert matched.m1.run("ping -c 1 -W 5 192.0.2.2").passed
        assert matched.m1.run("ping -c 1 -W 0.3 192.0.2.3", fail=True).passed
        assert len({host.eth0.hwaddr for host in matched}) == 3
