"""HOST:PORT, as people write it."""

from __future__ import annotations

from shakeout.errors import UsageError

#: Where an agent listens if nobody says otherwise.
DEFAULT_PORT = 9999


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of HOST, HOST:PORT, [IPV6] or [IPV6]:PORT; the host of ":PORT" and "*" is "", any.

    An IPv6 address without brackets has no port: which of its colons would be the last?

    Raises:
        UsageError: it is none of these.
    """
    host, port = text.strip(), ""
    if host.startswith("["):
        host, closed, rest = host[1:].partition("]")
        fits = closed and ":" in host and (not rest or rest.startswith(":"))
        port = rest[1:] if rest else ""
        fits = bool(fits) and rest != ":"
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        fits = bool(port)
    else:
        fits = bool(host)
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1
    if not fits or (port and not 0 <= number <= 65535) or any(c.isspace() or c in "\0/" for c in host):
        raise UsageError(f"{text!r} is no address; write HOST, HOST:PORT or [IPV6]:PORT (the usual port is 9999)")
    return "" if host == "*" else host, number if port else DEFAULT_PORT


def shown_address(address: tuple[str | int, ...]) -> str:
    """A socket's address as `parse_address` reads it."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
