"""Counters of network interfaces from the kernel, by index, and word of every change (rtnetlink(7)).

Devices have a client of their own for links; it is not for modules, which run without it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from shakeout.errors import ModuleFailed

NEWLINK, DELLINK, GETLINK = 16, 17, 18
_DONE, _ERROR = 3, 2
_REQUEST, _DUMP = 0x1, 0x300
_GROUP_LINK = 1
_IFNAME, _STATS64, _CARRIER, _CARRIER_CHANGES = 3, 23, 33, 35
_UP = 0x1

_HEADER = struct.Struct("=IHHII")
#: family, pad, ARPHRD type, index, flags, changed flags
_IFINFO = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")

#: The first ten of ``struct rtnl_link_stats64`` (linux/if_link.h), in order.
# fmt: off
COUNTERS = (
    "rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors",
    "tx_errors", "rx_dropped", "tx_dropped", "multicast", "collisions",
)
# fmt: on
_STATS = struct.Struct(f"={len(COUNTERS)}Q")


class LinkReading(NamedTuple):
    """An interface at one moment.

    Attributes:
        number: the interface's index.
        kind: NEWLINK, or DELLINK if it is gone; the counters are its last ones then.
        counters: in the order of `COUNTERS`; empty if the kernel left them out.
        carrier: whether there is a carrier.
        carrier_changes: how often that has changed since the interface was made.
    """

    kind: int
    number: int
    name: str
    up: bool
    carrier: bool
    carrier_changes: int
    counters: tuple[int, ...]


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each netlink message in *data*; what is cut short is left out."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes, at: int) -> dict[int, bytes]:
    """Attributes by number, from offset *at* on; what is cut short is left out."""
    found = {}
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            break
        found[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


def decode_link(kind: int, body: bytes) -> LinkReading | None:
    """The interface that a link message tells of; None if it is none, or one of another family (a bridge's port)."""
    if kind not in (NEWLINK, DELLINK) or len(body) < _IFINFO.size:
        return None
    family, _, index, flags, _ = _IFINFO.unpack_from(body)
    if family != socket.AF_UNSPEC:
        return None
    found = attributes(body, _IFINFO.size)
    stats = found.get(_STATS64, b"")
    return LinkReading(
        kind,
        index,
        found.get(_IFNAME, b"").split(b"\0")[0].decode(errors="backslashreplace"),
        bool(flags & _UP),
        found.get(_CARRIER, b"\0")[:1] == b"\1",
        int.from_bytes(found.get(_CARRIER_CHANGES, b"")[:4], "little" if _little() else "big"),
        _STATS.unpack_from(stats) if len(stats) >= _STATS.size else (),
    )


class LinkCounters:
    """Two netlink sockets of the network namespace that this process is in: one asks, one hears of changes."""

    def __init__(self) -> None:
        self._ask = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._hear = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._ask.bind((0, 0))
        self._hear.bind((0, _GROUP_LINK))

    def __enter__(self) -> LinkCounters:
        return self

    def __exit__(self, *_: object) -> None:
        self._ask.close()
        self._hear.close()

    def fileno(self) -> int:
        """Readable when something has changed."""
        return self._hear.fileno()

    def every(self) -> list[LinkReading]:
        """All interfaces, now."""
        return list(self._request(_REQUEST | _DUMP, 0))

    def one(self, index: int) -> LinkReading | None:
        """The interface *index*, now; None if it is gone."""
        return next(self._request(_REQUEST, index), None)

    def changes(self) -> tuple[list[LinkReading], bool]:
        """What has changed since the last call, in order; and whether something may have been lost on the way."""
        found: list[LinkReading] = []
        lost = False
        while True:
            try:
                data = self._hear.recv(1 << 16)
            except BlockingIOError:
                return found, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            found += filter(None, (decode_link(kind, body) for kind, body in messages(data)))

    def _request(self, flags: int, index: int) -> Iterator[LinkReading]:
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        self._ask.send(_HEADER.pack(_HEADER.size + len(body), GETLINK, flags, 0, 0) + body)
        while True:
            for kind, payload in messages(self._ask.recv(1 << 17)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    number = -int.from_bytes(payload[:4], "little" if _little() else "big", signed=True)
                    if number in (errno.ENODEV, 0):
                        return
                    raise ModuleFailed(f"the kernel does not tell the counters of interfaces: {os.strerror(number)}")
                reading = decode_link(kind, payload)
                if reading is not None:
                    yield reading
            if not flags & _DUMP:
                return


def _little() -> bool:
    import sys

    return sys.byteorder == "little"
