"""What comes back for packets that did not arrive: ICMP errors, as Linux gives them to the socket that sent them.

See ip(7), IP_RECVERR, and ipv6(7), IPV6_RECVERR. That needs no privilege, unlike a socket for all of ICMP.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, Final, NamedTuple

#: Not all are in the socket module. (linux/in.h, linux/in6.h, asm/socket.h)
IP_MTU_DISCOVER, IP_RECVERR, IP_PMTUDISC_PROBE = 10, 11, 3
IPV6_MTU_DISCOVER, IPV6_RECVERR = 23, 25
SO_TIMESTAMPNS: Final = 35
_MSG_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0x2000)
_ORIGIN_LOCAL: Final = 1
_EXTENDED = struct.Struct("=IBBBxII")
_TIME = struct.Struct("@ll")


class Came(NamedTuple):
    """An error, or (with errno 0) an answer.

    Attributes:
        errno: of the error; 0 for an answer.
        local: this host itself found out, without a packet.
        kind, code: of the ICMP message.
        info: of a packet that is too big, the MTU.
        offender: the address that it came from, "" if not known.
        target: where the packet had been sent to, as the socket module has it.
        data: of an error, the beginning of what had been sent; of an answer, all of it.
        at_ns: when it came, CLOCK_REALTIME; 0 if not known.
    """

    errno: int
    local: bool
    kind: int
    code: int
    info: int
    offender: str
    target: Any
    data: bytes
    at_ns: int


def prepare(sock: socket.socket, version: int, *, hops: int | None = None, probe: bool = False) -> None:
    """Have *sock* tell about errors, with times.

    Args:
        version: 4 or 6.
        hops: how many routers what it sends may pass, plus one.
        probe: what it sends must not be divided, whatever is believed of the way.
    """
    level = socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6
    sock.setsockopt(level, IP_RECVERR if version == 4 else IPV6_RECVERR, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    if hops is not None:
        limit_hops(sock, version, hops)
    if probe:
        sock.setsockopt(level, IP_MTU_DISCOVER if version == 4 else IPV6_MTU_DISCOVER, IP_PMTUDISC_PROBE)


def limit_hops(sock: socket.socket, version: int, hops: int) -> None:
    """What *sock* sends from now on passes fewer than *hops* routers."""
    if version == 4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)


def next_error(sock: socket.socket) -> Came | None:
    """The next error of *sock*, None if there is none (left)."""
    try:
        data, ancillary, _, target = sock.recvmsg(512, 512, _MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:
        return None
    at_ns = _stamp(ancillary)
    for level, kind, value in ancillary:
        if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            if len(value) < _EXTENDED.size:
                continue
            errno, origin, icmp, code, info, _ = _EXTENDED.unpack_from(value)
            offender = _address(value[_EXTENDED.size :])
            return Came(errno, origin == _ORIGIN_LOCAL, icmp, code, info, offender, target, data, at_ns)
    return Came(0, True, 0, 0, 0, "", target, data, at_ns)


def next_answer(sock: socket.socket) -> Came | None:
    """The next packet that *sock* got, None if there is none (left)."""
    while True:
        try:
            data, ancillary, _, source = sock.recvmsg(1 << 16, 512, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            continue  # an error that `next_error` tells more about; it is told once
        host = source[0] if source else ""
        return Came(0, False, 0, 0, 0, host.partition("%")[0], source, data, _stamp(ancillary))


def checksum(data: bytes) -> int:
    """The checksum of the internet protocols. (RFC 1071)"""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo_request(version: int, identifier: int, sequence: int, payload: bytes) -> bytes:
    """An ICMP echo request. (The kernel computes the checksum of ICMPv6, which needs the addresses.)"""
    kind = 8 if version == 4 else 128
    head = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence)
    if version == 6:
        return head + payload
    return struct.pack("!BBHHH", kind, 0, checksum(head + payload), identifier, sequence) + payload


def echo_socket(version: int) -> tuple[socket.socket, bool]:
    """A socket for echo requests, and whether it is a raw one, which sees the answers to all others, too.

    Raises:
        PermissionError: neither root nor net.ipv4.ping_group_range allow one.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    try:
        return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, protocol), False
    except PermissionError:
        return socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol), True


def echo_sequence(version: int, data: bytes, *, raw: bool, identifier: int, answer: bool) -> int | None:
    """The sequence number of an echo request of ours that *data* is (or answers); None if it is another's.

    Args:
        raw: from a raw socket; those of IPv4 give an answer with its IP header.
        answer: it is an answer, and no request that an error brought back.
    """
    if raw and answer and version == 4 and data:
        data = data[(data[0] & 0x0F) * 4 :]
    if len(data) < 8:
        return None
    kind, _, _, found, sequence = struct.unpack_from("!BBHHH", data)
    wanted = (0 if answer else 8) if version == 4 else (129 if answer else 128)
    if kind != wanted or (raw and found != identifier):
        return None
    return int(sequence)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) >= _TIME.size:
            seconds, nano = _TIME.unpack_from(value)
            return int(seconds * 1_000_000_000 + nano)
    return 0


def _address(raw: bytes) -> str:
    """The address in a sockaddr, "" if there is none."""
    if len(raw) >= 8:
        (family,) = struct.unpack_from("=H", raw)
        if family == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, raw[4:8])
        if family == socket.AF_INET6 and len(raw) >= 24:
            return socket.inet_ntop(socket.AF_INET6, raw[8:24])
    return ""
