"""Bridges: switches in software."""

from __future__ import annotations

from typing import Any, Generic, Self, TypeVar, overload

from shakeout.devices import inverse
from shakeout.devices.base import Device
from shakeout.devices.kernel import UNSUPPORTED, lacking_option
from shakeout.devices.linkmessages import Change
from shakeout.devices.linkoptions import OptionValue, pack_options, read_options
from shakeout.devices.soft import SoftDevice
from shakeout.errors import DeviceError, LabLacks, did_you_mean

T = TypeVar("T", bound=int)


class LinkOption(Generic[T]):
    """An option of a kind of link, as an attribute that reads and sets it."""

    def __init__(self, name: str, form: type[T], doc: str) -> None:
        self.name = name
        self.form: type[T] = form
        self.__doc__ = doc

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: SoftDevice, owner: type) -> T: ...
    def __get__(self, instance: SoftDevice | None, owner: type) -> Self | T:
        if instance is None:
            return self
        link = instance._link()
        values = read_options(link.kind, link.info)
        if self.name not in values:
            raise LabLacks(f"the kernel of this host does not tell {self.name} of {link.name}")
        return self.form(values[self.name])

    def __set__(self, instance: SoftDevice, value: T) -> None:
        if not isinstance(value, int):
            raise DeviceError(f"{self.name} is {'True or False' if self.form is bool else 'a number'}, not {value!r}")
        link = instance._link()
        old = read_options(link.kind, link.info)
        if old.get(self.name) == int(value):
            return
        what = f"set {self.name} of {link.name} to {int(value)}"
        instance._guard(link, what)
        if not instance._created and self.name in old:
            info = pack_options(link.kind, {self.name: old[self.name]})
            instance._record(inverse.restore(link, instance.netns, kind=link.kind, info=info))
        change = Change(kind=link.kind, options={self.name: int(value)})
        try:
            instance._netlink.link_set(link.index, change, what)
        except DeviceError as error:
            if error.errno in UNSUPPORTED:
                raise lacking_option(f"{self.name} of {link.kind}s", error) from error
            raise


class BridgeDevice(SoftDevice):
    """A bridge. All times are in hundredths of a second, as ``ip link`` has them.

    Args:
        hwaddr: its hardware address.
        mtu: its MTU in bytes; without it, the smallest of its ports'.
        options: any of the attributes below, by name: ``BridgeDevice(stp_state=True)``.
    """

    _kind = "bridge"
    _given: dict[str, OptionValue] = {}

    stp_state = LinkOption("stp_state", bool, "Whether the spanning tree protocol runs.")
    priority = LinkOption("priority", int, "Bridge priority in the spanning tree, 0 to 65535.")
    forward_delay = LinkOption("forward_delay", int, "Time in listening and learning, 1/100 s.")
    hello_time = LinkOption("hello_time", int, "Time between hello packets, 1/100 s.")
    max_age = LinkOption("max_age", int, "Time until the root is considered dead, 1/100 s.")
    ageing_time = LinkOption("ageing_time", int, "Time until a learned address is forgotten, 1/100 s.")
    group_fwd_mask = LinkOption("group_fwd_mask", int, "Link-local groups that are forwarded, a bit mask.")
    mcast_snooping = LinkOption("mcast_snooping", bool, "Whether multicast groups are learned.")
    mcast_querier = LinkOption("mcast_querier", bool, "Whether the bridge asks for multicast members.")
    vlan_filtering = LinkOption("vlan_filtering", bool, "Whether ports are filtered by VLAN.")
    vlan_default_pvid = LinkOption("vlan_default_pvid", int, "VLAN of untagged packets at new ports.")

    def __init__(self, *, hwaddr: str | None = None, mtu: int | None = None, **options: int) -> None:
        super().__init__(hwaddr=hwaddr, mtu=mtu)
        known = bridge_options()
        for name in options:
            if name not in known:
                raise DeviceError(f"a bridge has no option {name!r}{did_you_mean(name, known)}")
        self._given = {name: int(value) for name, value in options.items()}

    @property
    def slaves(self) -> list[Device]:
        """Its ports."""
        site = self._local()
        index = self._link().index
        found = (site.device(link.index) for link in site.netlink.links() if link.master == index)
        return [device for device in found if device is not None]

    def slave_add(self, *devices: Device) -> None:
        """Make *devices* of the same host its ports."""
        for device in devices:
            device.master = self

    def slave_del(self, *devices: Device) -> None:
        """Free its ports *devices*.

        Raises:
            DeviceError: one of them is no port of this bridge.
        """
        index = self._link().index
        for device in devices:
            link = device._link()
            if link.master != index:
                raise DeviceError(f"{link.name} is no port of {self._link().name}")
            device.master = None

    def _options(self) -> dict[str, OptionValue]:
        return self._given

    def _make(self) -> None:
        try:
            super()._make()
        except LabLacks as error:
            if not self._given or "vlan_filtering" not in self._given:
                raise
            raise LabLacks(f"creating {self._label} with {', '.join(self._given)}: {error}") from error


def bridge_options() -> list[str]:
    """Names of the options that a :class:`BridgeDevice` takes."""
    return [name for name, value in vars(BridgeDevice).items() if _is_option(value)]


def _is_option(value: Any) -> bool:
    return isinstance(getattr(value, "value", None), LinkOption)
