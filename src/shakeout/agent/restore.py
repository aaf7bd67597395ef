"""Doing what undo entries say: each function makes one thing so, and says what it did.

All are idempotent: what is "already so" is left alone. A link that the entry's index no longer finds
is looked for by name.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Any

from shakeout.agent import restorefiles
from shakeout.devices.namespaces import named
from shakeout.devices.netlink import GONE, Change, Netlink
from shakeout.devices.tablemessages import ADDRESS_FLAGS_GIVEN, is_kernels_address, on_link
from shakeout.errors import DeviceError
from shakeout.wire import undo
from shakeout.wire.network import Address, Link, Route

#: What a step says if there was nothing to do.
ALREADY = "already so"


class Restorer:
    """Restores entries, in the host's own namespace and in named ones."""

    def __init__(self, netlink: Netlink | None = None) -> None:
        self._lent = netlink
        self._opened: dict[str, Netlink] = {}

    def __enter__(self) -> Restorer:
        return self

    def __exit__(self, *_: object) -> None:
        for netlink in self._opened.values():
            netlink.close()

    def restore(self, entry: undo.UndoEntry) -> str:
        """Do it; return what was done, in words.

        Raises:
            ShakeoutError, OSError, ValueError: it could not be done.
        """
        if isinstance(entry, undo.SysctlSet | undo.FileRestore | undo.ServiceSet | undo.Argv):
            return restorefiles.restore(entry)
        try:
            netlink = self._netlink(entry.netns)
        except DeviceError as error:
            if error.errno == errno.ENOENT:
                return f"namespace {entry.netns} is gone: {ALREADY}"
            raise
        return _ACTIONS[type(entry)](netlink, entry)

    def restore_late(self, entry: undo.RouteAdd) -> str:
        """Add a route after all else has been undone, even if no address makes its gateway reachable.

        A route outlives the address that its gateway was reached by, but cannot be made without it.
        If there is one like it by now, an older entry has put back what was there first.
        """
        netlink = self._netlink(entry.netns)
        row = _route(netlink, entry)
        text = f"route {row.dst or 'default'}/{row.dst_len}"
        for attempt in (row, on_link(row)):
            try:
                netlink.route_add(attempt)
            except DeviceError as error:
                if error.errno == errno.EEXIST:
                    return f"{text} {ALREADY}"
                if attempt is not row:
                    raise
            else:
                break
        return f"{text} added{'' if attempt is row else ', its gateway is out of reach'}"

    def _netlink(self, netns: str) -> Netlink:
        if not netns and self._lent is not None:
            return self._lent
        if netns not in self._opened:
            if netns:
                with named(netns) as fd:
                    self._opened[netns] = Netlink(fd)
            else:
                self._opened[netns] = Netlink()
        return self._opened[netns]


def _locate(netlink: Netlink, index: int, name: str) -> Link | None:
    link = netlink.find_link(index) if index else None
    return link or (netlink.find_link(name) if name else None)


def _existing(netlink: Netlink, index: int, name: str) -> Link:
    link = _locate(netlink, index, name)
    if link is None:
        raise DeviceError(f"the interface {name} is gone, it cannot be put back", errno.ENODEV)
    return link


def _link_delete(netlink: Netlink, entry: undo.LinkDelete) -> str:
    link = netlink.find_link(entry.index or entry.name)
    if link is None or (entry.kind and link.kind != entry.kind):
        return f"{entry.name}: {ALREADY}"
    _unless_gone(lambda: netlink.link_del(link.index, f"remove {link.name}"))
    return f"{link.name}: removed"


