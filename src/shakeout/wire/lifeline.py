"""Whether a TCP connection still leads anywhere: a cut link is known within seconds, a starved peer is not lost.

An idle connection is the kernel's business (keep-alive). While data are on their way it sends none, and what it has
for that case, TCP_USER_TIMEOUT, also ends connections to a peer that is alive but reads nothing: its window is full,
its kernel answers every probe, and the timeout fires all the same (Linux 4.19 and later; tried). So here the kernel's
own books (TCP_INFO) are looked at instead: a peer whose kernel has acknowledged nothing for `PATIENCE`, although
something was sent again and again, is gone.
"""

from __future__ import annotations

import socket
import struct

from shakeout.wire.reactor import Reactor, Timer

#: Seconds without an answer from the other kernel, although it was asked, after which the link is taken for cut.
PATIENCE = 4.5
#: Seconds between two looks.
LOOK_EVERY = 0.5
#: TCP_RTO_MAX_MS of linux/tcp.h: the longest pause between two attempts; Linux 6.15 and later.
_RTO_MAX_MS = 44
#: linux/tcp.h, struct tcp_info: 8 bytes, then 32-bit fields; tcpi_last_ack_recv is the 13th.
BOOKS = struct.Struct("8B13I")


class Silence:
    """Tells, from looks at a connection's books (struct tcp_info) `LOOK_EVERY`, when nobody is there any more."""

    def __init__(self) -> None:
        self._unanswered = False

    def look(self, books: bytes) -> str:
        """Why the link is taken for cut; "" if it is not."""
        _, _, retransmits, probes, *_, last_ack_ms = BOOKS.unpack_from(books)
        asked = bool(retransmits or probes)
        # Twice in a row, for a probe may just be on its way.
        if asked and self._unanswered and last_ack_ms >= PATIENCE * 1000:
            return f"nothing came back from it for {last_ack_ms / 1000:.0f} s, not even from its kernel"
        self._unanswered = asked
        return ""


def keep_alive(connected: socket.socket) -> None:
    """Have the kernel find out within `PATIENCE` that the peer of an idle connection is gone."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    try:  # so that a peer whose window is full is asked every second, too, rather than ever more rarely
        connected.setsockopt(socket.IPPROTO_TCP, _RTO_MAX_MS, 1000)
    except OSError:
        pass


class Lifeline:
    """Watches one connection, by a timer, and shuts it down when it leads nowhere, which its readers notice.

    Attributes:
        dead: why it was shut down; "" while it was not.
    """

    def __init__(self, connected: socket.socket, reactor: Reactor) -> None:
        keep_alive(connected)
        self._socket = connected
        self._reactor = reactor
        self._silence = Silence()
        self.dead = ""
        self._closed = False
        self._timer: Timer | None = None
        reactor.call_soon_threadsafe(self._look)

    def close(self) -> None:
        """Look no more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._closed:
            return
        try:
            books = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BOOKS.size)
            if why := self._silence.look(books):
                self.dead = why
                self._socket.shutdown(socket.SHUT_RDWR)
                return
        except OSError:  # it ended meanwhile, which is told elsewhere
            return
        self._timer = self._reactor.call_later(LOOK_EVERY, self._look)
