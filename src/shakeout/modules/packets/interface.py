"""The interface that packets are looked at on, as the kernel of this host knows it."""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import Any

from shakeout.errors import ModuleFailed, did_you_mean

_SIOCGIFHWADDR = 0x8927
#: ARPHRD_ETHER, ARPHRD_LOOPBACK; ARPHRD_NONE (tun), ARPHRD_TUNNEL, _TUNNEL6, _SIT, _RAWIP, _PPP (linux/if_arp.h)
_ETHERNET, _PLAIN_IP = (1, 772), (65534, 768, 769, 776, 519, 512)
_LOOPBACK = 772


class Interface:
    """An interface of this host.

    Attributes:
        name, index: as the kernel has them.
        link: "ether" if frames begin with an Ethernet header, "ip" if with that of IP.
        loopback: whether what is sent comes back as received.
    """

    def __init__(self, name: str, index: int, kind: int) -> None:
        self.name = name
        self.index = index
        self.link: Any = "ether" if kind in _ETHERNET else "ip"
        self.loopback = kind == _LOOPBACK

    def exists(self) -> bool:
        """Whether it is still there (under any name)."""
        try:
            self.name = socket.if_indextoname(self.index)
        except OSError:
            return False
        return True


def find_interface(device: Any) -> Interface:
    """The interface that *device* (a name, or the facts of a device) stands for.

    Raises:
        ModuleFailed: there is none, or another one of that name, or frames of it are not understood.
    """
    name = str(device)
    try:
        index = socket.if_nametoindex(name)
        answer = _ask(_SIOCGIFHWADDR, name)
    except OSError:
        there = [known for _, known in socket.if_nameindex()]
        raise ModuleFailed(f"there is no interface {name!r} on this host{did_you_mean(name, there)}") from None
    kind, address = struct.unpack_from("16xH6s", answer)
    wanted = "" if isinstance(device, str) else str(getattr(device, "hwaddr", "") or "").lower()
    if wanted and kind in _ETHERNET and wanted != address.hex(":"):
        raise ModuleFailed(
            f"{name} of this host has the address {address.hex(':')}, but the device that was given has {wanted}: "
            "is it one of another host?"
        )
    if kind not in _ETHERNET + _PLAIN_IP:
        raise ModuleFailed(
            f"frames of {name} are neither Ethernet nor IP (its type is {kind}); "
            "look at packets on one of its other ends, or on what it is made of"
        )
    return Interface(name, index, kind)


def _ask(request: int, name: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        return fcntl.ioctl(sock, request, struct.pack("16s24x", name.encode()))