def _link_restore(netlink: Netlink, entry: undo.LinkRestore) -> str:
    if entry.may_be_gone:
        found = netlink.find_link(entry.index)
        if found is None:
            return f"{entry.name}: gone, {ALREADY}"
        link = found
    else:
        link = _existing(netlink, entry.index, entry.name)
    master = _master(netlink, entry)
    wanted: dict[str, Any] = {
        "name": entry.rename,
        "mtu": entry.mtu,
        # a bridge that lost its last port has an address of zeros, which cannot be given back
        "hwaddr": entry.hwaddr if entry.hwaddr and entry.hwaddr.strip("0:") else None,
        "up": entry.up,
        "master": master,
        "txqlen": entry.txqlen,
        "group": entry.group,
        "alias": entry.alias,
    }
    changed = {key: value for key, value in wanted.items() if value not in (None, getattr(link, key))}
    done = [f"{key} {getattr(link, key)!r} → {value!r}" for key, value in changed.items()]
    # "up" comes last, in a message of its own: some values only take effect, or are only accepted, before
    up = changed.pop("up", None)
    if changed or entry.info:
        if "name" in changed:
            _vacate(netlink, changed["name"])
        change = Change(**changed, kind=entry.kind, options=entry.info)
        netlink.link_set(link.index, change, f"restore {link.name}")
    if up is not None:
        netlink.link_set(link.index, Change(up=up), f"set {link.name} {'up' if up else 'down'}")
    return f"{link.name}: {', '.join(done) or ('options' if entry.info else ALREADY)}"


def _vacate(netlink: Netlink, name: str) -> None:
    """Rename whatever has *name*: something that the recipe made, and that an older entry removes."""
    holder = netlink.find_link(name)
    if holder is not None and holder.name == name:
        change = Change(name=f"undo{holder.index}")
        netlink.link_set(holder.index, change, f"free the name {name}")


def _master(netlink: Netlink, entry: undo.LinkRestore) -> int | None:
    if not entry.master:
        return entry.master
    return _existing(netlink, entry.master, entry.master_name).index


def _address_add(netlink: Netlink, entry: undo.AddressAdd) -> str:
    row = _moved(entry.address, _existing(netlink, entry.address.index, entry.name))
    if any(_same_address(row, other) for other in netlink.addresses(row.index, row.family)):
        return f"{entry.name}: address {row.address}/{row.prefix} {ALREADY}"
    netlink.address_add(row, replace=True)
    return f"{entry.name}: address {row.address}/{row.prefix} added"


def _address_delete(netlink: Netlink, entry: undo.AddressDelete) -> str:
    link = _locate(netlink, entry.address.index, entry.name)
    text = f"{entry.name}: address {entry.address.address}/{entry.address.prefix}"
    if link is None:
        return f"{text} {ALREADY}"
    gone = _unless_gone(lambda: netlink.address_del(_moved(entry.address, link)))
    return f"{text} {ALREADY if gone else 'removed'}"


def _addresses_restore(netlink: Netlink, entry: undo.AddressesRestore) -> str:
    link = _existing(netlink, entry.index, entry.name)
    wanted = [_moved(row, link) for row in entry.addresses]
    current = [row for row in netlink.addresses(link.index, entry.family) if not is_kernels_address(row)]
    same = 0
    for ours, theirs in zip(wanted, current, strict=False):
        if not _same_address(ours, theirs):
            break
        same += 1
    if same == len(wanted) == len(current):
        return f"{link.name}: addresses {ALREADY}"
    # backwards, because removing a primary address may take its secondary ones with it
    for row in reversed(current[same:]):
        _unless_gone(partial(netlink.address_del, row))
    for row in wanted[same:]:
        netlink.address_add(row, replace=True)
    return f"{link.name}: addresses restored"


def _same_address(one: Address, other: Address) -> bool:
    return _essence(one) == _essence(other)


def _essence(row: Address) -> tuple[object, ...]:
    flags = row.flags & ADDRESS_FLAGS_GIVEN
    return (row.address, row.prefix, row.peer, row.broadcast, row.scope, flags, row.label, row.metric)


def _route(netlink: Netlink, entry: undo.RouteAdd) -> Route:
    """The route on its interface, if it is over a single one."""
    if not entry.route.index:
        return entry.route
    moved: Route = _moved(entry.route, _existing(netlink, entry.route.index, entry.name))
    return moved


