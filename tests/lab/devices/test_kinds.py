"""Veth pairs, bridges and macvlans: created, used, removed, undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lab.devices.iproute import ip
from tests.lab.devices.twin import Host, assert_same

from shakeout.devices.base import Device
from shakeout.devices.bridge import BridgeDevice
from shakeout.devices.macvlan import MacvlanDevice
from shakeout.devices.netlink import Netlink
from shakeout.devices.soft import LoopbackDevice, SoftDevice, VirtualDevice
from shakeout.devices.veth import VethDevice, VethPair
from shakeout.errors import DeviceError, LabLacks

pytestmark = pytest.mark.needs("root", "ip")


@pytest.mark.parametrize("swapped", [False, True])
def test_veth_pair(host: Host, swapped: bool) -> None:
    before = host.snapshot()
    pair = VethPair()
    v0, v1 = reversed(pair) if swapped else pair
    host.assign("v0", v0)
    host.assign("v1", v1)
    assert ip("link", "show", "v0").count("v0@v1") == 1
    assert v0.peer is v1
    assert v1.peer is v0
    assert (v0.kind, v0.driver, v0.state) == ("veth", "veth", "DOWN")
    v0.up()
    assert v0.carrier is False
    v1.up()
    assert v0.carrier is True
    assert "-end" not in ip("link")
    assert v1.destroy() is True
    assert v1.destroy() is True
    with pytest.raises(DeviceError, match="v1 was destroyed"):
        _ = v1.mtu
    with pytest.raises(DeviceError, match="v0 is gone"):
        _ = v0.mtu
    assert_same(before, host.snapshot())
    assert all(step.ok for step in host.undo())
    assert_same(before, host.snapshot())


def test_single_veth(host: Host) -> None:
    before = host.snapshot()
    v0 = host.assign("v0", VethDevice(hwaddr="52:54:00:00:00:77", mtu=1400))
    assert (v0.hwaddr, v0.mtu) == ("52:54:00:00:00:77", 1400)
    assert isinstance(v0.peer, VethDevice)
    v1 = host.assign("v1", VethDevice(peer=v0, hwaddr="52:54:00:00:00:78"))
    assert (v0.peer.name, v1.hwaddr) == ("v1", "52:54:00:00:00:78")
    host.undo()
    assert_same(before, host.snapshot())


def test_a_pair_lies_within_one_host(host: Host, netlink: Netlink, tmp_path: Path) -> None:
    with Host(netlink, tmp_path / "other.log") as other:
        v0, v1 = VethPair()
        host.assign("v0", v0)
        with pytest.raises(DeviceError, match="a device of another host"):
            other.assign("v1", v1)
    host.undo()


def test_recreating(host: Host) -> None:
    br0 = host.assign("br0", BridgeDevice(stp_state=True))
    with pytest.raises(DeviceError, match="exists already"):
        br0.create()
    br0.destroy()
    assert "br0" not in ip("link")
    br0.create()
    assert br0.stp_state is True
    host.undo()
    assert "br0" not in ip("link")


def test_existing_names_are_refused_and_survive(host: Host) -> None:
    before = host.snapshot()
    for device in (BridgeDevice(), VethDevice(), MacvlanDevice(host.adopt("eth0"))):
        with pytest.raises(DeviceError, match="there is an interface of that name"):
            host.assign("eth1", device)
    with pytest.raises(DeviceError, match="cannot be the name"):
        host.assign("a name", BridgeDevice())
    host.undo()
    assert_same(before, host.snapshot())


def test_bridge(host: Host) -> None:
    eth0, eth1 = host.adopt("eth0"), host.adopt("eth1")
    before = host.snapshot()
    br0 = host.assign("br0", BridgeDevice(ageing_time=1000, forward_delay=200, hwaddr="52:54:00:00:00:99"))
    assert (br0.ageing_time, br0.forward_delay, br0.stp_state) == (1000, 200, False)
    assert br0.hwaddr == "52:54:00:00:00:99"
    br0.stp_state = True
    br0.priority = 4096
    br0.hello_time = 300
    br0.max_age = 1000
    br0.group_fwd_mask = 8
    assert (br0.stp_state, br0.priority, br0.hello_time) == (True, 4096, 300)
    assert "bridge forward_delay 200 hello_time 300 max_age 1000" in ip("-d", "link", "show", "br0")
    br0.slave_add(eth0, eth1)
    assert eth0.master is br0
    assert br0.slaves in ([eth0, eth1], [eth1, eth0])
    br0.slave_del(eth1)
    assert eth1.master is None
    with pytest.raises(DeviceError, match="eth1 is no port of br0"):
        br0.slave_del(eth1)
    eth0.master = None
    eth1.master = br0
    assert br0.slaves == [eth1]
    with pytest.raises(DeviceError, match="is True or False, not 'yes'"):
        br0.stp_state = "yes"  # type: ignore[assignment]
    with pytest.raises(DeviceError, match=r"option forward_delay|forward_delay of br0|Numerical"):
        br0.forward_delay = 1 << 31
    assert dict(iter(br0))["priority"] == 4096
    assert all(step.ok for step in host.undo())
    assert_same(before, host.snapshot())


def test_unknown_bridge_option() -> None:
    with pytest.raises(DeviceError, match="did you mean 'ageing_time'"):
        BridgeDevice(aging_time=3)


def test_a_bridge_that_was_there(host: Host) -> None:
    """It is not removed, and gets back its options, ports, MTU, hardware address and forwarding entries."""
    ip(*["link", "add", "br9", "type", "bridge", "ageing_time", "500", "mcast_snooping", "0"])
    ip(*["link", "set", "eth1", "master", "br9"])
    ip(*["link", "set", "br9", "up"])
    host_bridge, eth0, eth1 = host.adopt("br9"), host.adopt("eth0"), host.adopt("eth1")
    entry = host.netlink.neighbours(7)
    before = host.snapshot()
    host_bridge.ageing_time = 700
    host_bridge.mcast_snooping = True
    host_bridge.slave_add(eth0)
    v0 = host.assign("v0", VethDevice(mtu=1300, hwaddr="02:00:00:00:00:01"))
    host_bridge.slave_add(v0)
    host_bridge.slave_del(eth1, eth0)
    assert (host_bridge.mtu, host_bridge.hwaddr) == (1300, "02:00:00:00:00:01")
    v0.destroy()
    assert host_bridge.destroy() is True
    steps = host.undo()
    assert [step.error for step in steps if not step.ok] == []
    assert_same(before, host.snapshot())
    assert host_bridge.ageing_time == 500
    assert host_bridge.mcast_snooping is False
    assert len(entry) > 0


def test_static_forwarding_entries_of_a_port(host: Host) -> None:
    ip(*["link", "add", "br9", "type", "bridge"])
    ip(*["link", "set", "eth1", "master", "br9"])
    from shakeout.wire.network import Neighbour

    port = host.netlink.link("eth1")
    row = Neighbour(port.index, 7, "52:54:00:00:00:42", "52:54:00:00:00:42", state=0x40, flags=0x4)
    host.netlink.neighbour_add(row)
    before = host.snapshot()
    assert any("52:54:00:00:00:42" in str(rows) for rows in before["neighbours"].values())
    host.adopt("eth1").master = None
    assert host.snapshot()["neighbours"] != before["neighbours"]
    host.undo()
    assert_same(before, host.snapshot())


def test_an_option_that_the_kernel_lacks(host: Host) -> None:
    br0 = host.assign("br0", BridgeDevice())
    try:
        br0.vlan_filtering = True
    except LabLacks as error:
        assert "vlan_filtering of bridges" in str(error)
        assert "--lab uml" in str(error)
    else:
        assert br0.vlan_filtering is True
    host.undo()


def test_a_kind_that_the_kernel_lacks(host: Host) -> None:
    class Imaginary(SoftDevice):
        _kind = "imaginary"

    before = host.snapshot()
    with pytest.raises(LabLacks, match=r"no devices of kind 'imaginary'.*--lab uml.*--lab qemu"):
        host.assign("x0", Imaginary())
    assert all(step.ok for step in host.undo())
    assert_same(before, host.snapshot())


def test_macvlan(host: Host) -> None:
    eth0 = host.adopt("eth0")
    before = host.snapshot()
    mv0 = host.assign("mv0", MacvlanDevice(realdev=eth0, mode="private", hwaddr="52:54:00:00:00:88"))
    assert (mv0.kind, mv0.mode, mv0.hwaddr) == ("macvlan", "private", "52:54:00:00:00:88")
    assert mv0.realdev is eth0
    mv0.mode = "bridge"
    assert "macvlan mode bridge" in ip("-d", "link", "show", "mv0")
    mv0.up()
    mv0.ip_add("10.0.0.9/24")
    with pytest.raises(DeviceError, match="did you mean 'bridge'"):
        mv0.mode = "bridges"
    with pytest.raises(DeviceError, match="has no mode 'fast'"):
        MacvlanDevice(eth0, "fast")
    with pytest.raises(DeviceError, match="realdev is a device of the host"):
        MacvlanDevice("eth0")  # type: ignore[arg-type]
    host.undo()
    assert_same(before, host.snapshot())


def test_a_macvlan_that_was_there(host: Host) -> None:
    ip(*["link", "add", "mv9", "link", "eth0", "type", "macvlan", "mode", "bridge"])
    mv9 = host.adopt("mv9")
    before = host.snapshot()
    mv9.mode = "vepa"
    host.undo()
    assert mv9.mode == "bridge"
    assert_same(before, host.snapshot())


def test_created_devices_leave_nothing_else_to_undo(host: Host) -> None:
    """Removing a link removes what was done to it, so that is not recorded."""
    v0 = host.assign("v0", VethDevice())
    count = len(host.log.entries())
    v0.mtu = 1400
    v0.up()
    v0.ip_add("10.0.0.1/24")
    v0.name = "v0-renamed"
    v0.clear_ips()
    assert len(host.log.entries()) == count
    assert all(step.ok for step in host.undo())
    assert "v0" not in ip("link")


def test_classes_of_interfaces_that_are_there(host: Host) -> None:
    assert type(host.adopt("lo")) is LoopbackDevice
    assert type(host.adopt("eth0")) is VethDevice
    assert isinstance(host.adopt("eth1"), Device)


def test_virtual_devices_say_that_they_come_later(host: Host) -> None:
    with pytest.raises(LabLacks, match="no lab can plug a port into a running machine yet"):
        host.assign("p0", VirtualDevice())
