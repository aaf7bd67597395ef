"""The devices of one host, in the process that holds a session's devices.

Each has a number of the table's own, which stays the same when the interface is renamed; nothing is
cached, so that what jobs do to interfaces is seen at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from msgspec import Struct

from shakeout.devices.base import Device
from shakeout.devices.dispatch import public_attributes
from shakeout.devices.kinds import class_of
from shakeout.devices.naming import check_hwaddr, check_name
from shakeout.devices.netlink import Netlink
from shakeout.devices.references import to_devices
from shakeout.devices.site import UndoRecorder
from shakeout.devices.soft import SoftDevice
from shakeout.errors import DeviceError, UnknownName
from shakeout.wire.network import Link

_ETHERNET = 1


class DeviceInfo(Struct, frozen=True):
    """What the controller is told of a device."""

    id: int
    name: str
    #: The class of :mod:`shakeout.devices`, by name; a class of the user's for devices made of one.
    class_name: str
    #: The kernel's kind of link, "" for hardware.
    kind: str
    hwaddr: str
    #: Made by this session.
    created: bool = False


class DeviceTable:
    """The devices of one network namespace; the namespace's :class:`~shakeout.devices.site.Site`."""

    def __init__(self, netlink: Netlink, undo: UndoRecorder, *, protected: Iterable[int] = (), netns: str = "") -> None:
        """
        Args:
            undo: gets the inverse of each change before it is made.
            protected: indexes of the interfaces that carry the connection: they must not change.
            netns: name of the namespace that *netlink* is in.
        """
        self.netlink = netlink
        self.undo = undo
        self.netns = netns
        self.protected: Collection[int] = frozenset(protected)
        self._devices: dict[int, Device] = {}
        self._by_index: dict[int, Device] = {}
        self._last = 0

    def list(self) -> list[DeviceInfo]:
        """All devices that there are now, in the kernel's order."""
        return [self._info(self._of_link(link), link) for link in self.netlink.links()]

    def adopt(self, which: str, cls: type[Device] | None = None) -> DeviceInfo:
        """The device with this name, alternative name or hardware address.

        Args:
            cls: the class to use for it, if it is to be another than its kind's.

        Raises:
            UnknownName: there is none, and which there are; several have the address.
        """
        link = self._find(which)
        device = self._of_link(link)
        if cls is not None and type(device) is not cls:
            device = self._new(cls)
            device.__init__()  # type: ignore[misc]
            self._enter(device, link)
        return self._info(device, link)

    def create(
        self,
        cls: type[Device],
        name: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        state: dict[str, Any] | None = None,
        *,
        hwaddr: str = "",
    ) -> DeviceInfo:
        """Construct a device of *cls*, and create its interface as *name*.

        Args:
            args, kwargs: of the class; DeviceRef in them are this table's devices.
            state: attributes that were set since.
            hwaddr: a hardware address for it, if the arguments name none.

        Raises:
            DeviceError, LabLacks: it cannot be created.
        """
        check_name(name)
        device = self._new(cls)
        device._label = name
        device.__init__(*to_devices(tuple(args), self.by_id), **to_devices(dict(kwargs or {}), self.by_id))  # type: ignore[misc]
        if hwaddr and isinstance(device, SoftDevice) and device._hwaddr is None:
            device._hwaddr = check_hwaddr(hwaddr)
        for key, value in to_devices(dict(state or {}), self.by_id).items():
            setattr(device, key, value)
        device.create()
        link = device._link()
        self._enter(device, link)
        return self._info(device, link)

    def call(
        self,
        device_id: int,
        op: str,
        name: str = "",
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do one thing with a device: "get", "set" (the value is ``args[0]``), "call" or "items".

        What it returns may contain devices, which travel as DeviceRef.

        Raises:
            UnknownName: there is no such device, attribute or method.
            Exception: whatever the device's class raises.
        """
        device = self.by_id(device_id)
        if op == "items":
            return list(device)
        declared = getattr(type(device), name, None)
        is_method = callable(declared) and not isinstance(declared, type)
        if name.startswith("_") or (not is_method and not self._has(device, name)):
            raise UnknownName(f"attribute of {device!r}", name, _public(device))
        if op == "call":
            if not is_method:
                raise DeviceError(f"{name} of {device!r} is a value, not a method: use it without ()")
            return getattr(device, name)(*to_devices(tuple(args), self.by_id), **to_devices(kwargs or {}, self.by_id))
        if is_method:
            raise DeviceError(f"{name} of {device!r} is a method: call it: {name}(…)")
        if op == "get":
            return getattr(device, name)
        try:
            setattr(device, name, to_devices(args[0], self.by_id))
        except AttributeError as error:
            raise DeviceError(f"{name} of {device!r} cannot be set: {error}") from error
        return None

    def info(self, device_id: int) -> DeviceInfo:
        """What there is to say of a device that a result referred to."""
        device = self.by_id(device_id)
        return self._info(device, device._link())

    def by_id(self, device_id: int) -> Device:
        """The device with this number of ours."""
        try:
            return self._devices[device_id]
        except KeyError:
            raise UnknownName("device of this host", str(device_id)) from None

    def device(self, index: int) -> Device | None:
        """The device with this interface index; None if there is none."""
        link = self.netlink.find_link(index)
        return self._of_link(link) if link is not None else None

    def _has(self, device: Device, name: str) -> bool:
        return hasattr(type(device), name) or name in device.__dict__

    def _of_link(self, link: Link) -> Device:
        device = self._by_index.get(link.index)
        if device is None or device._destroyed:
            device = self._new(class_of(link.kind, link.ifi_type))
            self._enter(device, link)
        device._label = link.name
        return device

    def _new(self, cls: type[Device]) -> Device:
        device: Device = cls.__new__(cls)
        self._last += 1
        device._id = self._last
        device._site = self
        return device

    def _enter(self, device: Device, link: Link) -> None:
        earlier = self._by_index.get(link.index)
        if earlier is not None and earlier._created:
            device._created = True
        device._index = link.index
        device._label = link.name
        self._devices[device._id] = device
        self._by_index[link.index] = device

    def _find(self, which: str) -> Link:
        link = self.netlink.find_link(which) if len(which) < 128 else None
        if link is not None:
            return link
        links = self.netlink.links()
        same = [link for link in links if link.hwaddr == which.lower() and link.ifi_type == _ETHERNET]
        if len(same) == 1:
            return same[0]
        if same:
            names = ", ".join(link.name for link in same)
            raise UnknownName("single interface", which, [], f"{names} all have this hardware address")
        raise UnknownName("interface of this host", which, [link.name for link in links])

    def _info(self, device: Device, link: Link) -> DeviceInfo:
        return DeviceInfo(device._id, link.name, type(device).__name__, link.kind, link.hwaddr, device._created)


def _public(device: Device) -> list[str]:
    names = {name for name in dir(type(device)) if not name.startswith("_")}
    return sorted(names | set(public_attributes(device)))
