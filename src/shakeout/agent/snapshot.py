"""What a host's network looks like, in a normal form in which "before" and "after" can be compared.

The normal form has what somebody configured, and leaves out what changes by itself:

- Interfaces are named, not numbered; each with its kind, MTU, hardware address, administrative state,
  master, alternative names, queue length, group and alias. Carrier and counters are not in it.
- IP addresses in the kernel's order (the first is primary), with prefix, peer, broadcast, scope, label,
  metric and the flags that can be given. Not their lifetimes and states, and not the addresses that
  the kernel makes itself (IPv6 link-local and advertised ones).
- Permanent neighbours, and permanent or static forwarding entries of bridges that somebody added.
- Routes of all tables but the cache. Of IPv6, not those that the kernel makes itself.
- Policy rules. Qdiscs, unless they are the kernel's default.

Sysctls, nftables and tc classes and filters are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from socket import AF_INET6

from shakeout.devices.netlink import Netlink
from shakeout.devices.tablemessages import ADDRESS_FLAGS_GIVEN, AF_BRIDGE, is_kernels_address
from shakeout.wire.network import Address, Link, Neighbour, Route

Value = str | int | bool | tuple["Value", ...]
#: Section ("links", "addresses" …) -> what it is about ("eth0") -> values.
Snapshot = dict[str, dict[str, tuple[Value, ...]]]

_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_RTPROT_KERNEL, _RTPROT_REDIRECT, _RTPROT_RA = 2, 1, 9
_MULTIPATH = 9
_LINKS = ("kind", "mtu", "hwaddr", "up", "master", "link", "txqlen", "group", "alias", "altnames")


def snapshot(netlink: Netlink) -> Snapshot:
    """The configuration of a namespace in normal form.

    Raises:
        DeviceError: the kernel refused to tell.
    """
    links = netlink.links()
    names = {link.index: link.name for link in links}
    return {
        "links": {link.name: _link(link, names) for link in links},
        "addresses": _grouped((names.get(row.index, "?"), _address(row)) for row in _addresses(netlink)),
        "neighbours": _grouped(_neighbours(netlink, names), in_order=False),
        "routes": _grouped(_routes(netlink, names), in_order=False),
        "rules": _grouped((f"{row.family}/{row.priority}", (str(row),)) for row in netlink.rules() if row.family < 128),
        "qdiscs": _grouped(
            (names.get(row.index, "?"), (row.kind, row.parent, row.options.hex()))
            for row in netlink.qdiscs()
            if row.handle
        ),
    }


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What differs, a sentence each; empty if nothing does."""
    found = []
    for section in before:
        was, now = before[section], after.get(section, {})
        for name in sorted(was.keys() | now.keys()):
            old, new = was.get(name), now.get(name)
            if old == new:
                continue
            if old is None or new is None:
                found.append(f"{section} {name}: {'appeared' if old is None else 'disappeared'}: {old or new}")
            else:
                found.extend(f"{section} {name}: {text}" for text in _detail(section, old, new))
    return found


def _detail(section: str, old: tuple[Value, ...], new: tuple[Value, ...]) -> Iterator[str]:
    if section == "links":
        for name, was, now in zip(_LINKS, old, new, strict=True):
            if was != now:
                yield f"{name} {was!r} became {now!r}"
        return
    missing, added = [row for row in old if row not in new], [row for row in new if row not in old]
    if missing:
        yield f"missing {missing}"
    if added:
        yield f"added {added}"
    if not missing and not added:
        yield f"order {old} became {new}"


def _link(link: Link, names: Mapping[int, str]) -> tuple[Value, ...]:
    # the lower device may be in another namespace, where its index means nothing here
    lower = names.get(link.link, "?") if link.link and link.link_netnsid < 0 else link.link
    return (
        link.kind,
        link.mtu,
        link.hwaddr,
        link.up,
        names.get(link.master, ""),
        lower or "",
        link.txqlen,
        link.group,
        link.alias,
        tuple(sorted(link.altnames)),
    )


def _addresses(netlink: Netlink) -> Iterator[Address]:
    return (row for row in netlink.addresses() if not is_kernels_address(row))


def _address(row: Address) -> tuple[Value, ...]:
    given = row.flags & ADDRESS_FLAGS_GIVEN
    address = f"{row.address}/{row.prefix}"
    return (address, row.peer, row.broadcast, row.scope, given, row.label, row.metric)


def _neighbours(netlink: Netlink, names: Mapping[int, str]) -> Iterator[tuple[str, tuple[Value, ...]]]:
    for row in netlink.neighbours():
        if row.state & _NUD_PERMANENT:
            yield names.get(row.index, "?"), (row.family, row.dst, row.lladdr, row.flags)
    own = {link.hwaddr for link in netlink.links()}
    for row in netlink.neighbours(AF_BRIDGE):
        if row.state & (_NUD_NOARP | _NUD_PERMANENT) and not _automatic(row, own):
            yield names.get(row.index, "?"), (row.family, row.dst, row.vlan, row.state, row.flags)


def _automatic(row: Neighbour, own: set[str]) -> bool:
    """Entries that follow from multicast memberships and from the addresses of ports."""
    multicast = row.dst.startswith(("33:33:", "01:00:5e:", "01:80:c2:"))
    # NTF_SELF: a port's own filter, which also has the addresses of macvlans on it
    return multicast or row.dst in own or bool(row.flags & 0x2)


def _routes(netlink: Netlink, names: Mapping[int, str]) -> Iterator[tuple[str, tuple[Value, ...]]]:
    for row in netlink.routes():
        own = (_RTPROT_KERNEL, _RTPROT_REDIRECT, _RTPROT_RA)
        if row.family == AF_INET6 and row.protocol in own:
            continue
        yield f"table {row.table}", _route(row, names)


def _route(row: Route, names: Mapping[int, str]) -> tuple[Value, ...]:
    several = any(number == _MULTIPATH for number, _ in row.verbatim)
    return (
        row.family,
        f"{row.dst}/{row.dst_len}",
        "" if several or not row.index else names.get(row.index, "?"),
        row.gateway,
        row.prefsrc,
        row.priority,
        row.type,
        row.scope,
        row.protocol,
        row.tos,
        row.flags,
        tuple(f"{number}:{data.hex()}" for number, data in row.verbatim),
    )


def _grouped(
    rows: Iterator[tuple[str, tuple[Value, ...]]] | list[tuple[str, tuple[Value, ...]]],
    *,
    in_order: bool = True,
) -> dict[str, tuple[Value, ...]]:
    found: dict[str, list[tuple[Value, ...]]] = {}
    for name, row in rows:
        found.setdefault(name, []).append(row)
    return {name: tuple(group) if in_order else tuple(sorted(group, key=repr)) for name, group in found.items()}
