"""Netlink attributes (type-length-value, 4-byte aligned) and the text forms of addresses.

A walk over a whole link message takes 8 µs; decoding it to a tree with pyroute2's codecs takes
115 µs, which is why what every recipe does (links, addresses, routes) is coded here, and pyroute2
(:mod:`shakeout.devices.codecs`) is loaded only for the options of the many other kinds of link.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct

_HEAD = Struct("=HH")
_U32 = Struct("=I")
#: Flags in an attribute's type: nested, network byte order.
TYPE_MASK = 0x3FFF
NESTED = 0x8000


def walk(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attributes of *data* from *offset* on, by type; a repeated type keeps its last value."""
    return dict(pairs(data, offset))


def pairs(data: bytes, offset: int = 0) -> list[tuple[int, bytes]]:
    """Attributes of *data* from *offset* on, in order. What follows a malformed one is ignored."""
    found = []
    unpack = _HEAD.unpack_from
    end = len(data)
    while offset + 4 <= end:
        length, kind = unpack(data, offset)
        if length < 4 or offset + length > end:
            break
        found.append((kind & TYPE_MASK, data[offset + 4 : offset + length]))
        offset += (length + 3) & ~3
    return found


def pack(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    return _HEAD.pack(len(payload) + 4, kind) + payload + b"\0" * (-len(payload) & 3)


def nest(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return pack(kind | NESTED, b"".join(attributes))


def pack_u32(kind: int, value: int) -> bytes:
    """An attribute with a 32-bit number."""
    return pack(kind, _U32.pack(value & 0xFFFFFFFF))


def pack_text(kind: int, value: str) -> bytes:
    """An attribute with a NUL-terminated string."""
    return pack(kind, value.encode() + b"\0")


def u32(data: bytes | None, default: int = 0) -> int:
    """A 32-bit number, or *default* if the attribute is missing or too short."""
    return _U32.unpack_from(data)[0] if data is not None and len(data) >= 4 else default


def text(data: bytes | None) -> str:
    """A string without its NUL; undecodable bytes survive as surrogates."""
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape") if data else ""


def mac_text(data: bytes | None) -> str:
    """``52:54:00:00:00:01`` from bytes of any length."""
    return data.hex(":") if data else ""


def mac_bytes(value: str) -> bytes:
    """Bytes from ``52:54:00:00:00:01`` (or with dashes).

    Raises:
        ValueError: *value* is no hardware address.
    """
    try:
        return bytes(int(part, 16) for part in value.replace("-", ":").split(":"))
    except ValueError:
        raise ValueError(f"{value!r} is no hardware address; write it as 52:54:00:00:00:01") from None


def ip_text(family: int, data: bytes | None) -> str:
    """Text of an address, "" for none."""
    return inet_ntop(family, data) if data else ""


def ip_bytes(family: int, value: str) -> bytes:
    """Bytes of an address.

    Raises:
        ValueError: *value* is no address of *family*.
    """
    try:
        return inet_pton(family, value)
    except OSError:
        raise ValueError(f"{value!r} is no IPv{4 if family == AF_INET else 6} address") from None


def family_of(value: str) -> int:
    """AF_INET or AF_INET6, from the look of an address."""
    return AF_INET6 if ":" in value else AF_INET
