"""Whatever is done to a host's devices, replaying the undo log puts it back, also after a kill in between."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from tests.lab.devices.test_attributes import ip
from tests.lab.devices.twin import Host, assert_same

from shakeout.devices.base import Device
from shakeout.devices.bridge import BridgeDevice
from shakeout.devices.macvlan import MacvlanDevice
from shakeout.devices.namespaces import enter
from shakeout.devices.netlink import Netlink
from shakeout.devices.veth import VethDevice, VethPair
from shakeout.errors import DeviceError, LabLacks

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
    "-6 route add default via 2001:db8::ffff",
    "neighbour add 192.0.2.254 lladdr 52:54:00:00:00:99 dev eth0",
    "rule add from 192.0.2.0/24 table 77",
)

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
        for words in CONFIGURED:
            ip(*words.split())
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

    def teardown(self) -> None:
        try:
            log = Path(self.host.log.path).read_bytes() if Path(self.host.log.path).exists() else b""
            steps = self.host.undo()
            assert [f"{step.text}: {step.error}" for step in steps if not step.ok] == []
            assert_same(self.before, self.host.snapshot())
            Path(self.host.log.path).write_bytes(log)  # killed before it could be cleared: once more
            again = self.host.undo()
            assert [f"{step.text}: {step.error}" for step in again if not step.ok] == []
            assert_same(self.before, self.host.snapshot())
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
            suppress_health_check=checks,
        ),
    )
