"""Which class stands for which kind of link."""

from __future__ import annotations

from shakeout.devices.base import Device
from shakeout.devices.bridge import BridgeDevice
from shakeout.devices.macvlan import MacvlanDevice
from shakeout.devices.soft import LoopbackDevice, SoftDevice, VirtualDevice
from shakeout.devices.veth import VethDevice

_ARPHRD_LOOPBACK = 772
#: The kernel's kind -> class.
KINDS: dict[str, type[Device]] = {"veth": VethDevice, "bridge": BridgeDevice, "macvlan": MacvlanDevice}
#: The classes that are part of shakeout, by name: they are on every host and need not be shipped.
BUILT_IN: dict[str, type[Device]] = {
    cls.__name__: cls
    for cls in (Device, SoftDevice, VirtualDevice, LoopbackDevice, VethDevice, BridgeDevice, MacvlanDevice)
}


def class_of(kind: str, ifi_type: int) -> type[Device]:
    """The class for a link that is there already."""
    if ifi_type == _ARPHRD_LOOPBACK:
        return LoopbackDevice
    return KINDS.get(kind, Device)
