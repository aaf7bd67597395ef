"""How the two ends of a throughput measurement find each other: the plan, and one connection for each stream."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from shakeout.modules.endpoints import SocketAddress, reason
from shakeout.modules.flows import tcp as throughput_tcp
from shakeout.modules.flows import udp as throughput_udp
from shakeout.modules.flows.session import Session
from shakeout.modules.flows.talk import GREETING, TOKEN, Message, PeerGone, Plan, Ready, Refused, Seen, Talk, Tick

if TYPE_CHECKING:
    Ticked: TypeAlias = Callable[[Tick, bool], None]

_M = TypeVar("_M")

#: What a stream's connection begins with: token, whether the server sends on it, its number.
_STREAM: Final = struct.Struct(f"!{TOKEN}s?H")

#: Seconds in which a client that has come must have said what it wants, and opened its streams.
_SETUP: Final = 10.0
#: Seconds after which a greeting that may be lost is sent again.
_AGAIN: Final = 0.1


def connect(
    opened: ExitStack,
    plan: Plan,
    family: socket.AddressFamily,
    address: SocketAddress,
    source: SocketAddress,
    timeout: float,
    ticked: Ticked,
) -> Session:
    """The client's end of a measurement; its sockets are closed by *opened*.

    Raises:
        OSError: the server cannot be reached.
        PeerGone: it does not want to, or is none.
    """
    until = time.monotonic() + timeout
    control = opened.enter_context(_connected(family, address, source, timeout))
    talk = Talk(control)
    talk.send(GREETING)
    talk.say(plan)
    ready = _expect(talk, Ready, until)
    if plan.protocol == "udp":
        return _connect_udp(opened, plan, talk, (family, address, source), ready.token, until, ticked)
    forward: list[socket.socket] = []
    back: list[socket.socket] = []
    for socks, server_sends in ((forward, False), (back, True)):
        for number in range(plan.streams if (plan.back if server_sends else plan.forward) else 0):
            sock = opened.enter_context(_connected(family, address, source, timeout, plan))
            sock.sendall(_STREAM.pack(ready.token, server_sends, number))
            socks.append(sock)
    _expect(talk, Seen, until)
    return _tcp_session(talk, plan, forward, back, ticked)


def _connect_udp(
    opened: ExitStack,
    plan: Plan,
    talk: Talk,
    way: tuple[socket.AddressFamily, SocketAddress, SocketAddress],
    token: bytes,
    until: float,
    ticked: Ticked,
) -> Session:
    family, address, source = way
    socks = []
    for _ in range(plan.streams):
        sock = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        throughput_udp.prepare(sock, plan)
        if source is not None:
            sock.bind(source)
        sock.connect(address)
        socks.append(sock)
    while True:
        with suppress(ConnectionRefusedError):  # an error of an earlier one
            throughput_udp.greet(socks, token)
        message = talk.hear(min(until, time.monotonic() + _AGAIN))
        if isinstance(message, Seen):
            break
        if isinstance(message, Refused):
            raise PeerGone(message.reason)
        if time.monotonic() >= until:
            raise PeerGone("no datagram reaches the server, though TCP does: is UDP filtered on the way?")
    return Session(
        talk,
        plan,
        throughput_udp.UdpSender(socks, plan, token) if plan.forward else None,
        throughput_udp.UdpReceiver(socks, plan, token) if plan.back else None,
        ticked,
    )


def accept(opened: ExitStack, listener: socket.socket, until: float | None, ticked: Ticked) -> Session | None:
    """The server's end of a measurement with the next client; None if none came before *until*.

    Raises:
        PeerGone: a client came, but it is none, or did not do what it should.
    """
    left = None if until is None else max(0.0, until - time.monotonic())
    if not select.select([listener], [], [], left)[0]:
        return None
    talk = Talk(_accepted(opened, listener))
    setup = time.monotonic() + _SETUP
    if talk.take(len(GREETING), setup) != GREETING:
        raise PeerGone("a client came that is no ThroughputClient")
    plan, token = _expect(talk, Plan, setup), os.urandom(TOKEN)
    try:
        if plan.protocol == "udp":
            return _accept_udp(opened, listener, talk, plan, token, ticked)
        talk.say(Ready(token))
        forward, back = _accept_streams(opened, listener, talk, plan, token, setup)
        talk.say(Seen())
        return _tcp_session(talk, plan, back, forward, ticked)
    except OSError as error:
        talk.say(Refused(f"the server cannot: {reason(error)}"[:500]))
        raise PeerGone(f"refused: {reason(error)}") from None


def _accept_udp(
    opened: ExitStack, listener: socket.socket, talk: Talk, plan: Plan, token: bytes, ticked: Ticked
) -> Session:
    sock = opened.enter_context(socket.socket(listener.family, socket.SOCK_DGRAM))
    if listener.family == socket.AF_INET6:
        only = listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    sock.bind(listener.getsockname())
    throughput_udp.prepare(sock, plan)
    talk.say(Ready(token))
    peers = throughput_udp.await_greetings(sock, plan, token, talk, time.monotonic() + _SETUP)
    if None in peers:
        raise PeerGone("the greetings of a client did not come")
    talk.say(Seen())
    return Session(
        talk,
        plan,
        throughput_udp.UdpSender([sock] * plan.streams, plan, token, peers) if plan.back else None,
        throughput_udp.UdpReceiver([sock], plan, token) if plan.forward else None,
        ticked,
    )


def _accept_streams(
    opened: ExitStack, listener: socket.socket, talk: Talk, plan: Plan, token: bytes, until: float
) -> tuple[list[socket.socket], list[socket.socket]]:
    """The connections on which the client sends, and those on which the server does."""
    found: dict[tuple[bool, int], socket.socket] = {}
    wanted = {(False, n) for n in range(plan.streams) if plan.forward}
    wanted |= {(True, n) for n in range(plan.streams) if plan.back}
    while len(found) < len(wanted):
        ready = select.select([listener, talk.sock], [], [], max(0.0, until - time.monotonic()))[0]
        if listener not in ready:
            raise PeerGone(
                "a client ended before its streams had come" if ready else "streams of a client did not come"
            )
        sock = _accepted(opened, listener)
        key = _stream_of(sock, token, until)
        if key in wanted and key not in found:
            throughput_tcp.prepare(sock, plan)
            found[key] = sock
        else:
            sock.close()  # another client, which reads from that that the server is busy
    socks = [[found[key] for key in sorted(found) if key[0] is server_sends] for server_sends in (False, True)]
    return socks[0], socks[1]


def _stream_of(sock: socket.socket, token: bytes, until: float) -> tuple[bool, int] | None:
    """Which stream a connection is; None if it belongs to something else."""
    sock.settimeout(max(0.01, min(1.0, until - time.monotonic())))
    data = b""
    try:
        while len(data) < _STREAM.size and (part := sock.recv(_STREAM.size - len(data))):
            data += part
    except OSError:
        return None
    if len(data) < _STREAM.size:
        return None
    shown, server_sends, number = _STREAM.unpack(data)
    return (server_sends, number) if shown == token else None


def _tcp_session(
    talk: Talk, plan: Plan, sends: list[socket.socket], receives: list[socket.socket], ticked: Ticked
) -> Session:
    return Session(
        talk,
        plan,
        throughput_tcp.TcpSender(sends, plan) if sends else None,
        throughput_tcp.TcpReceiver(receives, plan) if receives else None,
        ticked,
    )


def _connected(
    family: socket.AddressFamily,
    address: SocketAddress,
    source: SocketAddress,
    timeout: float,
    plan: Plan | None = None,
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if source is not None:
            sock.bind(source)
        if plan is not None:
            throughput_tcp.prepare(sock, plan)
        sock.settimeout(timeout)
        sock.connect(address)
        sock.settimeout(None)
    except BaseException:
        sock.close()
        raise
    return sock


def _accepted(opened: ExitStack, listener: socket.socket) -> socket.socket:
    try:
        sock, _ = listener.accept()
    except OSError as error:
        raise PeerGone(f"a client came and went: {reason(error)}") from None
    return opened.enter_context(sock)


def _expect(talk: Talk, kind: type[_M], until: float) -> _M:
    """The next message, which must be of *kind*.

    Raises:
        PeerGone: it is another, or none comes in time.
    """
    message: Message | None = talk.hear(until)
    if isinstance(message, kind):
        return message
    if isinstance(message, Refused):
        raise PeerGone(message.reason)
    if message is None:
        raise PeerGone("it accepts the connection, but does not answer: is it busy with another client?")
    raise PeerGone("what answers there is no ThroughputServer")