def _route_add(netlink: Netlink, entry: undo.RouteAdd) -> str:
    row = _route(netlink, entry)
    text = f"route {row.dst or 'default'}/{row.dst_len}"
    try:
        netlink.route_add(row)
    except DeviceError as error:
        if error.errno != errno.EEXIST:
            raise
        if row in netlink.routes(row.family):
            return f"{text} {ALREADY}"
        netlink.route_add(row, replace=True)
    return f"{text} added"


def _route_delete(netlink: Netlink, entry: undo.RouteDelete) -> str:
    gone = _unless_gone(lambda: netlink.route_del(entry.route))
    return f"route {entry.route.dst or 'default'} {ALREADY if gone else 'removed'}"


def _rule_add(netlink: Netlink, entry: undo.RuleAdd) -> str:
    text = f"rule {entry.rule.priority}"
    # not left to the kernel's EEXIST: older ones accept a rule twice
    if entry.rule in netlink.rules(entry.rule.family):
        return f"{text} {ALREADY}"
    netlink.rule_add(entry.rule)
    return f"{text} added"


def _rule_delete(netlink: Netlink, entry: undo.RuleDelete) -> str:
    gone = _unless_gone(lambda: netlink.rule_del(entry.rule))
    return f"rule {entry.rule.priority} {ALREADY if gone else 'removed'}"


def _neighbour_add(netlink: Netlink, entry: undo.NeighbourAdd) -> str:
    row = _moved(entry.neighbour, _existing(netlink, entry.neighbour.index, entry.name))
    if row in netlink.neighbours(row.family):
        return f"{entry.name}: neighbour {row.dst} {ALREADY}"
    netlink.neighbour_add(row)
    return f"{entry.name}: neighbour {row.dst} set"


def _neighbour_delete(netlink: Netlink, entry: undo.NeighbourDelete) -> str:
    gone = _unless_gone(lambda: netlink.neighbour_del(entry.neighbour))
    return f"{entry.name}: neighbour {entry.neighbour.dst} {ALREADY if gone else 'removed'}"


def _qdisc_restore(netlink: Netlink, entry: undo.QdiscRestore) -> str:
    row = _moved(entry.qdisc, _existing(netlink, entry.qdisc.index, entry.name))
    current = [q for q in netlink.qdiscs(row.index) if q.parent == row.parent]
    if row in current or (not row.kind and not any(q.handle for q in current)):
        return f"{entry.name}: qdisc {ALREADY}"
    if not row.kind:
        _unless_gone(lambda: netlink.qdisc_del(row))
        return f"{entry.name}: qdisc removed"
    netlink.qdisc_set(row)
    return f"{entry.name}: qdisc {row.kind} set"


def _moved(row: Any, link: Link) -> Any:
    """*row* on *link*, which may have been made anew under another index."""
    import msgspec

    return row if row.index == link.index else msgspec.structs.replace(row, index=link.index)


def _unless_gone(act: Callable[[], None]) -> bool:
    """Do *act*; True if the kernel says that its object is not there."""
    try:
        act()
    except DeviceError as error:
        if error.errno in GONE:
            return True
        raise
    return False


_ACTIONS: dict[type, Callable[[Netlink, Any], str]] = {
    undo.LinkDelete: _link_delete,
    undo.LinkRestore: _link_restore,
    undo.AddressAdd: _address_add,
    undo.AddressDelete: _address_delete,
    undo.AddressesRestore: _addresses_restore,
    undo.RouteAdd: _route_add,
    undo.RouteDelete: _route_delete,
    undo.RuleAdd: _rule_add,
    undo.RuleDelete: _rule_delete,
    undo.NeighbourAdd: _neighbour_add,
    undo.NeighbourDelete: _neighbour_delete,
    undo.QdiscRestore: _qdisc_restore,
}
