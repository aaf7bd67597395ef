"""Counters that a network driver keeps besides the kernel's own, as ``ethtool -S`` shows them (linux/ethtool.h)."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_GDRVINFO, _GSTRINGS, _GSTATS = 0x3, 0x1B, 0x1D
_STATS_SET = 1
_NAME = 32
#: ``struct ethtool_drvinfo``: a command, five texts of 32 bytes, 12 bytes, five numbers of which n_stats is the second.
_DRVINFO = 4 + 5 * 32 + 12 + 5 * 4
_N_STATS_AT = _DRVINFO - 4 * 4
#: More are not asked for: a driver with so many has one for each of thousands of queues.
_MOST = 1 << 14


def driver_counters(iface: str) -> dict[str, int]:
    """The driver's counters of *iface*; empty if it has none, or there is no such interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            info = _call(sock, iface, struct.pack("=I", _GDRVINFO).ljust(_DRVINFO, b"\0"))
            (count,) = struct.unpack_from("=I", info, _N_STATS_AT)
            if not 0 < count <= _MOST:
                return {}
            names = _call(sock, iface, struct.pack("=III", _GSTRINGS, _STATS_SET, count) + bytes(count * _NAME))
            values = _call(sock, iface, struct.pack("=II", _GSTATS, count) + bytes(count * 8))
        except OSError:
            return {}
    numbers = struct.unpack_from(f"={count}Q", values, 8)
    texts = (names[at : at + _NAME].split(b"\0")[0].strip() for at in range(12, 12 + count * _NAME, _NAME))
    return {text.decode(errors="backslashreplace"): number for text, number in zip(texts, numbers, strict=True)}


def _call(sock: socket.socket, iface: str, request: bytes) -> bytes:
    data = array.array("B", request)
    fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP8x", iface.encode(), data.buffer_info()[0]).ljust(40, b"\0"))
    return data.tobytes()
