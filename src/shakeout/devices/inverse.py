"""Undo entries for changes of a link: what the kernel drops along with it, and how to put that back.

Taking a link down, for example, drops its routes, its IPv6 addresses and its neighbours, permanent
ones too. Entries are returned in the order in which they are to be written; replay goes backwards,
so what depends on something stands before it.
"""

from __future__ import annotations

import os
from socket import AF_INET, AF_INET6
from struct import unpack_from

from shakeout.devices.namespaces import inside_named
from shakeout.devices.netlink import Netlink
from shakeout.devices.tablemessages import AF_BRIDGE, is_kernels_address
from shakeout.wire.network import Link, Route
from shakeout.wire.undo import AddressesRestore, LinkRestore, NeighbourAdd, RouteAdd, SysctlSet, UndoEntry

#: Smallest MTU that IPv6 can live with (RFC 8200); below it the kernel takes IPv6 off a link.
IPV6_MIN_MTU = 1280
_RTPROT_REDIRECT, _RTPROT_KERNEL, _RTPROT_RA = 1, 2, 9
_MULTIPATH = 9
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_NTF_MASTER = 0x4


def restore(link: Link, netns: str, **values: object) -> LinkRestore:
    """An entry that gives *link* the *values* back."""
    return LinkRestore(index=link.index, name=link.name, netns=netns, **values)  # type: ignore[arg-type]


def routes(netlink: Netlink, link: Link, netns: str, families: tuple[int, ...]) -> list[UndoEntry]:
    """Routes over *link*, or with one of its addresses as their source, that somebody configured."""
    own = {row.address for row in netlink.addresses(link.index)}
    found = []
    for family in families:
        for row in netlink.routes(family):
            made = row.protocol in (_RTPROT_REDIRECT, _RTPROT_KERNEL, _RTPROT_RA)
            if not made and (_goes_over(row, link.index) or row.prefsrc in own):
                found.append(row)
    # undone backwards: a gateway must be reachable before a route over it is accepted
    found.sort(key=lambda row: (not _has_gateway(row), row.dst_len))
    return [RouteAdd(name=link.name, route=row, netns=netns) for row in found]


def addresses(netlink: Netlink, link: Link, netns: str, family: int) -> list[UndoEntry]:
    """The addresses of one family as they are now."""
    rows = [row for row in netlink.addresses(link.index, family) if not is_kernels_address(row)]
    entry = AddressesRestore(index=link.index, name=link.name, family=family, addresses=tuple(rows), netns=netns)
    return [entry]


def neighbours(netlink: Netlink, link: Link, netns: str) -> list[NeighbourAdd]:
    """Permanent neighbours on *link*."""
    return [
        NeighbourAdd(name=link.name, neighbour=row, netns=netns)
        for row in netlink.neighbours()
        if row.index == link.index and row.state & _NUD_PERMANENT
    ]


def forwarding(netlink: Netlink, link: Link, netns: str) -> list[UndoEntry]:
    """Static entries for the port *link* in its bridge's forwarding table."""
    import msgspec

    return [
        NeighbourAdd(name=link.name, neighbour=msgspec.structs.replace(row, flags=row.flags | _NTF_MASTER), netns=netns)
        for row in netlink.neighbours(AF_BRIDGE)
        if row.index == link.index
        and row.master == link.master
        and row.state & (_NUD_NOARP | _NUD_PERMANENT)
        and row.dst != link.hwaddr
    ]


def ipv6_settings(link: Link, netns: str) -> list[UndoEntry]:
    """The link's IPv6 sysctls that are not the namespace's defaults, which it gets when IPv6 comes back."""
    folder = f"/proc/sys/net/ipv6/conf/{link.name}"
    with inside_named(netns):
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - pathlib costs an agent milliseconds
        except OSError:  # no IPv6 here
            return []
        values = [(name, _setting(f"{folder}/{name}")) for name in names if name != "mtu"]
        return [
            SysctlSet(path=f"{folder}/{name}", value=value, netns=netns)
            for name, value in values
            if value is not None and value != _setting(f"/proc/sys/net/ipv6/conf/default/{name}")
        ]


