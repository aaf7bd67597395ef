"""The agent's gate to the network: TLS, and nobody comes in without a certificate for controllers.

Strangers cost little and are kept apart: each has a few seconds, and there may be only so many. When there are more,
one from where the most of them come goes, who came first: an honest controller is through in a few round trips.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shakeout.agent.listening import watch_listener
from shakeout.errors import HostError
from shakeout.wire.address import shown_address
from shakeout.wire.credentials import Credentials
from shakeout.wire.greeting import Greeting
from shakeout.wire.reactor import READ, WRITE, Reactor
from shakeout.wire.tls import TlsTransport

if TYPE_CHECKING:
    import ssl

#: Seconds in which a stranger must have shown a certificate.
GREETING_TIMEOUT = 10.0
#: Seconds that somebody who was refused has to read why.
_PARTING = 2.0
#: Strangers at a time.
_MOST_STRANGERS = 64
#: Refusals that are told at once, and then each second.
_BURST, _RATE = 20, 1.0

Admit = Callable[[TlsTransport], object]


class Gate:
    """Turns connections into transports.

    Args:
        credentials: the host's.
        admit: called with each connection whose other side is a controller of the laboratory.
        say: told who was refused and why, one line each; of many, only how many.
    """

    def __init__(self, reactor: Reactor, credentials: Credentials, admit: Admit, say: Callable[[str], None]) -> None:
        self.reactor = reactor
        self._credentials = credentials
        self._admit = admit
        self._say = Sparing(say)
        self._listeners: list[socket.socket] = []
        self._strangers: dict[Stranger, None] = {}

    def listen(self, listener: socket.socket) -> None:
        """Take connections from *listener*, which is the gate's from now on."""
        self._listeners.append(listener)
        watch_listener(self.reactor, listener, self._arrived)

    def close(self) -> None:
        """Take no more connections, and end those that were not admitted yet."""
        for listener in self._listeners:
            self.reactor.forget(listener.fileno())
            listener.close()
        for stranger in list(self._strangers):
            stranger.close()

    def _arrived(self, connected: socket.socket, address: Any) -> None:
        if len(self._strangers) >= _MOST_STRANGERS:
            self._one_too_many().close()
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setblocking(False)
            tls = self._credentials.context().wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError):  # it has gone already, or was in too great a hurry
            connected.close()
            return
        self._strangers[Stranger(self, tls, shown_address(address), _network(address[0]))] = None

    def _one_too_many(self) -> Stranger:
        counts: dict[str, int] = {}
        for each in self._strangers:
            counts[each.network] = counts.get(each.network, 0) + 1
        crowd = max(counts, key=lambda network: counts[network])
        return next(each for each in self._strangers if each.network == crowd)

    # -- for strangers ----------------------------------------------------------------------------

    def admitted(self, transport: TlsTransport) -> None:
        """One of them is a controller."""
        self._admit(transport)

    def refused(self, address: str, why: str) -> None:
        """One of them is not."""
        self._say(f"{address}: {why}")

    def forget(self, stranger: Stranger) -> None:
        """One of them has gone, or come in."""
        self._strangers.pop(stranger, None)


class Stranger:
    """A connection until both sides have accepted each other.

    Attributes:
        network: from where it comes, as far as one machine can choose that.
    """

    def __init__(self, gate: Gate, tls: ssl.SSLSocket, address: str, network: str) -> None:
        self.network = network
        self._gate = gate
        self._tls = tls
        self._address = address
        self._greeting = Greeting(tls, "host")
        self._parting = False
        self._patience = gate.reactor.call_later(GREETING_TIMEOUT, self._too_late)
        gate.reactor.watch(tls.fileno(), READ, self._go_on)

    def close(self) -> None:
        """End it without a word."""
        self._patience.cancel()
        self._gate.reactor.forget(self._tls.fileno())
        self._gate.forget(self)
        self._tls.close()

    def _go_on(self, events: int) -> None:
        import ssl

        if self._parting:
            self._discard()
            return
        reactor = self._gate.reactor
        try:
            peer = self._greeting.advance()
        except ssl.SSLWantReadError:
            reactor.modify(self._tls.fileno(), READ)
            return
        except ssl.SSLWantWriteError:
            reactor.modify(self._tls.fileno(), READ | WRITE)
            return
        except HostError as error:
            self._part(str(error))
            return
        self._patience.cancel()
        reactor.forget(self._tls.fileno())
        self._gate.forget(self)
        self._gate.admitted(TlsTransport(self._tls, peer.name))

    def _part(self, why: str) -> None:
        """Stay until the other side has read why: a socket that is closed with something unread takes that back."""
        self._gate.refused(self._address, why)
        self._parting = True
        self._patience.cancel()
        self._patience = self._gate.reactor.call_later(_PARTING, self.close)
        self._gate.reactor.modify(self._tls.fileno(), READ)
        try:
            socket.socket.shutdown(self._tls, socket.SHUT_WR)
        except OSError:
            self.close()

    def _discard(self) -> None:
        """What comes now is of no interest."""
        try:
            if socket.socket.recv(self._tls, 1 << 16):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.close()

    def _too_late(self) -> None:
        self._gate.refused(self._address, f"no certificate was shown within {GREETING_TIMEOUT:g} s")
        self.close()


def _network(host: str) -> str:
    """What one machine may have all of: an IPv4 address, or an IPv6 network of 64 bits."""
    host = host.partition("%")[0]
    if ":" not in host:
        return host
    return socket.inet_pton(socket.AF_INET6, host)[:8].hex()


class Sparing:
    """Says what it is told, but not more often than somebody can read: a port scan shall not fill a disk."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._allowed = float(_BURST)
        self._since = time.monotonic()
        self._unsaid = 0

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        self._allowed = min(_BURST, self._allowed + (now - self._since) * _RATE)
        self._since = now
        if self._allowed < 1:
            self._unsaid += 1
            return
        self._allowed -= 1
        if self._unsaid:
            text += f" (and {self._unsaid} others before, not listed)"
            self._unsaid = 0
        self._say(text)
