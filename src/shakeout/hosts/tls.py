"""Connecting to an agent over TLS."""

from __future__ import annotations

import socket
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from shakeout.errors import AgentUnreachable, CertificateRefused, HostError
from shakeout.hosts.session import OPEN_TIMEOUT
from shakeout.wire.address import parse_address
from shakeout.wire.credentials import Credentials, day
from shakeout.wire.greeting import Greeting
from shakeout.wire.tls import TlsTransport

if TYPE_CHECKING:
    import ssl

    from shakeout.wire.certificates import Party

#: Seconds until somebody has answered at the address.
CONNECT_TIMEOUT = 5.0


def dial_tls(address: str, name: str, certs: Path) -> TlsTransport:
    """Connect to the agent at *address*.

    Args:
        address: HOST or HOST:PORT.
        name: what its certificate must be for; "" for the host in *address*.
        certs: folder of this controller's credentials.

    Raises:
        AgentUnreachable: nobody answers there.
        CertificateRefused: one side does not accept the other; says which, and why.
        UsageError: an address that is none, or credentials that cannot be used.
    """
    host, port = parse_address(address)
    credentials = _credentials(certs)
    context = credentials.context()
    try:
        connected = socket.create_connection((host, port), CONNECT_TIMEOUT)
    except TimeoutError:
        raise AgentUnreachable(f"{address}: nobody answered within {CONNECT_TIMEOUT:g} s") from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "; is shakeout agent running there?" if isinstance(error, ConnectionRefusedError) else ""
        raise AgentUnreachable(f"{address}: {reason}{hint}") from error
    try:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = context.wrap_socket(connected, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        connected.close()
        raise AgentUnreachable(f"{address}: it ended the connection at once") from error
    try:
        peer = _greet(tls, name or host)
        return TlsTransport(tls, peer.name)
    except BaseException as error:
        tls.close()
        if isinstance(error, TimeoutError):
            raise AgentUnreachable(f"{address}: its agent did not answer within {OPEN_TIMEOUT:g} s") from None
        if isinstance(error, CertificateRefused):
            raise CertificateRefused(f"{address}: {error}{_own(credentials, str(error))}") from error
        if isinstance(error, HostError):
            raise AgentUnreachable(f"{address}: no agent that we could talk to: {error}") from error
        raise


def _greet(tls: ssl.SSLSocket, name: str) -> Party:
    """Greet the other side, which has `OPEN_TIMEOUT` for all of it, however little it says at a time.

    Raises:
        TimeoutError: it took longer.
    """
    import select
    import ssl

    greeting = Greeting(tls, "controller", name)
    deadline = time.monotonic() + OPEN_TIMEOUT
    poll = select.poll()
    while True:
        try:
            return greeting.advance()
        except ssl.SSLWantReadError:
            poll.register(tls, select.POLLIN)
        except ssl.SSLWantWriteError:
            poll.register(tls, select.POLLOUT)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError


@cache
def _credentials(folder: Path) -> Credentials:
    """Read once a process, and again when the files have changed: a run dials many hosts."""
    return Credentials(folder, "controller")


def _own(credentials: Credentials, text: str) -> str:
    """What is known of our own certificate, if it is that one which was refused."""
    own = credentials.own
    if "this controller's" not in text:
        return ""
    return f" (that of {own.name}, valid from {day(own.begins)} to {day(own.ends)}, serial number {own.serial})"
