"""Undo operations: the closed set of things an agent can put back (data only).

Each operation holds absolute values, so that doing it twice, or when things are "already so", is
success. The log of them is written by :mod:`shakeout.agent.undo` *before* the change it undoes, and
replayed last in, first out; an agent that was killed replays it at its next start, when the device
class or the recipe that caused the change is long gone.

``netns`` is "" for the host's own network namespace, else a name under ``/run/netns``.
A link is named by its index *and* its name: the index finds it after a rename, as long as the
machine has not been booted anew; the name is what people read, and the way to find a link that was
made anew under another index.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from shakeout.wire.network import Address, Neighbour, Qdisc, Route, Rule


class _Undo(Struct, frozen=True, tag_field="op", omit_defaults=True):
    """Base of all: where it applies."""

    netns: str = ""


class Header(_Undo, frozen=True, kw_only=True, tag="header"):
    """Begins a log: the entries after it were written under this boot, in this network namespace."""

    boot_id: str
    #: Inode of the network namespace of the host.
    netns_inode: int
    schema: int = 1


class LinkDelete(_Undo, frozen=True, kw_only=True, tag="link_delete"):
    """Remove a link that did not exist. ``index`` 0: it was not known yet (written before creation)."""

    name: str
    index: int = 0
    #: Only a link of this kind is removed; "" for any.
    kind: str = ""


class LinkRestore(_Undo, frozen=True, kw_only=True, tag="link_restore"):
    """Give a link these values; None leaves a value alone.

    ``rename`` is the name to restore. ``master`` is the bridge's or bond's index, 0 for "none";
    ``master_name`` finds it if the index is gone. A link with ``may_be_gone`` (the recipe made it, say)
    need not be there any more; any other that is gone is a failure, as it could not be put back.
    """

    index: int
    name: str
    rename: str | None = None
    mtu: int | None = None
    hwaddr: str | None = None
    up: bool | None = None
    master: int | None = None
    master_name: str = ""
    txqlen: int | None = None
    group: int | None = None
    alias: str | None = None
    #: The kind's options to restore (IFLA_INFO_DATA, encoded), with its kind.
    kind: str = ""
    info: bytes = b""
    may_be_gone: bool = False


class AddressAdd(_Undo, frozen=True, kw_only=True, tag="address_add"):
    """Add an address that was there."""

    name: str
    address: Address


class AddressDelete(_Undo, frozen=True, kw_only=True, tag="address_delete"):
    """Remove an address that was not there."""

    name: str
    address: Address


class AddressesRestore(_Undo, frozen=True, kw_only=True, tag="addresses_restore"):
    """Give a link exactly these addresses of one family, in this order (the first is primary)."""

    index: int
    name: str
    family: int
    addresses: tuple[Address, ...] = ()


class RouteAdd(_Undo, frozen=True, kw_only=True, tag="route_add"):
    """Add a route that was there; ``name`` is its interface's, "" if it has none."""

    name: str
    route: Route


class RouteDelete(_Undo, frozen=True, kw_only=True, tag="route_delete"):
    """Remove a route that was not there."""

    name: str
    route: Route


class RuleAdd(_Undo, frozen=True, kw_only=True, tag="rule_add"):
    """Add a policy rule that was there."""

    rule: Rule


class RuleDelete(_Undo, frozen=True, kw_only=True, tag="rule_delete"):
    """Remove a policy rule that was not there."""

    rule: Rule


class NeighbourAdd(_Undo, frozen=True, kw_only=True, tag="neighbour_add"):
    """Set a neighbour entry as it was."""

    name: str
    neighbour: Neighbour


class NeighbourDelete(_Undo, frozen=True, kw_only=True, tag="neighbour_delete"):
    """Remove a neighbour entry that was not there."""

    name: str
    neighbour: Neighbour


class QdiscRestore(_Undo, frozen=True, kw_only=True, tag="qdisc_restore"):
    """Give a link this root or ingress qdisc; an empty ``kind`` removes it (the kernel puts its default)."""

    name: str
    qdisc: Qdisc


class SysctlSet(_Undo, frozen=True, kw_only=True, tag="sysctl_set"):
    """Write *value* to *path*, an absolute path below /proc or /sys."""

    path: str
    value: bytes


class FileRestore(_Undo, frozen=True, kw_only=True, tag="file_restore"):
    """Make *path* what it was: nothing, a file (its content is in *backup*), a symlink, a directory.

    ``mode`` are permission bits; a directory is only made and given its mode and owner, what is in it
    has operations of its own.
    """

    path: str
    was: Literal["absent", "file", "symlink", "directory"]
    backup: str = ""
    target: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0


class ServiceSet(_Undo, frozen=True, kw_only=True, tag="service_set"):
    """Put a service back: running or not (None: leave alone), and enabled or not, by exactly these boot links.

    Attributes:
        enabled: for people who read the log; what counts are the links.
        manager: who manages it: "systemd" or "sysvinit".
        links: path and target of each link that there was; None: leave alone.
        family: the names whose links they are: the service's own, and those that are enabled along with it.
        failed: whether its manager remembered that it had failed.
    """

    service: str
    active: bool | None = None
    enabled: bool | None = None
    manager: str = "systemd"
    links: tuple[tuple[str, str], ...] | None = None
    family: tuple[str, ...] = ()
    failed: bool = False


class Argv(_Undo, frozen=True, kw_only=True, tag="argv"):
    """Run a command, without a shell; exit status 0 is success.

    ``persistent``: what it undoes outlives a boot.
    """

    argv: tuple[str, ...]
    cwd: str = "/"
    timeout: float = 60.0
    persistent: bool = False


UndoEntry = (
    Header
    | LinkDelete
    | LinkRestore
    | AddressAdd
    | AddressDelete
    | AddressesRestore
    | RouteAdd
    | RouteDelete
    | RuleAdd
    | RuleDelete
    | NeighbourAdd
    | NeighbourDelete
    | QdiscRestore
    | SysctlSet
    | FileRestore
    | ServiceSet
    | Argv
)


def outlives_boot(entry: UndoEntry) -> bool:
    """Whether what *entry* undoes is still there after the machine has been booted anew."""
    return isinstance(entry, FileRestore | ServiceSet) or (isinstance(entry, Argv) and entry.persistent)