def _setting(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:  # a secret that is not set, a file that can only be written
        return None


def uppers(netlink: Netlink, link: Link, netns: str, *names: str) -> list[UndoEntry]:
    """The values called *names* of links on top of *link* (macvlan, vlan), which follow it down."""
    return [
        restore(upper, netns, **{name: getattr(upper, name) for name in names})
        for upper in netlink.links()
        # a veth's "link" is its other end, not what it stands on
        if upper.link == link.index and upper.link_netnsid < 0 and upper.kind != "veth"
    ]


def of_name(netlink: Netlink, link: Link, netns: str) -> list[UndoEntry]:
    """For renaming *link*: the kernel makes up new labels for its IPv4 addresses, if there are several."""
    entries: list[UndoEntry] = []
    if len(netlink.addresses(link.index, AF_INET)) > 1:
        entries = of_addresses(netlink, link, netns, AF_INET)
    return [*entries, restore(link, netns, rename=link.name)]


def of_hwaddr(netlink: Netlink, link: Link, netns: str) -> list[UndoEntry]:
    """For setting the hardware address of *link*, which drops its neighbours."""
    return [
        *bridge_of(netlink, link, netns),
        *neighbours(netlink, link, netns),
        restore(link, netns, hwaddr=link.hwaddr),
    ]


def bridge_of(netlink: Netlink, link: Link, netns: str) -> list[UndoEntry]:
    """What the bridge that *link* is a port of takes over from its ports, unless it was given its own."""
    bridge = netlink.find_link(link.master) if link.master else None
    if bridge is None:
        return []
    return [restore(bridge, netns, mtu=bridge.mtu, hwaddr=bridge.hwaddr, may_be_gone=True)]


def of_down(netlink: Netlink, link: Link, netns: str) -> list[UndoEntry]:
    """For taking *link* down."""
    return [
        *neighbours(netlink, link, netns),
        *routes(netlink, link, netns, (AF_INET, AF_INET6)),
        *addresses(netlink, link, netns, AF_INET6),
        *uppers(netlink, link, netns, "up"),
        restore(link, netns, up=True),
    ]


def of_up(netlink: Netlink, link: Link, netns: str) -> list[UndoEntry]:
    """For setting *link* up: its IPv6 addresses, as taking it down again drops them."""
    return [*addresses(netlink, link, netns, AF_INET6), restore(link, netns, up=False)]


def of_mtu(netlink: Netlink, link: Link, netns: str, mtu: int) -> list[UndoEntry]:
    """For setting the MTU of *link*."""
    entries: list[UndoEntry] = []
    if mtu < IPV6_MIN_MTU <= link.mtu:
        entries += routes(netlink, link, netns, (AF_INET6,))
        entries += addresses(netlink, link, netns, AF_INET6)
        entries += ipv6_settings(link, netns)
    if mtu < link.mtu:
        entries += uppers(netlink, link, netns, "mtu")
    return [*bridge_of(netlink, link, netns), *entries, restore(link, netns, mtu=link.mtu)]


def of_addresses(netlink: Netlink, link: Link, netns: str, family: int) -> list[UndoEntry]:
    """For removing addresses: with the last one, routes over the link and its neighbours go, too."""
    return [
        *(row for row in neighbours(netlink, link, netns) if row.neighbour.family == family),
        *routes(netlink, link, netns, (family,)),
        *addresses(netlink, link, netns, family),
    ]


def of_master(
    netlink: Netlink, link: Link, netns: str, bridges: list[Link], master_name: str, *, created: bool, passing: bool
) -> list[UndoEntry]:
    """For giving *link* another master: a bridge's MTU and address follow its ports.

    Args:
        bridges: the old and the new master, as far as they outlive the recipe.
        created: *link* does not.
        passing: the old master does not, so that it may be gone at the undo, and an older entry has the one before.
    """
    old = {"master": link.master, "master_name": master_name, "may_be_gone": created}
    return [
        *(restore(bridge, netns, mtu=bridge.mtu, hwaddr=bridge.hwaddr) for bridge in bridges),
        *(forwarding(netlink, link, netns) if link.master else ()),
        *(() if passing else (restore(link, netns, **old),)),
    ]


def _goes_over(row: Route, index: int) -> bool:
    if row.index == index:
        return True
    for number, data in row.verbatim:
        offset = 0
        while number == _MULTIPATH and offset + 8 <= len(data):
            length, _, _, hop = unpack_from("=HBBi", data, offset)
            if hop == index:
                return True
            if length < 8:
                break
            offset += (length + 3) & ~3
    return False


def _has_gateway(row: Route) -> bool:
    return bool(row.gateway) or bool(row.verbatim and dict(row.verbatim).keys() & {_MULTIPATH, 18})
