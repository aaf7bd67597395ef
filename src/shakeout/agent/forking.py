"""What the agent and its zygote say to each other."""

from __future__ import annotations

from typing import Literal

import msgspec


class ForkOrder(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Fork a child; the descriptors that come along are its stdin, stdout, stderr and a channel.

    The channel is where a module's outcome goes, and where an *argv* child says why it could not be executed.
    """

    sequence: int
    kind: Literal["argv", "module"]
    #: Variables over those that the zygote has.
    env: dict[str, str] = {}
    argv: tuple[str, ...] = ()
    module: bytes = b""
    cwd: str = ""
    user: str = ""
    netns: str = ""


class SourceOrder(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Keep the source of a module, compiled, for children that will import it."""

    sha256: str
    filename: str
    text: bytes


class Rest(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The host is free: keep nothing ready."""


class Forked(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Order *sequence* became process *pid*."""

    sequence: int
    pid: int
    host_ns: int


class Exited(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A child has ended; *status* as `os.waitpid` gives it."""

    pid: int
    status: int
    host_ns: int


Orders = ForkOrder | SourceOrder | Rest
Reports = Forked | Exited
