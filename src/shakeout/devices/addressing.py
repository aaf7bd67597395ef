"""The IP addresses of a device, on its host."""

from __future__ import annotations

import errno
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING

from shakeout.devices import inverse
from shakeout.devices.netlink import address_row
from shakeout.devices.tablemessages import is_kernels_address
from shakeout.errors import DeviceError
from shakeout.wire.network import Address, Link
from shakeout.wire.undo import AddressDelete, UndoEntry

if TYPE_CHECKING:
    from ipaddress import IPv4Interface, IPv6Interface

    from shakeout.devices.base import Device


def interfaces(device: Device) -> list[IPv4Interface | IPv6Interface]:
    """The addresses of *device* with their prefixes."""
    from ipaddress import IPv4Interface, IPv6Interface

    return [
        (IPv4Interface if row.family == AF_INET else IPv6Interface)(f"{row.address}/{row.prefix}")
        for row in device._netlink.addresses(device._link().index)
    ]


def add(device: Device, address: str, peer: str, *, nodad: bool) -> None:
    """See :meth:`~shakeout.devices.base.Device.ip_add`."""
    link = device._link()
    row = address_row(link.index, address, peer=peer, nodad=nodad)
    what = f"add address {address} to {link.name}"
    device._guard(link, what)
    present = device._netlink.addresses(link.index, row.family)
    # looked for here: the undo entry, written before the kernel could refuse, would remove the old one
    if any((one.address, one.prefix, one.peer) == (row.address, row.prefix, row.peer) for one in present):
        raise DeviceError(f"cannot {what}: it has it already", errno.EEXIST)
    if not device._created:
        entries: list[UndoEntry] = []
        if not present:  # taking the only address away again takes routes and neighbours with it
            entries += inverse.of_addresses(device._netlink, link, device.netns, row.family)
        device._record(*entries, AddressDelete(name=link.name, address=row, netns=device.netns))
    device._netlink.address_add(row)


def remove(device: Device, address: str) -> None:
    """See :meth:`~shakeout.devices.base.Device.ip_del`."""
    link = device._link()
    plain, _, prefix = address.partition("/")
    family = AF_INET6 if ":" in plain else AF_INET
    wanted = address_row(0, plain).address
    rows = device._netlink.addresses(link.index, family)
    found = [row for row in rows if row.address == wanted and prefix in ("", str(row.prefix))]
    if not found:
        has = ", ".join(f"{row.address}/{row.prefix}" for row in rows) or "none"
        raise DeviceError(f"{link.name} has no address {address}; it has {has}", errno.EADDRNOTAVAIL)
    _remove(device, link, family, found[:1])


def flush(device: Device) -> None:
    """See :meth:`~shakeout.devices.base.Device.ip_flush`."""
    link = device._link()
    for family in (AF_INET, AF_INET6):
        rows = device._netlink.addresses(link.index, family)
        rows = [row for row in rows if not is_kernels_address(row)]
        if rows:
            _remove(device, link, family, rows)


def _remove(device: Device, link: Link, family: int, rows: list[Address]) -> None:
    device._guard(link, f"remove addresses of {link.name}")
    if not device._created:
        device._record(*inverse.of_addresses(device._netlink, link, device.netns, family))
    for row in reversed(rows):  # backwards: a primary address takes its secondary ones with it
        device._netlink.address_del(row)
