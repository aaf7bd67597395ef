"""The interfaces that carry a connection: what must not change while it is needed."""

from __future__ import annotations

from collections.abc import Iterable

from shakeout.devices.netlink import Netlink
from shakeout.wire.network import Link


def links_with(netlink: Netlink, address: str) -> frozenset[int]:
    """Indexes of the interface that has *address*, and of all that it is made of; empty if none has it."""
    plain = address.partition("%")[0].removeprefix("::ffff:")
    return made_of({row.index for row in netlink.addresses() if row.address == plain}, netlink.links())


def made_of(indexes: Iterable[int], links: Iterable[Link]) -> frozenset[int]:
    """*indexes* with the ports of those that are bridges or bonds, and the lower devices of vlans and the like."""
    known = {link.index: link for link in links}
    found: set[int] = set()
    waiting = list(indexes)
    while waiting:
        index = waiting.pop()
        link = known.get(index)
        if link is None or index in found:
            continue
        found.add(index)
        waiting += [other.index for other in known.values() if other.master == index]
        if link.link and link.link_netnsid < 0 and link.kind != "veth":
            waiting.append(link.link)
    return frozenset(found)
