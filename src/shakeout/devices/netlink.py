"""The rtnetlink client: links, addresses, routes, rules, neighbours and qdiscs of one namespace.

Synchronous, because each operation takes the kernel microseconds (0.02–0.1 ms with everything).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from shakeout.devices import linkmessages as lm
from shakeout.devices import tablemessages as tm
from shakeout.devices.channel import CREATE, ECHO, EXCL, REPLACE, Channel
from shakeout.devices.kernel import lacking_kind
from shakeout.devices.linkmessages import Change, Peer
from shakeout.devices.linkoptions import OptionValue
from shakeout.devices.tablemessages import address_row
from shakeout.errors import DeviceError
from shakeout.wire.network import Address, Link, Neighbour, Qdisc, Route, Rule

__all__ = ["GONE", "Change", "Netlink", "Peer", "address_row"]

#: "Not there (any more)", as the kernel says it of links, addresses, routes and namespaces.
GONE = frozenset((errno.ENODEV, errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENOENT, errno.ENXIO))


class Netlink:
    """A connection to the kernel's network configuration in one namespace.

    Every method raises DeviceError, with the kernel's error number and words, when the kernel
    refuses; LabLacks when it does not know the kind of link. Belongs to one thread.
    """

    def __init__(self, netns_fd: int | None = None) -> None:
        """Open in the namespace of *netns_fd* (only needed during this call), or in the caller's."""
        self._channel = Channel(netns_fd)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- links

    def links(self) -> list[Link]:
        """All links of the namespace."""
        return [lm.decode(body) for body in self._channel.dump(lm.GETLINK, lm.query(0), "list the links")]

    def link(self, which: int | str) -> Link:
        """The link with this index, name or alternative name; DeviceError (ENODEV) if there is none."""
        return lm.decode(self._channel.get(lm.GETLINK, lm.query(which), f"read link {which}"))

    def find_link(self, which: int | str) -> Link | None:
        """Like :meth:`link`, None if there is none."""
        try:
            return self.link(which)
        except DeviceError as error:
            if error.errno in GONE:
                return None
            raise

    def link_stats(self, index: int) -> dict[str, int]:
        """Counters of a link, by the kernel's names (rx_packets, tx_bytes …)."""
        body = self._channel.get(lm.GETLINK, lm.query(index, stats=True), f"read counters of link {index}")
        return lm.decode_stats(body)

    def link_add(
        self,
        kind: str,
        name: str,
        *,
        hwaddr: str | None = None,
        mtu: int | None = None,
        master: int | None = None,
        link: int = 0,
        up: bool | None = None,
        options: Mapping[str, OptionValue] | bytes = b"",
        peer: Peer | None = None,
        netns_fd: int | None = None,
        netns_pid: int | None = None,
    ) -> int:
        """Create a link; return its index (0 if it was created in another namespace).

        Args:
            link: index of the lower device (macvlan, vlan …).
            options: the kind's own options, by the names of ``ip link``.
            peer: the other end, for a veth.
            netns_fd, netns_pid: create it in that namespace.
        """
        change = Change(
            name=name,
            hwaddr=hwaddr,
            mtu=mtu,
            master=master,
            up=up,
            kind=kind,
            options=options,
            netns_fd=netns_fd,
            netns_pid=netns_pid,
        )
        body = lm.encode_new(change, link=link, peer=peer)
        try:
            echoed = self._channel.do(lm.NEWLINK, body, f"create {kind} {name}", CREATE | EXCL | ECHO)
        except DeviceError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                raise lacking_kind(kind, error) from error
            raise
        if netns_fd is not None or netns_pid is not None:
            return 0
        for message in echoed:
            if message.type == lm.NEWLINK:
                return lm.decode(message.body).index
        return self.link(name).index  # kernels before 6.2 do not echo

    def link_set(self, index: int, change: Change, what: str = "") -> None:
        """Give link *index* the values of *change*; *what* describes it in an error."""
        self._channel.do(lm.NEWLINK, lm.encode_change(index, change), what or f"change link {index}")

    def link_del(self, index: int, what: str = "") -> None:
        """Remove a link."""
        self._channel.do(lm.DELLINK, lm.head(index), what or f"remove link {index}")

    def altname_add(self, index: int, name: str) -> None:
        """Give a link an alternative name."""
        body = lm.encode_altname(index, name)
        self._channel.do(lm.NEWLINKPROP, body, f"add alternative name {name}", CREATE | EXCL)

    def altname_del(self, index: int, name: str) -> None:
        """Take an alternative name from a link."""
        self._channel.do(lm.DELLINKPROP, lm.encode_altname(index, name), f"remove alternative name {name}")

    # --- addresses

    def addresses(self, index: int = 0, family: int = 0) -> list[Address]:
        """Addresses, of one link and family if given, in the kernel's order."""
        body = tm.query_addresses(index, family)
        try:
            rows = self._channel.dump(tm.GETADDR, body, "list the addresses")
        except DeviceError as error:
            if index and error.errno in GONE:
                return []
            raise
        found = [tm.decode_address(row) for row in rows]
        # kernels before 4.20 ignore the index
        return [row for row in found if row.index == index] if index else found

    def address_add(self, row: Address, *, replace: bool = False) -> None:
        """Add an address; with *replace* it may exist already."""
        what = f"add address {row.address}/{row.prefix}"
        self._channel.do(tm.NEWADDR, tm.encode_address(row), what, CREATE | (REPLACE if replace else EXCL))

    def address_del(self, row: Address) -> None:
        """Remove an address."""
        self._channel.do(tm.DELADDR, tm.encode_address(row), f"remove address {row.address}/{row.prefix}")

    # --- routes, rules, neighbours, qdiscs

    def routes(self, family: int = 0) -> list[Route]:
        """Routes of all tables, without the kernel's cache."""
        rows = self._channel.dump(tm.GETROUTE, tm.query_routes(family), "list the routes")
        return [tm.decode_route(row) for row in rows if not tm.is_cached(row)]

    def route_add(self, row: Route, *, replace: bool = False) -> None:
        """Add a route; with *replace* over the one with the same destination and metric."""
        what = f"add route {tm.route_text(row)}"
        self._channel.do(tm.NEWROUTE, tm.encode_route(row), what, CREATE | (REPLACE if replace else EXCL))

    def route_del(self, row: Route) -> None:
        """Remove a route."""
        self._channel.do(tm.DELROUTE, tm.encode_route(row), f"remove route {tm.route_text(row)}")

    def rules(self, family: int = 0) -> list[Rule]:
        """Policy rules."""
        rows = self._channel.dump(tm.GETRULE, tm.query_routes(family), "list the rules")
        return [tm.decode_rule(row) for row in rows]

    def rule_add(self, row: Rule) -> None:
        """Add a policy rule."""
        self._channel.do(tm.NEWRULE, tm.encode_rule(row), f"add rule {row.priority}", CREATE | EXCL)

    def rule_del(self, row: Rule) -> None:
        """Remove a policy rule."""
        self._channel.do(tm.DELRULE, tm.encode_rule(row), f"remove rule {row.priority}")

    def neighbours(self, family: int = 0) -> list[Neighbour]:
        """Neighbour entries; with family AF_BRIDGE (7) the forwarding entries of bridges."""
        rows = self._channel.dump(tm.GETNEIGH, tm.query_neighbours(family), "list the neighbours")
        return [tm.decode_neighbour(row) for row in rows]

    def neighbour_add(self, row: Neighbour) -> None:
        """Set a neighbour entry, over an existing one."""
        what = f"add neighbour {row.dst}"
        self._channel.do(tm.NEWNEIGH, tm.encode_neighbour(row), what, CREATE | REPLACE)

    def neighbour_del(self, row: Neighbour) -> None:
        """Remove a neighbour entry."""
        self._channel.do(tm.DELNEIGH, tm.encode_neighbour(row), f"remove neighbour {row.dst}")

    def qdiscs(self, index: int = 0) -> list[Qdisc]:
        """Queueing disciplines, of one link if given."""
        rows = self._channel.dump(tm.GETQDISC, tm.query_qdiscs(), "list the qdiscs")
        return [row for row in map(tm.decode_qdisc, rows) if index in (0, row.index)]

    def qdisc_set(self, row: Qdisc) -> None:
        """Put a qdisc in place, over the one there."""
        what = f"set qdisc {row.kind} on link {row.index}"
        self._channel.do(tm.NEWQDISC, tm.encode_qdisc(row), what, CREATE | REPLACE)

    def qdisc_del(self, row: Qdisc) -> None:
        """Remove a qdisc; the kernel puts its default in its place."""
        self._channel.do(tm.DELQDISC, tm.encode_qdisc(row), f"remove qdisc of link {row.index}")
