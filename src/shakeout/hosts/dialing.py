"""Reaching a host's agent: one way in for every kind of endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shakeout.errors import LabLacks, UsageError
from shakeout.hosts.unix import connect_unix

if TYPE_CHECKING:
    from shakeout.wire.transports import Transport

#: The fields that matter, besides the address.
_OPTIONS = {"tls": ("name",), "ssh": ("user", "python", "sudo", "name")}

#: Where an agent listens if its endpoint does not say.
DEFAULT_PORT = 9999

#: Descriptors that a host via ssh takes while it is dialled, at most, and those that a process has besides.
_DESCRIPTORS, _OTHERS = 12, 256


class Endpoint(msgspec.Struct, frozen=True):
    """How a host is reached.

    Attributes:
        via: "unix" (*address* is a socket's path), "tls" (HOST or HOST:PORT) or "ssh" (as the user's ssh knows it,
            HOST or HOST:PORT).
        user: whom to log in as, via ssh; "" leaves it to the user's ssh configuration.
        python: the interpreter there, via ssh; "" looks for one.
        sudo: via ssh: whether the agent is started with sudo; None does so if the user is not root and sudo asks for
            no password.
        name: what the certificate of a host via tls must be called; "" for the host's name in its pool.
    """

    via: str
    address: str
    user: str = ""
    python: str = ""
    sudo: bool | None = None
    name: str = ""

    def text(self) -> str:
        """It as one line that `parse_endpoint` reads."""
        options = {
            field: value for field in _OPTIONS.get(self.via, ()) if (value := getattr(self, field)) not in ("", None)
        }
        return f"{self.via}:{self.address}" + (f" {msgspec.json.encode(options).decode()}" if options else "")


class Access(msgspec.Struct, frozen=True):
    """What this controller reaches hosts with.

    Attributes:
        certs: the folder with its certificate, key and the laboratory's CA.
        ssh: the command that logs in, as GIT_SSH_COMMAND does for git.
        cache: a folder for bundles that were made for hosts via ssh.
    """

    certs: Path = Path("/nonexistent")
    ssh: tuple[str, ...] = ("ssh",)
    cache: Path = Path("/nonexistent")


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint that `Endpoint.text` wrote.

    Raises:
        UsageError: it is none.
    """
    head, _, options = text.partition(" {")
    via, _, address = head.partition(":")
    try:
        more = msgspec.json.decode("{" + options, type=dict[str, str | bool]) if options else {}
        return msgspec.convert({"via": via, "address": address, **more}, Endpoint)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{text!r} does not say how a host is reached: {error}") from None


def make_room(hosts: int) -> int:
    """Let this process have the descriptors that connections to so many *hosts* take; for how many it may."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OTHERS + _DESCRIPTORS * hosts
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, min(hosts, (wanted - _OTHERS) // _DESCRIPTORS))


def dial(endpoint: Endpoint, access: Access) -> Transport:
    """Connect to the agent at *endpoint*; blocks (call it in threads for several hosts at once).

    Raises:
        AgentUnreachable: nobody answers there, or not as somebody we may talk to; the message says which.
        UsageError: what is needed on this side is not there (certificates, the ssh program).
    """
    if endpoint.via == "unix":
        return connect_unix(endpoint.address)
    if endpoint.via == "ssh":
        from shakeout.hosts.ssh import dial_ssh  # with much that other hosts do not need

        return dial_ssh(endpoint, access)
    if endpoint.via == "tls":
        from shakeout.hosts.tls import dial_tls

        return dial_tls(endpoint.address, endpoint.name, access.certs)
    raise LabLacks(f"a host that is reached via {endpoint.via} cannot be connected to by this release (unix, tls, ssh)")
