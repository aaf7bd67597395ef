"""When a program that does not say so has begun to listen on a TCP port."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

_LISTEN = "0A"

#: Seconds between two looks: the first, and the longest.
_FIRST, _LONGEST = 0.001, 0.05


def await_listener(pid: int, port: int) -> str | None:
    """Wait until process *pid*, a child of this one, listens on *port*.

    Neither the kernel nor such a program tells, so this looks, with growing pauses, which the end of
    the process cuts short.

    Returns:
        the address that it listens on ("0.0.0.0", "::1"), None if it ended before it listened.
    """
    pause = _FIRST
    descriptor = os.pidfd_open(pid)
    try:
        while (address := listening_address(pid, port)) is None:
            if select.select([descriptor], [], [], pause)[0]:
                return None
            pause = min(2 * pause, _LONGEST)
        return address
    finally:
        os.close(descriptor)


def listening_address(pid: int, port: int) -> str | None:
    """The address on which process *pid* listens at *port* in its network namespace, None if it does not."""
    import socket

    candidates = {}
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        try:
            lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue  # it is gone, or this kernel has no IPv6
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].rpartition(":")
            if fields[3] == _LISTEN and int(number, 16) == port:
                candidates[f"socket:[{fields[9]}]"] = (family, address)
    for link in _descriptors(pid) if candidates else ():
        if link in candidates:
            family, address = candidates[link]
            words = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
            # As the kernel holds it in memory, each 32 bits as a number of this machine.
            return socket.inet_ntop(family, b"".join(word.to_bytes(4, sys.byteorder) for word in words))
    return None


def _descriptors(pid: int) -> list[str]:
    links = []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - names are all that is wanted
            try:
                links.append(os.readlink(f"/proc/{pid}/fd/{name}"))  # noqa: PTH115
            except OSError:
                continue  # closed meanwhile
    except OSError:
        pass  # the process is gone
    return links
