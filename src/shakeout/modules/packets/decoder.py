"""A packet in one line, as people speak of it: for messages and examples.

What comes from a network may be anything: whatever is cut short or makes no sense is shown as far as it goes, and
nothing here raises.
"""

from __future__ import annotations

import struct
from typing import Final

from shakeout.modules.packets import icmpwords

_TAGS: Final = (0x8100, 0x88A8, 0x9100)
_TCP_FLAGS: Final = (
    (0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x20, "URG"),
    (0x40, "ECE"), (0x80, "CWR"),
)  # fmt: skip
#: IANA, "IEEE 802 Numbers", and "Protocol Numbers".
_ETHER_TYPES: Final = {
    0x0842: "wake-on-LAN", 0x8035: "RARP", 0x8809: "slow protocol (LACP)", 0x8847: "MPLS", 0x8863: "PPPoE discovery",
    0x8864: "PPPoE", 0x888E: "EAPOL", 0x88CC: "LLDP", 0x88E5: "MACsec", 0x88F7: "PTP", 0x892F: "HSR",
}  # fmt: skip
_PROTOCOLS: Final = {
    2: "IGMP", 4: "IPv4", 41: "IPv6", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH", 88: "EIGRP", 89: "OSPF", 103: "PIM",
    112: "VRRP", 132: "SCTP",
}  # fmt: skip
_ARP_OPERATIONS: Final = {1: "who has {target}? tell {sender}", 2: "{sender} is at {mac}"}
#: Headers that may stand between IPv6's and the transport's: hop-by-hop, routing, destination options.
_V6_OPTIONS: Final = (0, 43, 60)
_V6_FRAGMENT, _V6_END = 44, 59
_DEEPEST: Final = 8


def describe(packet: bytes | memoryview, *, link: str = "ether", length: int = 0) -> str:
    """What *packet* is: "10.0.0.1:5000 > 10.0.0.2:80: TCP SYN, 0 bytes".

    Args:
        link: "ether", or "ip" if it begins with an IP header.
        length: how long it was before it was cut; 0: it was not.
    """
    data = bytes(packet)
    try:
        text = _ip(data) if link == "ip" else _ether(data)
    except (struct.error, IndexError):
        text = "a packet that is cut short"
    cut = length - len(data)
    return f"{text} (the last {cut} bytes were not captured)" if cut > 0 and "cut short" in text else text


def payload_of(packet: bytes | memoryview, *, link: str = "ether") -> bytes:
    """What applications sent in *packet*: what is behind the headers of TCP or UDP, else behind that of IP, or all
    that is behind Ethernet's."""
    data = bytes(packet)
    try:
        kind, start = (_version(data), 0) if link == "ip" else _behind_tags(data)[:2]
        protocol, start, end, fragment = _within_ip(data, kind, start)
    except (struct.error, IndexError):
        return b""
    if fragment or start > len(data):
        return data[start:end]
    if protocol == 6 and len(data) > start + 12:
        return data[start + (data[start + 12] >> 4) * 4 : end]
    if protocol in (17, 1, 58):
        return data[start + 8 : end]
    return data[start:end]


def mac(data: bytes) -> str:
    """ "02:00:00:00:00:01"."""
    return data.hex(":")


def ipv4(data: bytes) -> str:
    """ "10.0.0.1"."""
    return ".".join(map(str, data))


def ipv6(data: bytes) -> str:
    """ "fe80::1"."""
    import socket

    return socket.inet_ntop(socket.AF_INET6, data)


def _behind_tags(data: bytes) -> tuple[int, int, list[int]]:
    """Ether type, where what it names begins, and the tags."""
    at = 12
    tags: list[int] = []
    (kind,) = struct.unpack_from("!H", data, at)
    while kind in _TAGS and len(tags) < _DEEPEST:
        tag, kind = struct.unpack_from("!HH", data, at + 2)
        tags.append(tag)
        at += 4
    return kind, at + 2, tags


def _ether(data: bytes) -> str:
    if len(data) < 14:
        return f"a frame of {len(data)} bytes, too short for its header"
    source, target = mac(data[6:12]), mac(data[:6])
    try:
        kind, start, tags = _behind_tags(data)
    except struct.error:
        return f"{source} > {target}: a VLAN tag that is cut short"
    before = "".join(f"vlan {tag & 0xFFF}: " for tag in tags)
    if kind in (0x0800, 0x86DD):
        return before + _ip(data[start:])
    if kind == 0x0806:
        return before + _arp(data[start:])
    if kind < 0x0600:
        what = "STP" if data[start : start + 2] == b"\x42\x42" else "LLC"
    else:
        what = _ETHER_TYPES.get(kind, f"ether type 0x{kind:04x}")
    return f"{before}{source} > {target}: {what}, {len(data)} bytes"


