"""A user's own kind of device: what it defines is reachable from a recipe, through the wire's encoding."""

from __future__ import annotations

import os
from functools import cached_property

import pytest
from tests.lab.devices.twin import Host, assert_same

from shakeout.devices.base import Device
from shakeout.devices.bridge import BridgeDevice
from shakeout.devices.linkmessages import Change
from shakeout.devices.soft import SoftDevice
from shakeout.devices.veth import VethDevice
from shakeout.errors import CannotTravel, DeviceError, UnknownName
from shakeout.wire.undo import LinkRestore

pytestmark = pytest.mark.needs("root")


class TunedVeth(VethDevice):
    """Everything that a class can have."""

    speed = 10
    tags = ["a", "b"]

    def __init__(self, colour: str, *, hwaddr: str | None = None) -> None:
        super().__init__(hwaddr=hwaddr)
        self.colour = colour
        self.made_in = os.getpid()
        self._secret = 42

    @property
    def queue_length(self) -> int:
        """Read and set in the kernel."""
        return self._link().txqlen

    @queue_length.setter
    def queue_length(self, value: int) -> None:
        link = self._link()
        if not self._created:
            self._record(LinkRestore(index=link.index, name=link.name, txqlen=link.txqlen))
        self._netlink.link_set(link.index, Change(txqlen=value))

    @property
    def doubled(self) -> int:
        return self.speed * 2

    @cached_property
    def first_index(self) -> int:
        return self.if_index

    @staticmethod
    def helper(value: int) -> int:
        return value + 1

    @classmethod
    def family(cls) -> str:
        return cls.__name__

    def describe(self, *words: str, sep: str = " ") -> dict[str, object]:
        return {"text": sep.join((self.name, self.colour, *words)), "secret": self._secret}

    def join(self, bridge: BridgeDevice, others: list[Device]) -> list[Device | None]:
        for device in (self, *others):
            device.master = bridge
        return [self.master, *others]

    def ip_add(self, address: str, *rest: object, **more: object) -> None:
        """Overrides a built-in method, and uses it."""
        super().ip_add(f"10.77.0.{address}/24")

    def fails(self) -> None:
        raise ZeroDivisionError("on the host")

    def untravellable(self) -> object:
        return object()


@pytest.fixture
def device(host: Host) -> TunedVeth:
    made: TunedVeth = host.assign("t0", TunedVeth("blue"))
    return made


def test_plain_attributes(host: Host, device: TunedVeth) -> None:
    assert (device.speed, device.colour, device.tags) == (10, "blue", ["a", "b"])
    device.speed = 100
    device.colour = "green"
    device.tags = ["c"]
    there = host.table.by_id(device._id)
    assert (there.speed, there.colour, there.tags) == (100, "green", ["c"])  # type: ignore[attr-defined]
    assert (device.speed, device.colour, device.tags) == (100, "green", ["c"])
    assert "colour" not in device.__dict__
    assert (TunedVeth.speed, TunedVeth.tags) == (10, ["a", "b"])


def test_properties(host: Host, device: TunedVeth) -> None:
    device.queue_length = 55
    assert device.queue_length == 55
    assert host.netlink.link("t0").txqlen == 55
    assert device.doubled == 20
    with pytest.raises(DeviceError, match=r"doubled of .* can only be read"):
        device.doubled = 3  # type: ignore[misc]
    assert device.first_index == device.if_index


def test_methods(host: Host, device: TunedVeth) -> None:
    assert device.describe("x", "y", sep="-") == {"text": "t0-blue-x-y", "secret": 42}
    before = len(host.calls)
    assert device.helper(1) == 2
    assert device.family() == "TunedVeth"
    assert len(host.calls) == before
    device.ip_add("9")
    assert "10.77.0.9/24" in [str(one) for one in device.ips]
    with pytest.raises(ZeroDivisionError, match="on the host"):
        device.fails()
    with pytest.raises(CannotTravel):
        device.untravellable()


def test_devices_as_arguments_and_results(host: Host, device: TunedVeth) -> None:
    bridge, eth0 = host.assign("br0", BridgeDevice()), host.adopt("eth0")
    assert device.join(bridge, [eth0]) == [bridge, eth0]
    assert eth0.master is bridge
    assert device.master is bridge


def test_private_names_and_typing_mistakes_stay_here(host: Host, device: TunedVeth) -> None:
    before = len(host.calls)
    assert not hasattr(device, "_nothing")
    device._note = 3  # type: ignore[attr-defined]
    assert device._note == 3  # type: ignore[attr-defined]
    assert len(host.calls) == before
    with pytest.raises(UnknownName, match="did you mean 'colour'"):
        device.color = "red"
    with pytest.raises(DeviceError, match="describe is a method"):
        device.describe = 3  # type: ignore[method-assign, assignment]
    with pytest.raises(UnknownName):
        host.table.call(device._id, "get", "_secret")
    with pytest.raises(DeviceError, match="is a method: call it"):
        host.table.call(device._id, "get", "describe")
    with pytest.raises(DeviceError, match="is a value, not a method"):
        host.table.call(device._id, "call", "speed")
    with pytest.raises(UnknownName):
        host.table.call(999, "get", "mtu")


def test_init_runs_on_both_sides_and_later_changes_travel(host: Host) -> None:
    device = TunedVeth("blue", hwaddr="52:54:00:00:00:31")
    assert (device.colour, device.speed) == ("blue", 10)
    device.colour = "red"
    device.speed = 25
    host.assign("t1", device)
    assert (device.colour, device.speed, device.hwaddr) == ("red", 25, "52:54:00:00:00:31")


def test_iteration_has_everything_public(device: TunedVeth) -> None:
    values = dict(iter(device))
    assert values["colour"] == "blue"
    assert values["doubled"] == 20
    assert values["name"] == "t0"
    assert not {"describe", "helper", "family", "_secret"} & set(values)


def test_an_own_class_for_an_interface_that_is_there(host: Host) -> None:
    class Tuned(Device):
        limit = 3

        @property
        def queue_length(self) -> int:
            return self._link().txqlen

        @queue_length.setter
        def queue_length(self, value: int) -> None:
            link = self._link()
            self._record(LinkRestore(index=link.index, name=link.name, txqlen=link.txqlen))
            self._netlink.link_set(link.index, Change(txqlen=value))

    before = host.snapshot()
    eth0 = host.adopt("eth0", Tuned)
    eth0.queue_length = 7
    assert (eth0.limit, eth0.queue_length, host.netlink.link("eth0").txqlen) == (3, 7, 7)
    host.undo()
    assert_same(before, host.snapshot())


def test_constructor_errors_are_seen_where_the_recipe_constructs() -> None:
    with pytest.raises(TypeError, match="colour"):
        TunedVeth()  # type: ignore[call-arg]


def test_a_class_that_does_not_say_its_kind(host: Host) -> None:
    class Kindless(SoftDevice):
        pass

    with pytest.raises(DeviceError, match="does not say which kind of link it is"):
        host.assign("k0", Kindless())
