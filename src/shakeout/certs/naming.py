"""What hosts and controllers may be called in certificates."""

from __future__ import annotations

import ipaddress
import re

from shakeout.errors import UsageError
from shakeout.wire.certificates import Role

#: The most that a common name holds (RFC 5280, ub-common-name).
LONGEST = 64
_NAMES: dict[Role, re.Pattern[str]] = {
    "host": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*"),  # as in a pool
    "controller": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*"),
}
_ALLOWED: dict[Role, str] = {
    "host": "letters, digits, '_', '.' and '-', as in the host's pool file",
    "controller": "letters, digits, '_', '.', '@', '+' and '-', as in anna@desk",
}


def check_name(name: str, role: Role) -> str:
    """*name*, if something of *role* may be called so.

    Raises:
        UsageError: it may not; says what is accepted.
    """
    if not _NAMES[role].fullmatch(name) or len(name) > LONGEST or name.endswith(".") or ".." in name:
        shown = repr(name if len(name) <= LONGEST else name[:LONGEST] + "…")
        raise UsageError(
            f"{shown} cannot be a {role}'s name: 1 to {LONGEST} characters are accepted, {_ALLOWED[role]}; "
            "the first is a letter, a digit or '_', and dots stand alone and not at the end"
        )
    return name


def check_address(text: str) -> str:
    """*text*, if it is an IP address or a host's name, without a port; addresses in their usual form.

    Raises:
        UsageError: it is neither.
    """
    if is_ip(text):
        return str(ipaddress.ip_address(text))
    try:
        return check_name(text, "host")
    except UsageError:
        raise UsageError(
            f"{text[:LONGEST]!r} is no address; give an IP address, or a name as others resolve it, without a port"
        ) from None


def is_ip(text: str) -> bool:
    """Whether *text* is an IP address; one with a scope ("%eth0") is none that others could use."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
