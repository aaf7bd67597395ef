"""Macvlans: further interfaces, each with its own hardware address, on one lower device."""

from __future__ import annotations

from shakeout.devices import inverse
from shakeout.devices.base import Device
from shakeout.devices.linkmessages import Change
from shakeout.devices.linkoptions import MACVLAN_MODES, OptionValue, pack_options, read_options
from shakeout.devices.soft import SoftDevice
from shakeout.errors import DeviceError, did_you_mean
from shakeout.wire.network import Link

_NAMES = {number: name for name, number in MACVLAN_MODES.items()}


class MacvlanDevice(SoftDevice):
    """An interface on top of another.

    Args:
        realdev: the device of the same host that it stands on.
        mode: "bridge" (macvlans reach each other), "private" (they do not), "vepa" (through the
            switch), "passthru" (the only one, with the lower device's address) or "source".
        hwaddr: its hardware address.
        mtu: its MTU in bytes, at most that of *realdev*.
    """

    _kind = "macvlan"
    _realdev: Device | None = None
    _mode = "bridge"

    def __init__(
        self, realdev: Device, mode: str = "bridge", *, hwaddr: str | None = None, mtu: int | None = None
    ) -> None:
        super().__init__(hwaddr=hwaddr, mtu=mtu)
        if not isinstance(realdev, Device):
            raise DeviceError(f"realdev is a device of the host, such as m1.eth0, not {realdev!r}")
        self._realdev = realdev
        self._mode = _check_mode(mode)

    @property
    def realdev(self) -> Device | None:
        """The device that it stands on; None if that is in another namespace."""
        link = self._link()
        return self._local().device(link.link) if link.link and link.link_netnsid < 0 else None

    @property
    def mode(self) -> str:
        """How macvlans on the same device reach each other; assigning changes it, but not to "passthru"."""
        link = self._link()
        number = read_options(link.kind, link.info).get("mode", 0)
        return _NAMES.get(number, str(number))

    @mode.setter
    def mode(self, value: str) -> None:
        _check_mode(value)
        old = self.mode
        if old == value:
            return
        link = self._link()
        what = f"set the mode of {link.name} to {value}"
        self._guard(link, what)
        if not self._created:
            info = pack_options("macvlan", {"mode": MACVLAN_MODES[old]})
            self._record(inverse.restore(link, self.netns, kind="macvlan", info=info))
        change = Change(kind="macvlan", options={"mode": MACVLAN_MODES[value]})
        self._netlink.link_set(link.index, change, what)

    def _options(self) -> dict[str, OptionValue]:
        return {"mode": MACVLAN_MODES[self._mode]}

    def _lower(self) -> Link | None:
        assert self._realdev is not None
        return self._realdev._link()


def _check_mode(mode: str) -> str:
    if mode not in MACVLAN_MODES:
        raise DeviceError(f"a macvlan has no mode {mode!r}{did_you_mean(str(mode), MACVLAN_MODES)}")
    return mode
