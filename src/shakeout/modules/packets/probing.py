"""Probes of routes: packets that may pass few routers or must not be divided, and what comes back for each of them."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from shakeout.modules.packets.errorqueue import (
    Came,
    echo_request,
    echo_sequence,
    echo_socket,
    limit_hops,
    next_answer,
    next_error,
    prepare,
)

#: What a send may be told of an earlier probe, which stands in the queue of errors, too.
_EARLIER = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EMSGSIZE, errno.EPROTO, errno.EACCES)
_TCP_SYNCNT = 7


class Prober:
    """One way to probe; a context manager.

    Args:
        whole: probes must not be divided on the way, and are not fitted to what the kernel believes of it.

    Attributes:
        version: 4 or 6.
        address: where to, as the socket module has it.
        local_mtu: what the interface can send at most, once a probe was too large for it; 0 before.
    """

    def __init__(self, version: int, address: Any, bind: Any, *, whole: bool = False) -> None:
        self.version = version
        self.address = address
        self.local_mtu = 0
        self._bind = bind
        self._whole = whole
        self._payload = b""
        self._local: Came | None = None
        self._poll = select.poll()
        self._came: list[tuple[int, Came]] = []

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, number: int, hops: int) -> int:
        """Send probe *number*; when, in nanoseconds of CLOCK_REALTIME.

        Raises:
            OSError: it cannot be sent.
        """
        raise NotImplementedError

    def resize(self, size: int) -> None:
        """Probes are packets of *size* bytes from now on, with all headers of IP, and UDP or ICMP."""
        self._payload = bytes(size - (28 if self.version == 4 else 48))

    def collect(self) -> None:
        """Take in what has come."""
        raise NotImplementedError

    def close(self) -> None:
        """Send and receive no more."""
        raise NotImplementedError

    def received(self, timeout: float) -> list[tuple[int, Came]]:
        """What came for which probe, after waiting at most *timeout* seconds for something."""
        if not self._came:
            self._poll.poll(max(0, -(-timeout * 1000 // 1)))
        self.collect()
        came, self._came = self._came, []
        return came

    def _open(self, kind: int, protocol: int = 0) -> socket.socket:
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        return socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)

    def _prepare(self, sock: socket.socket) -> None:
        try:
            prepare(sock, self.version, probe=self._whole)
            if self._bind is not None:
                sock.bind((str(self._bind), 0))
        except BaseException:
            sock.close()
            raise
        self._poll.register(sock, select.POLLIN)

    def _sent(self, send: Callable[[], object]) -> int:
        """Do *send*; an error that an earlier probe brought back is put aside and not this one's."""
        for last in (False, False, True):
            now = time.time_ns()
            try:
                send()
                return now
            except OSError as error:
                before, self._local = len(self._came), None
                self.collect()
                own = self._local is not None and self._local.errno == error.errno
                if last or own or error.errno not in _EARLIER or len(self._came) == before:
                    raise
        raise AssertionError

    def _error(self, sock: socket.socket) -> Came | None:
        """The next error that came from the network; what this host itself says of a probe is noted."""
        while (came := next_error(sock)) is not None and came.local:
            self._local = came
            if came.errno == errno.EMSGSIZE and came.info:
                self.local_mtu = came.info
        return came


class UdpProber(Prober):
    """Datagrams to ports that nobody listens on, one after the other; answered by "port unreachable".

    Args:
        port: of the first.
        one_port: of all; somebody listens there and sends everything back.
    """

    def __init__(
        self,
        version: int,
        address: Any,
        bind: Any,
        port: int,
        size: int = 0,
        *,
        one_port: bool = False,
        whole: bool = False,
    ) -> None:
        super().__init__(version, address, bind, whole=whole)
        self._port = port
        self._one_port = one_port
        self._payload = bytes(size)
        self._socket = self._open(socket.SOCK_DGRAM)
        self._prepare(self._socket)

    def send(self, number: int, hops: int) -> int:
        limit_hops(self._socket, self.version, hops)
        target = (self.address[0], self._port + (0 if self._one_port else number), *self.address[2:])
        payload = number.to_bytes(2, "big") + self._payload[2:] if self._one_port else self._payload
        return self._sent(lambda: self._socket.sendto(payload, target))

    def collect(self) -> None:
        while (came := self._error(self._socket) or next_answer(self._socket)) is not None:
            if self._one_port and len(came.data) >= 2:
                self._came.append((int.from_bytes(came.data[:2], "big"), came))
            elif came.target and not self._one_port:
                self._came.append((came.target[1] - self._port, came))

    def close(self) -> None:
        self._socket.close()


class IcmpProber(Prober):
    """Echo requests."""

    def __init__(self, version: int, address: Any, bind: Any, size: int = 0, *, whole: bool = False) -> None:
        super().__init__(version, address, bind, whole=whole)
        self._identifier = os.getpid() & 0xFFFF
        self._payload = bytes(size)
        self._socket, self._raw = echo_socket(version)
        self._socket.setblocking(False)
        self._prepare(self._socket)

    def send(self, number: int, hops: int) -> int:
        limit_hops(self._socket, self.version, hops)
        packet = echo_request(self.version, self._identifier, number, self._payload)
        # A raw socket has no port, and takes only 0 for one.
        target = (self.address[0], 0, *self.address[2:])
        return self._sent(lambda: self._socket.sendto(packet, target))

    def collect(self) -> None:
        for next_one, answer in ((self._error, False), (next_answer, True)):
            while (came := next_one(self._socket)) is not None:
                number = echo_sequence(
                    self.version, came.data, raw=self._raw, identifier=self._identifier, answer=answer
                )
                # A raw socket hears what others are answered, too.
                if number is not None and (not answer or came.offender == self.address[0].partition("%")[0]):
                    self._came.append((number, came))

    def close(self) -> None:
        self._socket.close()


class TcpProber(Prober):
    """The beginning of a connection, each from a socket of its own; answered by its acceptance or refusal."""

    def __init__(self, version: int, address: Any, bind: Any, port: int) -> None:
        super().__init__(version, address, bind)
        self._port = port
        self._sockets: dict[int, tuple[int, socket.socket]] = {}

    def send(self, number: int, hops: int) -> int:
        sock = self._open(socket.SOCK_STREAM)
        self._prepare(sock)
        self._sockets[sock.fileno()] = (number, sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_SYNCNT, 1)
        limit_hops(sock, self.version, hops)
        self._poll.modify(sock, select.POLLOUT)
        now = time.time_ns()
        try:
            sock.connect((self.address[0], self._port, *self.address[2:]))
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            self._over(sock.fileno(), self._answer())
        return now

    def collect(self) -> None:
        for descriptor, events in self._poll.poll(0):
            if not events & (select.POLLOUT | select.POLLERR | select.POLLHUP):
                continue
            sock = self._sockets[descriptor][1]
            came = self._error(sock)
            problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if came is None and problem in (0, errno.ECONNREFUSED):
                came = self._answer()
            if came is not None:
                self._over(descriptor, came)
            else:
                self._forget(descriptor)  # the kernel gave up: it has waited for longer than anybody here does

    def _answer(self) -> Came:
        return Came(0, False, 0, 0, 0, self.address[0].partition("%")[0], self.address, b"", time.time_ns())

    def _over(self, descriptor: int, came: Came) -> None:
        self._came.append((self._sockets[descriptor][0], came))
        self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        _, sock = self._sockets.pop(descriptor)
        self._poll.unregister(sock)
        sock.close()

    def close(self) -> None:
        for descriptor in list(self._sockets):
            self._forget(descriptor)
