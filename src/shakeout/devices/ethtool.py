"""The little of ethtool that devices need, by ioctl."""

from __future__ import annotations

import socket
import struct

_SIOCETHTOOL = 0x8946
_GDRVINFO = 0x3
#: ``struct ethtool_drvinfo``: command, then driver[32], version[32] … 196 bytes in all.
_DRVINFO_SIZE = 196


def driver(name: str) -> str:
    """The driver of interface *name* in the calling thread's namespace; "" if it has none to tell."""
    import ctypes
    from fcntl import ioctl

    info = ctypes.create_string_buffer(struct.pack("=I", _GDRVINFO), _DRVINFO_SIZE)
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(info))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            ioctl(sock, _SIOCETHTOOL, request)
        except OSError:  # EOPNOTSUPP: loopback, some tunnels
            return ""
    return info.raw[4:36].split(b"\0", 1)[0].decode(errors="replace")
