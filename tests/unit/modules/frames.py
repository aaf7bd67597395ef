"""Frames for tests: built from their fields, and as hypothesis strategies."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import strategies as st

MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01")
V4 = ("10.0.0.1", "10.0.0.2", "192.0.2.7", "224.0.0.5")
V6 = ("2001:db8::1", "2001:db8::2", "fe80::1", "ff02::1")
PORTS = (53, 80, 443, 5000)


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ether(payload: bytes, kind: int, src: str = MACS[0], dst: str = MACS[1], tags: tuple[int, ...] = ()) -> bytes:
    tagged = b"".join(struct.pack("!HH", 0x8100, tag) for tag in tags)
    return mac(dst) + mac(src) + tagged + struct.pack("!H", kind) + payload


def ipv4(payload: bytes, protocol: int, src: str = V4[0], dst: str = V4[1], fragment: int = 0, words: int = 5) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, 4 * words + len(payload), 7, fragment, 64, protocol, 0)
    head += ip_address(src).packed + ip_address(dst).packed + bytes(4 * (words - 5))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv6(payload: bytes, protocol: int, src: str = V6[0], dst: str = V6[1]) -> bytes:
    head = struct.pack("!IHBB", 0x6 << 28, len(payload), protocol, 64)
    return head + ip_address(src).packed + ip_address(dst).packed + payload


def tcp(sport: int = 5000, dport: int = 80, flags: int = 0x02, data: bytes = b"") -> bytes:
    return struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, flags, 64240, 0, 0) + data


def udp(sport: int = 5000, dport: int = 53, data: bytes = b"") -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def icmp(kind: int = 8, code: int = 0, rest: bytes = b"\0\x05\0\1", data: bytes = b"") -> bytes:
    return struct.pack("!BBH", kind, code, 0) + rest + data


def arp(operation: int = 1, sender: str = V4[0], target: str = V4[1]) -> bytes:
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + mac(MACS[0]) + ip_address(sender).packed + bytes(6) + ip_address(target).packed


_port = st.sampled_from(PORTS)
_small = st.binary(max_size=30)
transports = st.one_of(
    st.tuples(st.just(6), st.builds(tcp, _port, _port, st.sampled_from((0x02, 0x12, 0x10, 0x11, 0x04)), _small)),
    st.tuples(st.just(17), st.builds(udp, _port, _port, _small)),
    st.tuples(st.just(132), st.builds(udp, _port, _port, _small)),
    st.tuples(st.sampled_from((1, 2, 58)), st.builds(icmp, st.sampled_from((0, 3, 8, 128, 129, 135)), data=_small)),
    st.tuples(st.integers(0, 255).filter(lambda number: number not in (0, 44)), _small),
)
_v4, _v6 = st.sampled_from(V4), st.sampled_from(V6)
packets_v4 = st.builds(
    lambda inner, src, dst, fragment, words: (0x0800, ipv4(inner[1], inner[0], src, dst, fragment, words)),
    transports, _v4, _v4, st.sampled_from((0, 0, 0, 0x2000, 0x00B9)), st.sampled_from((5, 5, 6)),
)  # fmt: skip
packets_v6 = st.builds(lambda inner, src, dst: (0x86DD, ipv6(inner[1], inner[0], src, dst)), transports, _v6, _v6)
packets_arp = st.builds(lambda op, one, other: (0x0806, arp(op, one, other)), st.sampled_from((1, 2)), _v4, _v4)
packets = st.one_of(packets_v4, packets_v6, packets_arp, st.tuples(st.sampled_from((0x88CC, 0x0800, 0x86DD)), _small))
_mac = st.sampled_from(MACS)
#: Untagged frames.
plain_frames = st.builds(lambda inner, src, dst: ether(inner[1], inner[0], src, dst), packets, _mac, _mac)
#: Frames with up to two tags.
frames = st.builds(
    lambda inner, src, dst, tags: ether(inner[1], inner[0], src, dst, tuple(tags)),
    packets, _mac, _mac, st.lists(st.sampled_from((5, 6, 7)), max_size=2),
)  # fmt: skip
