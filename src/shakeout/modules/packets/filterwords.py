"""What the single statements of the filter language mean, as tests of a packet."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any as AnyType
from typing import Final

from shakeout.errors import UsageError, did_you_mean
from shakeout.modules.packets.filtertree import ETHER_TYPES, PROTOCOLS, All, Any, EtherType, Field, IpProtocol, Node

#: Where the addresses are in each header, sender's and receiver's. (RFC 791, 8200, 826)
_V4_PLACES: Final = {"ip": (12, 16), "arp": (14, 24), "rarp": (14, 24)}
_V6_PLACES: Final = (8, 24)
#: Directions: both may be asked for, with "or" or with "and" between.
SIDES: Final = ("src", "dst")

#: Offsets that have names. (tcpdump's)
OFFSETS: Final = {"icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13}

#: Numbers that have names. (tcpdump's)
NUMBERS: Final = {
    "tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08,
    "tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,
    "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
    "icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12,
    "icmp-tstamp": 13, "icmp-tstampreply": 14,
    "icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4,
    "icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134,
    "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
}  # fmt: skip


def number(text: str, highest: int = 0xFFFFFFFF) -> int:
    """The number that *text* writes (decimal, 0x, or one of `NUMBERS`).

    Raises:
        UsageError: it writes none, or one that is too large.
    """
    if text in NUMBERS:
        return NUMBERS[text]
    try:
        value = int(text, 0) if text.isascii() else -1
    except ValueError:
        near = did_you_mean(text, NUMBERS) if len(text) > 3 else ""
        raise UsageError(f"{text!r} is no number{near}") from None
    if not 0 <= value <= highest:
        raise UsageError(f"{text} is not from 0 to {highest}")
    return value


def sided(side: str, of: AnyType) -> Node:
    """What *of* ("src" or "dst") gives, for one side, either ("or") or both ("and")."""
    if side in SIDES:
        return of(side)  # type: ignore[no-any-return]
    parts = (of("src"), of("dst"))
    return All(parts) if side == "and" else Any(parts)


def hosts(protocol: str, side: str, text: str, *, net: bool) -> Node:
    """Packets of a host (or a network, if *net*).

    Args:
        protocol: "ip", "ip6", "arp", "rarp" or "ether" if only those are meant; else "".

    Raises:
        UsageError: *text* is no address that fits.
    """
    if protocol == "ether":
        mac = mac_address(text)
        return sided(side, lambda one: _mac(6 if one == "src" else 0, mac))
    try:
        place: AnyType = ip_network(text) if net else ip_network(ip_address(text))
    except ValueError as error:
        kind = "network" if net else "address"
        raise UsageError(f"{text!r} is no {kind} ({error}); names are not looked up") from None
    if protocol in ("tcp", "udp", "sctp", "icmp", "icmp6", "igmp"):
        return All((protocols(protocol), hosts("", side, text, net=net)))
    if place.version == 6:
        if protocol not in ("", "ip6"):
            raise UsageError(f"{protocol} has no IPv6 addresses such as {text}")
        return sided(side, lambda one: _v6(_V6_PLACES[SIDES.index(one)], place))
    if protocol == "ip6":
        raise UsageError(f"ip6 has no IPv4 addresses such as {text}")
    within = (protocol,) if protocol else tuple(_V4_PLACES)
    return sided(side, lambda one: _any([_v4(base, _V4_PLACES[base][SIDES.index(one)], place) for base in within]))


def ports(protocol: str, side: str, low: int, high: int) -> Node:
    """Packets from or to ports *low* to *high* of TCP, UDP or SCTP."""
    within: tuple[AnyType, ...] = (protocol,) if protocol else ("tcp", "udp", "sctp")

    def of(one: str) -> Node:
        place = 0 if one == "src" else 2
        if low == high:
            return _any([Field(base, place, 2, "=", low) for base in within])
        return _any([All((Field(base, place, 2, ">=", low), Field(base, place, 2, "<=", high))) for base in within])

    return sided(side, of)


def protocols(name: str) -> Node:
    """Packets of the protocol of that name."""
    if name in ETHER_TYPES:
        return EtherType(ETHER_TYPES[name])
    family = 4 if name in ("icmp", "igmp") else 6 if name == "icmp6" else 0
    return IpProtocol(PROTOCOLS[name], family)


def groups(protocol: str, word: str) -> Node:
    """Packets to everybody ("broadcast") or to a group ("multicast")."""
    if word == "broadcast" and protocol in ("", "ether"):
        return _mac(0, b"\xff" * 6)
    if word == "multicast" and protocol in ("", "ether"):
        return Field("ether", 0, 1, "!=", 0, 1)
    if word == "multicast" and protocol == "ip":
        return Field("ip", 16, 1, "=", 0xE0, 0xF0)
    if word == "multicast" and protocol == "ip6":
        return Field("ip6", 24, 1, "=", 0xFF)
    raise UsageError(f"there is no {protocol} {word}; there are ether broadcast, ether, ip and ip6 multicast")


def mac_address(text: str) -> bytes:
    """The bytes of a link-layer address.

    Raises:
        UsageError: *text* is none.
    """
    parts = text.replace("-", ":").split(":")
    try:
        if len(parts) == 6 and all(0 < len(part) < 3 and part.isascii() for part in parts):
            return bytes(int(part, 16) for part in parts)
    except ValueError:
        pass
    raise UsageError(f"{text!r} is no link-layer address such as 52:54:00:12:34:56")


def _any(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Any(tuple(parts))


def _mac(place: int, mac: bytes) -> Node:
    low, high = int.from_bytes(mac[2:], "big"), int.from_bytes(mac[:2], "big")
    return All((Field("ether", place + 2, 4, "=", low), Field("ether", place, 2, "=", high)))


def _v4(base: AnyType, place: int, network: AnyType) -> Node:
    return Field(base, place, 4, "=", int(network.network_address), int(network.netmask))


def _v6(place: int, network: AnyType) -> Node:
    address, mask = network.network_address.packed, network.netmask.packed
    words = []
    for start in range(0, 16, 4):
        part = int.from_bytes(mask[start : start + 4], "big")
        if part:
            words.append(Field("ip6", place + start, 4, "=", int.from_bytes(address[start : start + 4], "big"), part))
    return All(tuple(words)) if words else EtherType(ETHER_TYPES["ip6"])
