"""The switches of a laboratory: for each network a bridge, or several with a cable from each to the next."""

from __future__ import annotations

from shakeout.devices.netlink import Change, Netlink, Peer

#: Ports that one bridge is given; the kernel allows 1,023, of which two are for the bridges beside it.
ROOM = 1000


class Switches:
    """Makes bridges in the network namespace of the process that makes this object."""

    def __init__(self) -> None:
        self._netlink = Netlink()
        #: Name of a network -> the bridge where its next port goes, and how many are there.
        self._current: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._links: list[int] = []
        self._made = 0

    def port(self, network: str) -> int:
        """The index of the bridge for one more port on *network*."""
        if self._taken.get(network, ROOM) >= ROOM:
            self._extend(network)
        self._taken[network] += 1
        return self._current[network]

    def clear(self) -> None:
        """Remove everything; there are no networks then."""
        for index in self._links:
            self._netlink.link_del(index)
        self._links.clear()
        self._current.clear()
        self._taken.clear()

    def _extend(self, network: str) -> None:
        """Give *network* its first bridge, or another."""
        index = self._netlink.link_add("bridge", f"n{self._made}", options={"forward_delay": 0})
        self._links.append(index)
        self._netlink.link_set(index, Change(up=True))
        before = self._current.get(network)
        if before is not None:
            cable = self._netlink.link_add("veth", f"c{self._made}a", master=before, peer=Peer(name=f"c{self._made}b"))
            self._links.append(cable)
            self._netlink.link_set(0, Change(name=f"c{self._made}b", master=index, up=True))
            self._netlink.link_set(cable, Change(up=True))
        self._made += 1
        self._current[network], self._taken[network] = index, 0
