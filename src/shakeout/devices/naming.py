"""What the kernel accepts as names and hardware addresses of interfaces."""

from __future__ import annotations

from shakeout.devices.attributes import mac_bytes
from shakeout.errors import DeviceError


def check_name(value: str) -> None:
    """Raise DeviceError unless the kernel accepts *value* as the name of an interface."""
    bad = not isinstance(value, str) or not 0 < len(value.encode()) < 16 or value in (".", "..")
    if bad or any(c in "/:" or c.isspace() for c in value):
        raise DeviceError(f"{value!r} cannot be the name of an interface: 1 to 15 characters, no blanks, '/' or ':'")


def check_hwaddr(value: str, length: int = 6) -> str:
    """*value* in the kernel's form.

    Raises:
        DeviceError: it is no hardware address of *length* bytes.
    """
    try:
        data = mac_bytes(str(value))
    except ValueError as error:
        raise DeviceError(str(error)) from None
    if len(data) != length:
        raise DeviceError(f"hardware address {value} has {len(data)} bytes, not {length}")
    return data.hex(":")
