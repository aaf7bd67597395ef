"""Whatever is done to a host's devices, replaying the undo log puts it back, also after a kill in between."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from msgspec import structs
from tests.lab.devices.iproute import ip
from tests.lab.devices.twin import Host, assert_same

from shakeout.agent.snapshot import differences
from shakeout.agent.undo import UndoLog, replay, undo_each
from shakeout.devices.base import Device
from shakeout.devices.bridge import BridgeDevice
from shakeout.devices.macvlan import MacvlanDevice
from shakeout.devices.namespaces import enter, named
from shakeout.devices.netlink import Change, Netlink, address_row
from shakeout.devices.veth import VethDevice, VethPair
from shakeout.errors import DeviceError, LabLacks
from shakeout.wire.network import Qdisc
from shakeout.wire.undo import (
    AddressDelete,
    LinkDelete,
    LinkRestore,
    NeighbourAdd,
    NeighbourDelete,
    QdiscRestore,
    RouteAdd,
    RouteDelete,
    RuleAdd,
    RuleDelete,
)

pytestmark = pytest.mark.needs("root", "ip")

#: What is configured on the host before the recipe.
CONFIGURED = (
    "link add br9 type bridge",
    "link set eth1 master br9",
    "link set br9 up",
    "address add 192.0.2.1/24 dev eth0",
    "address add 192.0.2.2/24 dev eth0",
    "address add 10.99.0.1/32 peer 10.99.0.2 dev eth0",
    "address add 2001:db8::1/64 dev eth0 nodad",
    "address add 198.51.100.1/24 dev br9",
    "route add 203.0.113.0/24 via 192.0.2.254 metric 5",
    "route add 203.0.113.128/25 nexthop via 192.0.2.253 nexthop via 192.0.2.254",
    "route add 10.0.0.0/8 dev eth0 src 192.0.2.2",
    "route add default via 198.51.100.254",
    "route add default via 2001:db8::ffff",
    "neighbour add 192.0.2.254 lladdr 52:54:00:00:00:99 dev eth0",
    "rule add from 192.0.2.0/24 table 77",
)


def configure() -> None:
    """Do it with one `ip`, as this is done often."""
    batch = "\n".join(CONFIGURED)
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)


ADDRESSES = st.sampled_from(
    (
        "10.1.0.1/24",
        "10.1.0.2/24",
        "192.0.2.1/24",
        "192.0.2.3/24",
        "192.0.2.2",
        "2001:db8::2/64",
        "2001:db8::1/64",
    )
)
NAMES = st.sampled_from(("alpha", "beta", "eth0", "eth1", "br9"))
MTUS = st.sampled_from((1000, 1280, 1400, 1500, 3000))
NEW = st.sampled_from(("veth", "pair", "bridge", "macvlan"))


class Recipe(RuleBasedStateMachine):
    """A recipe that does anything with devices; at its end everything is undone."""

    def __init__(self) -> None:
        super().__init__()
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        assert ctypes.CDLL(None).unshare(0x40000000) == 0
        self._folder = tempfile.TemporaryDirectory()
        self._netlink = Netlink()
        self.host = Host.wired(self._netlink, Path(self._folder.name) / "undo.log")
        configure()
        self.before = self.host.snapshot()
        self.devices: list[Any] = [self.host.adopt(name) for name in ("eth0", "eth1", "br9")]
        self.count = 0

    def _attempt(self, act: Callable[[], object]) -> None:
        """The kernel may refuse; what was written to the log by then must do no harm."""
        with suppress(DeviceError, LabLacks):
            act()

    @precondition(lambda self: len(self.devices) < 8)
    @rule(kind=NEW, choice=st.integers(0, 7))
    def create(self, kind: str, choice: int) -> None:
        self.count += 1
        name = f"new{self.count}"
        if kind == "pair":
            for suffix, device in zip("ab", VethPair(), strict=True):
                self._assign(name + suffix, device)
        elif kind == "veth":
            self._assign(name, VethDevice())
        elif kind == "bridge":
            self._assign(name, BridgeDevice(mcast_snooping=False))
        else:
            self._assign(name, MacvlanDevice(self.devices[choice % len(self.devices)]))

    def _assign(self, name: str, device: Device) -> None:
        def act() -> None:
            self.devices.append(self.host.assign(name, device))

        self._attempt(act)

    @rule(choice=st.integers(0, 7), mtu=MTUS)
    def set_mtu(self, choice: int, mtu: int) -> None:
        self._attempt(lambda: setattr(self.devices[choice % len(self.devices)], "mtu", mtu))

    @rule(choice=st.integers(0, 7), name=NAMES)
    def rename(self, choice: int, name: str) -> None:
        self._attempt(lambda: setattr(self.devices[choice % len(self.devices)], "name", name))

    @rule(choice=st.integers(0, 7), number=st.integers(1, 9))
    def set_hwaddr(self, choice: int, number: int) -> None:
        address = f"02:00:00:00:00:0{number}"
        self._attempt(lambda: setattr(self.devices[choice % len(self.devices)], "hwaddr", address))

    @rule(choice=st.integers(0, 7), other=st.integers(-1, 7))
    def set_master(self, choice: int, other: int) -> None:
        master = self.devices[other % len(self.devices)] if other >= 0 else None
        self._attempt(lambda: setattr(self.devices[choice % len(self.devices)], "master", master))

    @rule(choice=st.integers(0, 7), up=st.booleans())
    def up_or_down(self, choice: int, up: bool) -> None:
        device = self.devices[choice % len(self.devices)]
        self._attempt(device.up if up else device.down)

    @rule(choice=st.integers(0, 7), address=ADDRESSES, peer=st.sampled_from((None, "10.1.0.9")))
    def ip_add(self, choice: int, address: str, peer: str | None) -> None:
        self._attempt(lambda: self.devices[choice % len(self.devices)].ip_add(address, peer=peer))

    @rule(choice=st.integers(0, 7), address=ADDRESSES)
    def ip_del(self, choice: int, address: str) -> None:
        self._attempt(lambda: self.devices[choice % len(self.devices)].ip_del(address))

    @rule(choice=st.integers(0, 7))
    def ip_flush(self, choice: int) -> None:
        self._attempt(self.devices[choice % len(self.devices)].ip_flush)

    @rule(choice=st.integers(0, 7))
    def destroy(self, choice: int) -> None:
        self._attempt(self.devices[choice % len(self.devices)].destroy)

    @rule(choice=st.integers(0, 7), on=st.booleans())
    def bridge_option(self, choice: int, on: bool) -> None:
        device = self.devices[choice % len(self.devices)]
        if isinstance(device, BridgeDevice):
            self._attempt(lambda: setattr(device, "stp_state", on))
            self._attempt(lambda: setattr(device, "ageing_time", 100 if on else 200))

    @rule(count=st.integers(1, 9))
    def killed_while_undoing(self, count: int) -> None:
        """After some steps, the last of them done but still on the log."""
        steps = undo_each(self.host.log, self._netlink)
        done = list(itertools.islice(steps, count))
        steps.close()  # type: ignore[attr-defined]
        assert [f"{step.text}: {step.error}" for step in done if not step.ok] == []
        self.finish()

    def finish(self) -> None:
        steps = self.host.undo()
        assert [f"{step.text}: {step.error}" for step in steps if not step.ok] == []
        assert_same(self.before, self.host.snapshot())

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.host.log.close()
            self._netlink.close()
            enter(self._home)
            os.close(self._home)
            self._folder.cleanup()


@pytest.mark.timeout(300)
def test_any_recipe_is_undone() -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Recipe,
        settings=settings(
            max_examples=int(os.environ.get("SHAKEOUT_EXAMPLES", "25")),
            stateful_step_count=25,
            deadline=None,
            derandomize="SHAKEOUT_EXAMPLES" not in os.environ,
            phases=[Phase.generate] if "SHAKEOUT_RAW" in os.environ else list(Phase),
            suppress_health_check=checks,
        ),
    )


def test_killed_half_way(host: Host, tmp_path: Path) -> None:
    """Whoever is killed between any two steps leaves a log that puts the host back."""
    configure()
    before = host.snapshot()
    path = tmp_path / "killed.log"
    for steps in (1, 2, 5, 9, 14):
        _killed_after(path, steps)
        log = UndoLog(path)
        found = replay(log, host.netlink)
        log.close()
        assert found
        assert [f"{step.text}: {step.error}" for step in found if not step.ok] == []
        assert_same(before, host.snapshot())


def _killed_after(path: Path, steps: int) -> None:
    """Do *steps* changes in a process of its own, which then kills itself without any chance to clean up."""
    child = os.fork()
    if child == 0:
        try:
            with Netlink() as netlink:
                _change_much(Host(netlink, path), steps)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def _change_much(host: Host, steps: int) -> None:
    eth0, eth1, bridge = host.adopt("eth0"), host.adopt("eth1"), host.adopt("br9")
    changes: list[Callable[[], object]] = [
        lambda: setattr(eth0, "mtu", 1000),
        lambda: host.assign("v0", VethDevice()),
        lambda: setattr(eth0, "name", "renamed"),
        lambda: eth0.ip_add("10.7.0.1/16"),
        eth0.ip_flush,
        lambda: bridge.slave_add(host.adopt("v0")),
        eth1.down,
        lambda: bridge.slave_del(eth1),
        lambda: host.assign("br0", BridgeDevice()),
        lambda: setattr(eth1, "hwaddr", "02:00:00:00:00:77"),
        lambda: host.adopt("br0").slave_add(eth1, eth0),
        lambda: setattr(bridge, "ageing_time", 100),
        lambda: host.adopt("v0").destroy(),
        lambda: setattr(eth0, "mtu", 1400),
    ]
    for number, change in enumerate(changes, 1):
        change()
        if number == steps:
            os.kill(os.getpid(), signal.SIGKILL)


def test_killed_before_acting(host: Host) -> None:
    """Entries for changes that were never made are harmless."""
    before = host.snapshot()
    link = host.netlink.link("eth0")
    row = address_row(link.index, "10.0.0.1/24")
    host.log.append(
        LinkDelete(name="never"),
        LinkDelete(name="never2", index=99999),
        LinkRestore(index=link.index, name="eth0", mtu=link.mtu, rename="eth0", up=True, master=0),
        AddressDelete(name="eth0", address=row),
        LinkRestore(index=99999, name="made", mtu=1400, may_be_gone=True),
    )
    assert all(step.ok for step in host.undo())
    assert_same(before, host.snapshot())


def test_what_cannot_be_put_back_is_named_and_the_rest_goes_on(host: Host) -> None:
    eth0, eth1 = host.adopt("eth0"), host.adopt("eth1")
    ip(*["link", "add", "br9", "type", "bridge"])
    eth0.mtu = 1400
    host.adopt("br9").mtu = 1300
    eth1.mtu = 1400
    ip(*["link", "del", "br9"])
    steps = host.undo()
    assert [step.ok for step in steps] == [True, False, True]
    assert "br9 is gone, it cannot be put back" in steps[1].error
    assert (eth0.mtu, eth1.mtu) == (1500, 1500)
    assert host.log.entries() == []
    assert "br9" in Path(host.log.failed_path).read_text()


def test_routes_rules_neighbours_and_qdiscs(host: Host) -> None:
    """Operations that no device class here composes, both ways."""
    configure()
    netlink = host.netlink
    before = host.snapshot()
    route = next(row for row in netlink.routes() if row.dst == "203.0.113.0")
    rule = next(row for row in netlink.rules() if row.table == 77)
    neighbour = next(row for row in netlink.neighbours() if row.dst == "192.0.2.254")
    new_route = structs.replace(route, dst="198.18.0.0", dst_len=15)
    new_rule = structs.replace(rule, priority=99, table=78)
    new_neighbour = structs.replace(neighbour, dst="192.0.2.99")
    host.log.append(
        RouteAdd(name="eth0", route=route),
        RuleAdd(rule=rule),
        NeighbourAdd(name="eth0", neighbour=neighbour),
        RouteDelete(name="eth0", route=new_route),
        RuleDelete(rule=new_rule),
        NeighbourDelete(name="eth0", neighbour=new_neighbour),
    )
    host.log.append(QdiscRestore(name="eth0", qdisc=Qdisc(index=route.index, kind="")))
    netlink.route_del(route)
    netlink.rule_del(rule)
    netlink.neighbour_del(neighbour)
    netlink.route_add(new_route)
    netlink.rule_add(new_rule)
    netlink.neighbour_add(new_neighbour)
    netlink.qdisc_set(Qdisc(index=route.index, kind="pfifo_fast"))
    assert len(differences(before, host.snapshot())) >= 4
    assert [step.error for step in host.undo() if not step.ok] == []
    assert_same(before, host.snapshot())


def test_named_namespaces(host: Host) -> None:
    name = f"shakeout-test-{os.getpid()}"
    ip("netns", "add", name)
    try:
        with named(name) as fd, Netlink(fd) as inside:
            index = inside.link_add("bridge", "br0")
            host.log.append(LinkRestore(index=index, name="br0", mtu=1500, netns=name))
            inside.link_set(index, Change(mtu=1400))
            assert all(step.ok for step in host.undo())
            assert inside.link("br0").mtu == 1500
        host.log.append(LinkRestore(index=index, name="br0", mtu=1500, netns=name))
    finally:
        ip("netns", "delete", name)
    steps = host.undo()
    assert [step.ok for step in steps] == [True]
    assert "is gone" in steps[0].text
