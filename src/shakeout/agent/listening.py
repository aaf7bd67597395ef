"""Listening sockets, and taking connections from them in the agent's loop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from shakeout.errors import UsageError
from shakeout.wire.address import parse_address
from shakeout.wire.reactor import READ, Reactor

#: Connections that the kernel keeps until we take them.
_BACKLOG = 128
#: Seconds until connections are taken again when there was no descriptor left for one.
_RELIEF = 1.0


def watch_listener(reactor: Reactor, listener: socket.socket, arrived: Callable[[socket.socket, Any], None]) -> None:
    """Call *arrived* with each connection that comes, and its address."""
    listener.setblocking(False)

    def accept(events: int) -> None:
        try:
            connected, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        except OSError:  # no descriptors left: those that come wait until there are some
            reactor.forget(listener.fileno())
            if listener.fileno() >= 0:
                reactor.call_later(_RELIEF, lambda: reactor.watch(listener.fileno(), READ, accept))
            return
        arrived(connected, address)

    reactor.watch(listener.fileno(), READ, accept)


def tcp_listeners(text: str) -> list[socket.socket]:
    """Sockets that listen at *text*, HOST[:PORT]: one for each address that the host has; ":PORT" is every address.

    Raises:
        UsageError: it is no address, or not one of this machine, or in use.
    """
    host, port = parse_address(text)
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"the agent cannot listen at {text}: {_reason(error)}; give one of this machine") from error
    listeners: list[socket.socket] = []
    try:
        for family, _, _, _, address in found:
            try:
                listeners.append(_listening(family, address))
            except OSError as error:
                if not _without_ipv6(host, family, error):
                    raise
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise UsageError(
            f"the agent cannot listen at {text}: {_reason(error)}; give another address or port with --listen"
        ) from error
    return listeners


def _listening(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _without_ipv6(host: str, family: int, error: OSError) -> bool:
    """Whether only half of "every address" is missing, because the kernel has no IPv6."""
    import errno

    return not host and family == socket.AF_INET6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
