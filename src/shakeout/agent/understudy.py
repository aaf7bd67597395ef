"""Understudies: children of the zygote that are forked, and have rehearsed, before a test module needs one.

A fork, and the pages that the first steps of a module make the kernel copy, are most of what a short module costs.
An understudy has them behind it: its order is one message. There is at most one at a time, only after a first module
has run, and none when the host is free.
"""

from __future__ import annotations

import os
import socket

from shakeout.wire.transports import MAX_FDS, descriptors

#: The longest order that is handed over in one message; longer ones are worth a fork.
MOST = 64 << 10


class Understudy:
    """The zygote's end of one.

    Attributes:
        pid: its process id.
    """

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self._channel = channel

    def take(self, order: bytes, fds: list[int]) -> bool:
        """Hand over *order* and *fds*; False if it cannot take them: it is gone, then."""
        try:
            socket.send_fds(self._channel, [order], fds)
        except OSError:
            return False
        finally:
            self._channel.close()
        return True

    def dismiss(self) -> None:
        """It is not needed: it ends by itself."""
        self._channel.close()


def await_order(channel: socket.socket) -> tuple[bytes, list[int]]:
    """In the understudy: wait for its order; end if none will come."""
    data, ancillary, _, _ = channel.recvmsg(MOST + 1, socket.CMSG_SPACE(MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC)
    if not data:
        os._exit(0)
    channel.close()
    return data, descriptors(ancillary)
