"""The server of DnsServe: one thread for UDP and TCP."""

from __future__ import annotations

import heapq
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from shakeout.errors import ModuleFailed
from shakeout.modules.dns.message import Message, decode
from shakeout.modules.dns.zone import Zone
from shakeout.modules.endpoints import MAX_PEERS, SocketAddress, announce, bound

if TYPE_CHECKING:
    from shakeout.modules.dns_serve import DnsServe, DnsServeResult

_MAX_CONNECTIONS: Final = 500
#: What a client takes without EDNS (RFC 1035, 4.2.1).
_PLAIN: Final = 512


@contextmanager
def sockets(address: object | None, port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A UDP socket and a TCP listener on the same port.

    Raises:
        ModuleFailed: the address is none of this host's, or the port is taken.
    """
    for attempt in range(20):
        with bound(address, port, socket.SOCK_STREAM) as listener:
            number = listener.getsockname()[1]
            try:
                datagrams = bound(address, number, socket.SOCK_DGRAM)
            except ModuleFailed:
                if port or attempt == 19:
                    raise
                continue  # the free TCP port is somebody's UDP port
            with datagrams:
                listener.listen(128)
                yield datagrams, listener
            return


class Server:
    """Answers what comes to both sockets."""

    def __init__(self, module: DnsServe, datagrams: socket.socket, listener: socket.socket) -> None:
        self._module, self._datagrams, self._listener = module, datagrams, listener
        self._zone = Zone(module.records, module.ttl)
        self._pending: dict[socket.socket, bytearray] = {}
        self._late: list[tuple[float, int, socket.socket, SocketAddress, bytes]] = []
        #: Connections on which the client sends no more.
        self._ended: set[socket.socket] = set()
        self._numbers = count()
        self._datagrams_seen = self._answered = 0
        self._selector = selectors.DefaultSelector()
        for sock in (datagrams, listener):
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        for sock in self._pending:
            sock.close()
        self._selector.close()

    def serve(self, result: DnsServeResult) -> bool:
        """Until all that was wanted has come, the time is over, or SIGINT (True) comes."""
        module = self._module
        result["address"], result["port"] = announce(self._datagrams)
        until = None if module.timeout is None else time.monotonic() + module.timeout
        try:
            while not module.queries or self._answered < module.queries:
                now = time.monotonic()
                if until is not None and now >= until:
                    return False
                moments = [moment for moment in (until, self._late[0][0] if self._late else None) if moment is not None]
                for key, _ in self._selector.select(max(0.0, min(moments) - now) if moments else None):
                    self._attend(key.fileobj, result)  # type: ignore[arg-type]
                while self._late and self._late[0][0] <= time.monotonic():
                    _, _, sock, peer, data = heapq.heappop(self._late)
                    self._send(sock, peer, data)
        except KeyboardInterrupt:
            return True
        return False

    def _attend(self, sock: socket.socket, result: DnsServeResult) -> None:
        if sock is self._listener:
            self._accept()
            return
        try:
            if sock is self._datagrams:
                data, peer = sock.recvfrom(1 << 16)
                self._query(sock, peer, data, result)
            else:
                self._stream(sock, result)
        except BlockingIOError:
            pass
        except OSError:
            if sock is not self._datagrams:
                self._drop(sock)

    def _accept(self) -> None:
        with suppress(OSError):
            sock, _ = self._listener.accept()
            if len(self._pending) >= _MAX_CONNECTIONS:
                sock.close()
                return
            sock.setblocking(False)
            self._pending[sock] = bytearray()
            self._selector.register(sock, selectors.EVENT_READ)

    def _stream(self, sock: socket.socket, result: DnsServeResult) -> None:
        data = sock.recv(1 << 16)
        pending = self._pending[sock]
        pending += data
        while len(pending) >= 2 and len(pending) >= 2 + (size := int.from_bytes(pending[:2], "big")):
            query = bytes(pending[2 : 2 + size])
            del pending[: 2 + size]
            if not self._query(sock, None, query, result):
                self._drop(sock)
                return
        if not data:
            self._selector.unregister(sock)
            self._ended.add(sock)
            self._drop_if_done(sock)

    def _query(self, sock: socket.socket, peer: SocketAddress, data: bytes, result: DnsServeResult) -> bool:
        """Answer one query; False if it is none."""
        module = self._module
        try:
            query = decode(data)
            if query.response:
                raise ValueError("it is an answer")
        except ValueError:
            result["garbage"] += 1
            return False
        _count(result, query, tcp=peer is None)
        if peer is not None:
            self._datagrams_seen += 1
            seen, share = self._datagrams_seen, module.drop / 100
            # Evenly, and the same in every run.
            if int(seen * share) > int((seen - 1) * share):
                result["dropped"] += 1
                return True
        limit = 0xFFFF if peer is None else max(_PLAIN, query.edns or 0)
        cut = module.truncate and peer is not None
        answer = self._zone.answer(query, limit, module.rcode and module.rcode.upper(), truncate=cut)
        rcode = decode(answer).rcode
        result["rcodes"][rcode] = result["rcodes"].get(rcode, 0) + 1
        if module.delay:
            heapq.heappush(self._late, (time.monotonic() + module.delay, next(self._numbers), sock, peer, answer))
        else:
            self._send(sock, peer, answer)
        return True

    def _send(self, sock: socket.socket, peer: SocketAddress, data: bytes) -> None:
        self._answered += 1
        try:
            if peer is not None:
                sock.sendto(data, peer)
            elif sock in self._pending:
                sock.setblocking(True)
                sock.settimeout(1.0)  # a client that does not read what it asked for is given up
                sock.sendall(len(data).to_bytes(2, "big") + data)
                sock.setblocking(False)
                self._drop_if_done(sock)
        except OSError:
            if peer is None:
                self._drop(sock)

    def _drop_if_done(self, sock: socket.socket) -> None:
        """Close a connection that the client has ended, unless an answer is still due."""
        if sock in self._ended and not any(entry[2] is sock for entry in self._late):
            self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        if self._pending.pop(sock, None) is not None:
            with suppress(KeyError):
                self._selector.unregister(sock)
            self._ended.discard(sock)
            sock.close()


def _count(result: DnsServeResult, query: Message, *, tcp: bool) -> None:
    result["queries"] += 1
    result["tcp"] += tcp
    if query.question is not None:
        name = f"{query.question.name} {query.question.kind}"
        if name in result["names"] or len(result["names"]) < MAX_PEERS:
            result["names"][name] = result["names"].get(name, 0) + 1
