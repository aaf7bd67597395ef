"""Sockets of the TCP and UDP modules: resolved, bound and named the same way in all of them."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any, TypeAlias

from shakeout.errors import ModuleFailed

#: An address as the socket module has it: (host, port) or (host, port, flow, scope).
SocketAddress: TypeAlias = Any

#: Peers that a result names; more are counted only.
MAX_PEERS = 1000
#: By the kernel's words for them.
_REMEDIES = {
    "Connection refused": "nobody listens there, or not yet: wait for the server's output 'listening on'",
    "Network is unreachable": "give this host an address in that network, bring its interface up, or add a route",
    "No route to host": "is there such a host in that network, and are the links up?",
}
#: Reasons for failures that a result tells apart.
MAX_REASONS = 100


def endpoint(address: SocketAddress) -> str:
    """ "10.0.0.1:80" or "[fe80::1%eth0]:80"."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reason(error: OSError) -> str:
    """What happened, in the kernel's words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return error.strerror or str(error)


def resolve(dst: object, port: int, kind: socket.SocketKind) -> tuple[socket.AddressFamily, SocketAddress]:
    """The family and address of *dst*, the first if a name has several.

    Raises:
        ModuleFailed: the name is not known here.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(str(dst), port, type=kind)[0]
    except socket.gaierror as error:
        raise ModuleFailed(
            f"the host name {dst} is not known on this host ({error.strerror}); give an address, "
            "or name the host in its /etc/hosts"
        ) from None
    return family, address


def bound(address: object | None, port: int, kind: socket.SocketKind) -> socket.socket:
    """A socket bound to *address* (None: every address, IPv4 and IPv6) and *port* (0: any free one).

    Raises:
        ModuleFailed: the address is none of this host's, or the port is taken.
    """
    if address is None and socket.has_dualstack_ipv6():
        family, place = socket.AF_INET6, ("::", port)
    elif address is None:
        family, place = socket.AF_INET, ("0.0.0.0", port)
    else:
        family, place = resolve(address, port, kind)
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address is not None))
        sock.bind(place)
    except OSError as error:
        sock.close()
        raise ModuleFailed(f"cannot listen on {endpoint(place)}: {reason(error)}") from None
    return sock


def allow_descriptors() -> None:
    """Have this process open as many files and sockets as it may."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def announce(sock: socket.socket) -> tuple[str, int]:
    """Print "listening on ADDRESS:PORT", so that others can wait for it; returns address and port."""
    name = sock.getsockname()
    print(f"listening on {endpoint(name)}", flush=True)  # noqa: T201 - it is the module's output
    return name[0], name[1]


def plain_peer(address: SocketAddress) -> str:
    """A peer's endpoint; an IPv4 one that came through an IPv6 socket as the IPv4 one it is."""
    return endpoint((address[0].removeprefix("::ffff:"), address[1])) if "." in address[0] else endpoint(address)


def count_reason(errors: dict[str, int], why: str) -> None:
    """Count one more failure for the reason *why* in *errors*, which does not grow without end."""
    if why not in errors and len(errors) >= MAX_REASONS:
        why = "other reasons"
    errors[why] = errors.get(why, 0) + 1


def told(errors: Counter[str]) -> str:
    """ "2 × Connection refused, 1 × timed out"; with what to do if all have the one reason."""
    texts = ", ".join(f"{count} × {text}" if count > 1 else text for text, count in errors.most_common())
    return texts + (remedy(next(iter(errors))) if len(errors) == 1 else "")


def remedy(what: str) -> str:
    """What to do about a `reason`, behind a semicolon; "" if that is not clear."""
    known = _REMEDIES.get(what)
    return f"; {known}" if known else ""
