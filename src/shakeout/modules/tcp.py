"""TCP in pure Python: connections made, and connections waited for."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections import Counter
from typing import Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.durations import Spread, spread
from shakeout.modules.endpoints import (
    MAX_PEERS,
    SocketAddress,
    allow_descriptors,
    announce,
    bound,
    endpoint,
    plain_peer,
    reason,
    resolve,
    told,
)
from shakeout.params import BoolParam, DurationParam, HostnameOrIpParam, IntParam, IpParam, StrParam

_CHUNK = 1 << 18
#: Connections with which a listener begins to need more files than a process has by default.
_MANY = 32


class TcpConnectResult(TypedDict):
    """What TcpConnect found.

    Keys:
        connections: made, and all sent and received as wanted.
        failed: the others; why is in errors, which counts each reason.
        sent, received: bytes of all connections.
        connect_ms: how long the connections took to be made, None if none was.
    """

    connections: int
    failed: int
    sent: int
    received: int
    connect_ms: Spread | None
    errors: dict[str, int]


class TcpConnect(BaseTestModule):
    """Connect to a TCP port, one connection after the other; failed if one of them fails.

    Each sends *payload* and then *size* bytes more, if any. With *expect* the answer must be that
    text, with *echo* it must be what was sent; else nothing is waited for. The result is a
    `TcpConnectResult`.

    Examples:
        >>> listener = m2.run(TcpListen(port=5000, echo=True), bg=True)
        >>> listener.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(TcpConnect(dst=m2_address, port=5000, payload="hello", echo=True))
        >>> job.result["received"]
        5
    """

    dst = HostnameOrIpParam(mandatory=True, desc="address or name to connect to")
    port = IntParam(mandatory=True, minimum=1, maximum=65535)
    count = IntParam(default=1, minimum=1, desc="connections to make")
    interval = DurationParam(default=0.0, desc="from the start of a connection to that of the next")
    timeout = DurationParam(default=5.0, minimum=0.001, desc="for one connection, with all that it sends and receives")
    payload = StrParam(default="", desc="text to send")
    size = IntParam(default=0, minimum=0, maximum=1 << 30, desc="further bytes to send")
    expect = StrParam(desc="text that must come back")
    echo = BoolParam(default=False, desc="what was sent must come back")
    bind = IpParam(desc="address to connect from")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.echo and self.expect is not None:
            raise BadParameters("TcpConnect", ["echo=True and expect contradict each other: give one"])

    def run(self) -> TcpConnectResult:
        family, address = resolve(self.dst, self.port, socket.SOCK_STREAM)
        errors: Counter[str] = Counter()
        latencies: list[float] = []
        result = TcpConnectResult(connections=0, failed=0, sent=0, received=0, connect_ms=None, errors={})
        self._res_data = result
        begin = time.monotonic()
        for number in range(self.count):
            time.sleep(max(0.0, begin + number * self.interval - time.monotonic()))
            try:
                self._connect(family, address, result, latencies)
                result["connections"] += 1
            except OSError as error:
                errors[reason(error)] += 1
                result["failed"] += 1
                result["errors"] = dict(errors)
            result["connect_ms"] = spread(latencies)
        if errors:
            of = f"{result['failed']} of {self.count} connections" if self.count > 1 else "the connection"
            raise ModuleFailed(f"{of} to {endpoint(address)} failed: {told(errors)}")
        return result

    def _connect(
        self,
        family: socket.AddressFamily,
        address: SocketAddress,
        result: TcpConnectResult,
        latencies: list[float],
    ) -> None:
        """One connection.

        Raises:
            OSError: it failed, or what came back is not what was to come.
        """
        data = self.payload.encode() + bytes(self.size)
        wanted = data if self.echo else (self.expect or "").encode()
        begin = time.monotonic()
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            if self.bind is not None:
                sock.bind((str(self.bind), 0))
            sock.settimeout(self.timeout)
            sock.connect(address)
            latencies.append(time.monotonic() - begin)
            sock.setblocking(False)
            got = _exchange(sock, data, len(wanted), begin + self.timeout, result)
        if got != wanted:
            at = next((i for i, pair in enumerate(zip(got, wanted, strict=False)) if pair[0] != pair[1]), len(got))
            text = f"the answer ended after {len(got)} of {len(wanted)} bytes"
            raise OSError(text if at == len(got) else f"another answer came: it differs from byte {at} on")


def _exchange(sock: socket.socket, data: bytes, wanted: int, until: float, result: TcpConnectResult) -> bytes:
    """Send *data* and at the same time receive *wanted* bytes, or fewer if the peer ends first."""
    left, got = memoryview(data), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while left or len(got) < wanted:
            events = (selectors.EVENT_WRITE if left else 0) | (selectors.EVENT_READ if len(got) < wanted else 0)
            selector.modify(sock, events)
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                text = f"timed out with {len(got)} of {wanted} bytes received" if not left else "timed out sending"
                raise OSError(text)
            if ready[0][1] & selectors.EVENT_WRITE:
                size = sock.send(left[:_CHUNK])
                left = left[size:]
                result["sent"] += size
                if not left:
                    sock.shutdown(socket.SHUT_WR)
            if ready[0][1] & selectors.EVENT_READ:
                part = sock.recv(min(_CHUNK, wanted - len(got)))
                result["received"] += len(part)
                got += part
                if not part:
                    break
    return bytes(got)


class TcpListenResult(TypedDict):
    """What TcpListen found.

    Keys:
        address, port: where it listened.
        connections: that were made and have ended.
        received, sent: bytes of all connections.
        peers: their endpoints in order, at most 1000.
        errors: connections that ended by an error, by reason; they count as ended.
    """

    address: str
    port: int
    connections: int
    received: int
    sent: int
    peers: list[str]
    errors: dict[str, int]


class TcpListen(BaseTestModule):
    r"""Listen on a TCP port until as many connections as wanted have come and gone.

    Prints "listening on ADDRESS:PORT" once it does. Connections are served at the same time; what
    they send is counted, and with *echo* sent back. The result is a `TcpListenResult`. In the
    background with ``connections=0``, ``job.kill(signal.SIGINT)`` ends it with what came so far.

    Examples:
        >>> listener = m2.run(TcpListen(connections=2, timeout=10), bg=True)
        >>> port = listener.wait_output(r"listening on .*:(\d+)")[1]
        >>> job = m1.run(TcpConnect(dst=m2_address, port=port, count=2, payload="hello"))
        >>> listener.wait(timeout=10)
        True
        >>> listener.result["received"]
        10
    """

    address = IpParam(desc="address to listen on; all of them, IPv4 and IPv6, if not given")
    port = IntParam(default=0, minimum=0, maximum=65535, desc="0: any free one")
    connections = IntParam(default=1, minimum=0, desc="connections to wait for; 0: until stopped")
    timeout = DurationParam(desc="until all must have ended; for ever if not given")
    echo = BoolParam(default=False, desc="send everything back")
    reply = StrParam(default="", desc="text to send when a connection comes")

    def run(self) -> TcpListenResult:
        with (
            bound(self.address, self.port, socket.SOCK_STREAM) as listener,
            _Server(self, listener) as server,
        ):
            listener.listen(1024)
            listener.setblocking(False)
            address, port = announce(listener)
            result = server.result
            result["address"], result["port"] = address, port
            self._res_data = result
            until = None if self.timeout is None else time.monotonic() + self.timeout
            try:
                while not self.connections or result["connections"] < self.connections:
                    left = None if until is None else until - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    server.serve(left)
            except KeyboardInterrupt:
                stopped = "before it was stopped"
            else:
                stopped = f"within {self.timeout} s"
        if result["connections"] < self.connections:
            came = f"only {result['connections']} of {self.connections} connections came and ended {stopped}"
            raise ModuleFailed(came)
        return result


class _Server:
    """The connections of one listener."""

    def __init__(self, module: TcpListen, listener: socket.socket) -> None:
        self.result = TcpListenResult(address="", port=0, connections=0, received=0, sent=0, peers=[], errors={})
        self._module = module
        self._accepted = 0
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *exc: object) -> None:
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._listener:
                key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def serve(self, timeout: float | None) -> None:
        """Wait up to *timeout* seconds for something to do, and do it."""
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._attend(key.fileobj, key.data, events)  # type: ignore[arg-type]

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise ModuleFailed(f"this host allows no more than {self._accepted} connections at once") from None
            return  # it is gone again
        sock.setblocking(False)
        self._accepted += 1
        if self._accepted == _MANY:
            allow_descriptors()
        if len(self.result["peers"]) < MAX_PEERS:
            self.result["peers"].append(plain_peer(peer))
        if self._accepted == self._module.connections:
            self._selector.unregister(self._listener)
        pending = bytearray(self._module.reply.encode())
        self._selector.register(sock, _wanted(pending, ended=False), (pending, [False]))

    def _attend(self, sock: socket.socket, state: tuple[bytearray, list[bool]], events: int) -> None:
        pending, ended = state
        try:
            if events & selectors.EVENT_READ:
                data = sock.recv(_CHUNK)
                ended[0] = not data
                self.result["received"] += len(data)
                if self._module.echo:
                    pending += data
            if pending and events & selectors.EVENT_WRITE:
                size = sock.send(pending)
                self.result["sent"] += size
                del pending[:size]
        except BlockingIOError:
            return
        except OSError as error:
            errors = self.result["errors"]
            errors[reason(error)] = errors.get(reason(error), 0) + 1
            self._end(sock)
            return
        if ended[0] and not pending:
            self._end(sock)
        else:
            self._selector.modify(sock, _wanted(pending, ended=ended[0]), state)

    def _end(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.close()
        self.result["connections"] += 1


def _wanted(pending: bytearray, *, ended: bool) -> int:
    """The events to wait for: no more is read while much waits to be sent back."""
    read = 0 if ended or len(pending) >= 4 * _CHUNK else selectors.EVENT_READ
    return read | (selectors.EVENT_WRITE if pending else 0)
