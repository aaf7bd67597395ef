"""Virtual Ethernet pairs: what goes into one end comes out of the other."""

from __future__ import annotations

from shakeout.devices.base import Creation, Device
from shakeout.devices.linkmessages import Change, Peer
from shakeout.devices.soft import SoftDevice
from shakeout.errors import DeviceError
from shakeout.wire.network import Link


class VethDevice(SoftDevice):
    """One end of a pair.

    Args:
        peer: the other end, a :class:`VethDevice` of the same host that has no assigned other end yet.
            Without it the pair is made, and the other end is ``self.peer``.
        hwaddr: its hardware address.
        mtu: its MTU in bytes.
    """

    _kind = "veth"
    _other: VethDevice | None = None

    def __init__(self, peer: VethDevice | None = None, *, hwaddr: str | None = None, mtu: int | None = None) -> None:
        super().__init__(hwaddr=hwaddr, mtu=mtu)
        if peer is not None and not isinstance(peer, VethDevice):
            raise DeviceError(f"the other end of a veth is a VethDevice, not {peer!r}")
        self._other = peer

    @property
    def peer(self) -> Device | None:
        """The other end; None if it is in another namespace."""
        link = self._link()
        # a link of another namespace is only a number here, which may be any interface's
        return self._local().device(link.link) if link.link and link.link_netnsid < 0 else None

    def _make(self) -> None:
        if self._other is None:
            self._add_link(options={}, peer=Peer(self._free_name()))
        else:
            self._take_other_end(self._other)

    def _take_other_end(self, first: VethDevice) -> None:
        """Become the end that was made along with *first*."""
        netlink = self._netlink
        end = first._link()
        if not first._created:
            raise DeviceError(f"{end.name} was there before the recipe; its other end cannot be given a new name")
        if netlink.find_link(self._label) is not None:
            raise DeviceError(f"cannot create veth {self._label}: there is an interface of that name", 17)
        change = Change(name=self._label, hwaddr=self._hwaddr, mtu=self._mtu)
        netlink.link_set(end.link, change, f"create veth {self._label}")
        self._index = end.link

    def _before_removal(self, link: Link) -> None:
        super()._before_removal(link)
        other = self.peer
        if isinstance(other, VethDevice):
            row = other._link()
            if row.master:
                other._created = True  # it goes with this end
                other._record(*other._master_entries(row, None))

    def _made(self) -> Creation:
        """With the other end, if that has been assigned already: the first one makes the pair."""
        made, other = super()._made(), self._other
        if other is None or other._remote is None or made.args or "peer" in made.kwargs:
            return made
        return Creation(made.args, {**made.kwargs, "peer": other}, made.state)

    def _free_name(self) -> str:
        """A name for the other end until it is assigned."""
        for number in range(1000):
            name = f"{self._label[:9]}-end{number or ''}"
            if self._netlink.find_link(name) is None:
                return name
        raise DeviceError(f"no free name for the other end of {self._label}")


def VethPair() -> tuple[VethDevice, VethDevice]:
    """Two ends of a new pair, to be assigned to one host: ``m1.v0, m1.v1 = VethPair()``."""
    one, other = VethDevice(), VethDevice()
    one._other, other._other = other, one
    return one, other