def _arp(data: bytes) -> str:
    try:
        kind, protocol, long, short, operation = struct.unpack_from("!HHBBH", data)
    except struct.error:
        return "ARP, cut short"
    if (kind, protocol, long, short) != (1, 0x0800, 6, 4) or len(data) < 28:
        return f"ARP operation {operation}" + (", cut short" if len(data) < 8 + 2 * (long + short) else "")
    sender, target = ipv4(data[14:18]), ipv4(data[24:28])
    if operation == 1 and sender == target:
        return f"ARP announcement of {sender} at {mac(data[8:14])}"
    text = _ARP_OPERATIONS.get(operation, f"operation {operation}")
    return "ARP " + text.format(sender=sender, target=target, mac=mac(data[8:14]))


def _version(data: bytes) -> int:
    return {4: 0x0800, 6: 0x86DD}.get(data[0] >> 4, 0)


def _ip(data: bytes) -> str:
    version = data[0] >> 4 if data else 0
    if version not in (4, 6) or len(data) < (20 if version == 4 else 40):
        return "IP, cut short" if version in (0, 4, 6) else f"IP version {version}, which there is not"
    if version == 4:
        source, target = ipv4(data[12:16]), ipv4(data[16:20])
    else:
        source, target = ipv6(data[8:24]), ipv6(data[24:40])
    try:
        protocol, start, end, fragment = _within_ip(data, _version(data), 0)
    except (struct.error, IndexError):
        return f"{source} > {target}: IPv6 options, cut short"
    inner = data[start:end]
    whole = end - start
    if fragment:
        return f"{source} > {target}: {_name(protocol)} fragment at byte {fragment}, {whole} bytes"
    if protocol in (6, 17, 132) and len(inner) >= 4:
        return _with_ports(protocol, source, target, inner, whole)
    if protocol in (1, 58):
        return f"{source} > {target}: {icmpwords.describe(inner, whole, 4 if protocol == 1 else 6)}"
    return f"{source} > {target}: {_name(protocol)}, {whole} bytes"


def _within_ip(data: bytes, kind: int, start: int) -> tuple[int, int, int, int]:
    """Protocol, where its header is, where the packet ends, and the offset if it is a later fragment.

    The end is where the header says: short Ethernet frames are filled up.
    """
    if kind == 0x0800:
        words, total = data[start] & 0x0F, int.from_bytes(data[start + 2 : start + 4], "big")
        fragment = (int.from_bytes(data[start + 6 : start + 8], "big") & 0x1FFF) * 8
        head = max(20, words * 4)
        # A length of 0 is what the kernel's own segmentation leaves.
        return data[start + 9], start + head, start + max(head, total or len(data) - start), fragment
    if kind != 0x86DD:
        return -1, start, len(data), 0
    (size,) = struct.unpack_from("!H", data, start + 4)
    protocol, at = data[start + 6], start + 40
    end = at + size if size else len(data)
    for _ in range(_DEEPEST):
        if protocol in _V6_OPTIONS:
            protocol, at = data[at], at + 8 * (data[at + 1] + 1)
        elif protocol == _V6_FRAGMENT:
            (place,) = struct.unpack_from("!H", data, at + 2)
            protocol, at = data[at], at + 8
            if place & 0xFFF8:
                return protocol, at, max(at, end), place & 0xFFF8
        else:
            break
    return protocol, at, max(at, end), 0


def _with_ports(protocol: int, source: str, target: str, inner: bytes, whole: int) -> str:
    sport, dport = struct.unpack_from("!HH", inner)
    if ":" in source:
        source, target = f"[{source}]", f"[{target}]"
    begin = f"{source}:{sport} > {target}:{dport}: "
    if protocol == 132:
        return f"{begin}SCTP, {whole} bytes"
    if protocol == 17:
        return f"{begin}UDP, {max(0, whole - 8)} bytes"
    if len(inner) < 14:
        return f"{begin}TCP, cut short"
    flags = " ".join(name for bit, name in _TCP_FLAGS if inner[13] & bit) or "no flags"
    return f"{begin}TCP {flags}, {max(0, whole - (inner[12] >> 4) * 4)} bytes"


def _name(protocol: int) -> str:
    if protocol == _V6_END:
        return "nothing"
    known = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", **_PROTOCOLS}
    return known.get(protocol, f"protocol {protocol}")
