"""Giving a device of the controller to a host: how it is made there, and what stands for it here."""

from __future__ import annotations

from shakeout.devices.base import Creation, Device
from shakeout.devices.dispatch import DeviceRemote
from shakeout.errors import DeviceError


def bind_remote(device: Device, remote: DeviceRemote, device_id: int, label: str = "") -> None:
    """Make *device*, on the controller, stand for the host's device *device_id*.

    Args:
        label: how it is called in messages: "m1.eth0".
    """
    for name in [name for name in device.__dict__ if not name.startswith("_")]:
        del device.__dict__[name]  # from now on the host knows them
    device._label = label
    device._id = device_id
    device._remote = remote


def make_remote(cls: type[Device], remote: DeviceRemote, device_id: int, label: str = "") -> Device:
    """A device on the controller for one that the host has; ``__init__`` does not run."""
    device: Device = cls.__new__(cls)
    bind_remote(device, remote, device_id, label)
    return device


def creation(device: Device) -> Creation:
    """How an unbound device is to be made on its host.

    Raises:
        DeviceError: it has been assigned to a host already.
    """
    if device._remote is not None or device._site is not None:
        raise DeviceError(f"{device!r} belongs to a host already; construct another {type(device).__name__}")
    return device._made()
