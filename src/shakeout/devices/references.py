"""Devices in values that travel: on the way they are numbers, at both ends they are devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shakeout.devices.base import Device
from shakeout.devices.dispatch import DeviceRemote
from shakeout.errors import DeviceError
from shakeout.wire.plain import DeviceRef

_CONTAINERS = (list, tuple, set, frozenset)


def to_devices(value: Any, device_of: Callable[[int], Device]) -> Any:
    """*value* with every DeviceRef in it replaced by what *device_of* gives for its number."""
    return _mapped(value, DeviceRef, lambda ref: device_of(ref.id))


def to_references(value: Any, remote: DeviceRemote) -> Any:
    """*value* with every device in it replaced by a DeviceRef, for sending it to the host *remote*.

    Raises:
        DeviceError: a device of another host, or of none.
    """

    def reference(device: Device) -> DeviceRef:
        owner = device._remote
        if owner is not None and owner is not remote:
            raise DeviceError(
                f"{device!r} is a device of another host; what is sent to a host can only refer to its own devices"
            )
        return DeviceRef(device._shakeout_ref())

    return _mapped(value, Device, reference)


def _mapped(value: Any, kind: type, replace: Callable[[Any], Any]) -> Any:
    if isinstance(value, kind):
        return replace(value)
    if type(value) is dict:
        return {_mapped(k, kind, replace): _mapped(v, kind, replace) for k, v in value.items()}
    if type(value) in _CONTAINERS:
        return type(value)(_mapped(item, kind, replace) for item in value)
    return value
