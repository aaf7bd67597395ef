"""UDP streams of a throughput measurement: numbered datagrams, paced, and counted where they arrive.

One Python sends or receives some 150,000 datagrams a second, however many streams share it; what limits
a measurement is told with its result.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Final

from shakeout.modules.endpoints import SocketAddress, reason
from shakeout.modules.flows.sequence import Sequence
from shakeout.modules.flows.talk import TOKEN, Plan, ReceivedStream, SentStream, Talk
from shakeout.modules.flows.tcp import _Threads

#: Token, phase, stream, number, nanoseconds of the sender's clock.
_HEAD: Final = struct.Struct(f"!{TOKEN}sBHqq")
_HELLO, _WARM_UP, _MEASURED = 0, 1, 2

#: Bytes of a receiver's buffer, unless the plan says otherwise.
_BUFFER: Final = 4 << 20
#: Linux' SO_RCVBUFFORCE (asm-generic/socket.h): as SO_RCVBUF, beyond the limit, for root.
_SO_RCVBUFFORCE: Final = 33
#: Datagrams that are sent at once, if the sender has fallen behind its rate.
_BURST: Final = 64
#: Errors after which the next datagram may well be sent.
_PASSING: Final = frozenset({errno.ECONNREFUSED, errno.EAGAIN, errno.ENOBUFS, errno.EHOSTUNREACH, errno.ENETUNREACH})
#: Seconds of a pause that can be cut short; waiting for that is not as exact.
_LONG: Final = 0.05
#: Seconds after which a waiting receiver looks whether it is to end.
_LOOK: Final = 0.2
#: Seconds for which late datagrams are waited for.
LINGER: Final = 0.5


def prepare(sock: socket.socket, plan: Plan) -> None:
    """Set the options of *plan* on *sock*."""
    sock.setblocking(True)
    size = plan.buffer or _BUFFER
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    if plan.buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, plan.buffer)
    # The kernel's own timeout: one that Python keeps costs a system call for each datagram.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(_LOOK * 1e6)))


def greet(socks: list[socket.socket], token: bytes) -> None:
    """Show the server where each stream comes from."""
    for number, sock in enumerate(socks):
        sock.send(_HEAD.pack(token, _HELLO, number, 0, 0))


def await_greetings(sock: socket.socket, plan: Plan, token: bytes, talk: Talk, until: float) -> list[SocketAddress]:
    """Where the streams come from, once a greeting of each has come; None in it for those that did not come."""
    found: list[SocketAddress] = [None] * plan.streams
    while None in found:
        ready = select.select([sock, talk.sock], [], [], max(0.0, until - time.monotonic()))[0]
        if sock not in ready:
            break  # too late, or the client has something else to say, as that it ends
        data, peer = sock.recvfrom(1 << 16)
        if len(data) >= _HEAD.size:
            shown, phase, number, _, _ = _HEAD.unpack_from(data)
            if shown == token and phase == _HELLO and number < plan.streams:
                found[number] = peer
    return found


class UdpSender(_Threads):
    """Sends numbered datagrams at the plan's rate.

    Args:
        socks: one for each stream; connected, unless *peers* says where to.
    """

    def __init__(
        self, socks: list[socket.socket], plan: Plan, token: bytes, peers: list[SocketAddress] | None = None
    ) -> None:
        super().__init__(socks)
        self._plan, self._token, self._peers = plan, token, peers
        self._numbers = [0] * len(socks)
        self._phase = _WARM_UP

    def measure(self) -> None:
        """What is sent from now on counts."""
        self._phase = _MEASURED

    def finish(self) -> list[SentStream]:
        """Stop, and say what was sent."""
        self.stop()
        measured = self._phase == _MEASURED
        return [SentStream(number * self._plan.length * measured, number * measured) for number in self._numbers]

    def _wake(self) -> None:
        pass  # none waits for long

    def _run(self, number: int, sock: socket.socket) -> None:
        plan = self._plan
        peer = self._peers[number] if self._peers is not None else None
        buffer = bytearray(_HEAD.size) + os.urandom(plan.length - _HEAD.size)
        each = plan.rate / 8 / plan.length  # datagrams a second
        begin, sent, phase, at = time.monotonic(), 0, _WARM_UP, 0
        while not self._stopping:
            due = _BURST
            if each:
                due = min(_BURST, int((time.monotonic() - begin) * each) + 1 - sent)
                if due <= 0:
                    self._pause(begin + sent / each - time.monotonic())
                    continue
                if (time.monotonic() - begin) * each - sent > max(each, _BURST):
                    begin += 1.0  # a second behind: what could not be sent is not made up for
            for _ in range(due):
                if phase != self._phase:
                    phase, at = self._phase, 0
                _HEAD.pack_into(buffer, 0, self._token, phase, number, at, time.monotonic_ns())
                if not self._send(sock, buffer, peer):
                    continue
                at += 1
                self._numbers[number] = at
                self.counts[number] += plan.length
            sent += due

    def _pause(self, seconds: float) -> None:
        if seconds > _LONG:
            self._ceased.wait(seconds)
        elif seconds > 0:
            time.sleep(seconds)

    def _send(self, sock: socket.socket, data: bytearray, peer: SocketAddress) -> bool:
        try:
            if peer is None:
                sock.send(data)
            else:
                sock.sendto(data, peer)
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            self.error = self.error or reason(error)  # told about an earlier one; this one was not sent
            return False
        return True


class UdpReceiver(_Threads):
    """Counts the datagrams of a plan's streams on one socket for all, or one for each."""

    def __init__(self, socks: list[socket.socket], plan: Plan, token: bytes) -> None:
        super().__init__(socks)
        self.counts = [0] * plan.streams
        self._token = token
        self._sequences = [Sequence() for _ in range(plan.streams)]
        self._sizes = [0] * plan.streams
        self._dropped_before = sum(drops_of(sock) for sock in socks)
        self._expected: list[SentStream] | None = None
        self._complete = threading.Event()

    def measure(self) -> None:
        """The sender marks what counts."""

    def close_window(self) -> None:
        """The sender marks what counts."""

    @property
    def dropped(self) -> int:
        """Datagrams that this host received and threw away, because this process was too slow."""
        return max(0, sum(drops_of(sock) for sock in self._socks) - self._dropped_before)

    def finish(self, sent: list[SentStream]) -> list[ReceivedStream]:
        """Wait for those of *sent* that are late, stop, and say what came."""
        self._expected = sent
        if not self._is_complete() and sent:
            self._complete.wait(LINGER)
        self.stop()
        return [
            ReceivedStream(size, came.received, came.reordered, came.duplicates, came.jitter_ns)
            for size, came in zip(self._sizes, self._sequences, strict=True)
        ]

    def _is_complete(self) -> bool:
        pairs = zip(self._expected or (), self._sequences, strict=False)
        return all(came.received >= stream.datagrams for stream, came in pairs)

    def _wake(self) -> None:
        pass  # they look by themselves

    def _run(self, number: int, sock: socket.socket) -> None:
        buffer = bytearray(1 << 16)
        token, streams, sequences, sizes, counts = (
            self._token, len(self._sequences), self._sequences, self._sizes, self.counts
        )  # fmt: skip
        while not self._stopping:
            try:
                size = sock.recv_into(buffer)
            except (BlockingIOError, ConnectionRefusedError):
                continue
            now = time.monotonic_ns()
            if size < _HEAD.size:
                continue
            shown, phase, stream, at, sent_ns = _HEAD.unpack_from(buffer)
            if shown != token or stream >= streams or phase == _HELLO:
                continue
            counts[stream] += size
            if phase == _MEASURED and at >= 0 and sequences[stream].arrive(at, sent_ns, now):
                sizes[stream] += size
                if self._expected is not None and self._is_complete():
                    self._complete.set()


def drops_of(sock: socket.socket) -> int:
    """Datagrams that the kernel threw away because the buffer of *sock* was full; 0 if it does not tell."""
    inode = str(os.fstat(sock.fileno()).st_ino)
    name = "udp6" if sock.family == socket.AF_INET6 else "udp"
    try:
        lines = Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]
    except OSError:
        return 0
    return next((int(fields[12]) for line in lines if len(fields := line.split()) > 12 and fields[9] == inode), 0)
