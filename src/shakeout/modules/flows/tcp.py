"""TCP streams of a throughput measurement: threads that send, or receive, as fast as they can.

A thread for each stream is enough: nearly all of its time is spent in the kernel, where threads of one
Python run side by side.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import suppress

from shakeout.modules.endpoints import reason
from shakeout.modules.flows.talk import Plan, ReceivedStream, SentStream

#: Linux' SO_MAX_PACING_RATE (asm-generic/socket.h), in bytes a second; 64 bits since Linux 4.20.
_SO_MAX_PACING_RATE = 47
_NO_SIGNAL = socket.MSG_NOSIGNAL


def prepare(sock: socket.socket, plan: Plan) -> None:
    """Set the options of *plan* on *sock*.

    Raises:
        OSError: the kernel does not take one.
    """
    sock.setblocking(True)
    if plan.buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, plan.buffer)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, plan.buffer)
    if plan.nodelay:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if plan.rate:
        sock.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("=Q", max(1, int(plan.rate / 8))))
    if plan.congestion:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, plan.congestion.encode())
        except OSError as error:
            text = f"congestion={plan.congestion}: {reason(error)}; the host's kernel must have that module loaded"
            raise OSError(error.errno, text) from None


class _Threads:
    """A thread for each of some sockets, and how many bytes each has moved.

    Attributes:
        counts: bytes of each stream so far.
        error: why a stream ended before it was to, "" if none did.
    """

    def __init__(self, socks: list[socket.socket]) -> None:
        self.counts = [0] * len(socks)
        self.error = ""
        self._socks = socks
        self._stopping = False
        self._ceased = threading.Event()
        self._threads = [threading.Thread(target=self._guard, args=(number,)) for number in range(len(socks))]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def thread_ids(self) -> list[int]:
        return [thread.native_id for thread in self._threads if thread.native_id is not None and thread.is_alive()]

    def cease(self) -> None:
        """Have all threads end as soon as they can; `stop` waits for it."""
        self._stopping = True
        self._ceased.set()

    def stop(self) -> None:
        """End all threads; may be called again."""
        self.cease()
        self._wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _wake(self) -> None:
        """Have those return that wait in the kernel."""
        for sock in self._socks:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _guard(self, number: int) -> None:
        try:
            self._run(number, self._socks[number])
        except OSError as error:
            if not self._stopping:
                self.error = reason(error)

    def _run(self, number: int, sock: socket.socket) -> None:
        raise NotImplementedError


class TcpSender(_Threads):
    """Sends on connected sockets, which `prepare` has seen, until it is stopped."""

    def __init__(self, socks: list[socket.socket], plan: Plan) -> None:
        super().__init__(socks)
        self._plan = plan
        self._at_begin = [(0, 0)] * len(socks)

    def measure(self) -> None:
        """What is sent from now on counts."""
        self._at_begin = [(count, _tcp_info(sock)[0]) for count, sock in zip(self.counts, self._socks, strict=True)]

    def finish(self) -> list[SentStream]:
        """Stop, and say what was sent."""
        result = []
        for sock, count, (before, again_before) in zip(self._socks, self.counts, self._at_begin, strict=True):
            again, rtt = _tcp_info(sock)
            result.append(SentStream(count - before, 0, max(0, again - again_before), rtt))
        self.stop()
        return result

    def _wake(self) -> None:
        for sock in self._socks:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)

    def _run(self, number: int, sock: socket.socket) -> None:
        length = self._plan.length
        data = os.urandom(length)  # nothing on the way can compress it
        if self._plan.zerocopy:
            descriptor = os.memfd_create("throughput")
            try:
                os.write(descriptor, data)
                while not self._stopping:
                    self.counts[number] += os.sendfile(sock.fileno(), descriptor, 0, length)
            finally:
                os.close(descriptor)
            return
        while not self._stopping:
            self.counts[number] += sock.send(data, _NO_SIGNAL)


class TcpReceiver(_Threads):
    """Receives on connected sockets until it is stopped, or their peers end."""

    def __init__(self, socks: list[socket.socket], plan: Plan) -> None:
        super().__init__(socks)
        self._plan = plan
        self._at_begin = [0] * len(socks)
        self._at_end: list[int] | None = None

    def measure(self) -> None:
        """What comes from now on counts."""
        self._at_begin = list(self.counts)

    def close_window(self) -> None:
        """What comes from now on does not count."""
        self._at_end = list(self.counts)

    def finish(self, sent: list[SentStream]) -> list[ReceivedStream]:
        """Stop, and say what came in the time that counts."""
        end = self._at_end or list(self.counts)
        self.stop()
        return [ReceivedStream(last - first) for first, last in zip(self._at_begin, end, strict=True)]

    @property
    def dropped(self) -> int:
        return 0  # TCP does not

    def _run(self, number: int, sock: socket.socket) -> None:
        length = max(1 << 17, self._plan.length)
        buffer = bytearray(length)
        # With MSG_TRUNC, Linux' TCP throws away what it would copy (tcp(7)).
        flags = socket.MSG_TRUNC if self._plan.zerocopy else 0
        while not self._stopping:
            size = sock.recv_into(buffer, length, flags)
            if not size:
                return
            self.counts[number] += size


def _tcp_info(sock: socket.socket) -> tuple[int, int]:
    """Retransmitted segments so far and the smoothed round-trip time in µs (struct tcp_info of linux/tcp.h)."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return 0, 0
    if len(info) < 104:
        return 0, 0
    again: int = struct.unpack_from("=I", info, 100)[0]
    rtt: int = struct.unpack_from("=I", info, 68)[0]
    return again, rtt
