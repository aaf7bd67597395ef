"""Devices that are created in software, and those that a virtual machine gets on demand."""

from __future__ import annotations

from shakeout.devices.base import Device
from shakeout.devices.linkmessages import Peer
from shakeout.devices.linkoptions import OptionValue
from shakeout.devices.naming import check_hwaddr
from shakeout.errors import DeviceError, LabLacks
from shakeout.wire.network import Link
from shakeout.wire.undo import LinkDelete


class SoftDevice(Device):
    """A device that the kernel makes on demand. Inherit, set ``_kind``, and say what it is made of.

    Args:
        hwaddr: its hardware address; without one the host's pool of addresses gives one, else the kernel.
        mtu: its MTU in bytes, else the kernel's default.
    """

    _hwaddr: str | None = None
    _mtu: int | None = None

    def __init__(self, *, hwaddr: str | None = None, mtu: int | None = None) -> None:
        self._hwaddr = None if hwaddr is None else check_hwaddr(hwaddr)
        self._mtu = mtu

    def create(self) -> None:
        """Create the interface; a recipe needs this only after :meth:`destroy`, assignment creates.

        Raises:
            DeviceError: there is an interface of that name, or the kernel refused.
            LabLacks: the kernel of this host does not have this kind of device.
        """
        site = self._local()
        if not self._destroyed and self._index and site.netlink.find_link(self._index) is not None:
            raise DeviceError(f"{self._label} exists already")
        if not self._kind:
            raise DeviceError(f"{type(self).__name__} does not say which kind of link it is (_kind)")
        self._make()
        self._created = True
        self._destroyed = False

    def destroy(self) -> bool:
        """Remove the interface if the recipe created it; what was there before stays. Returns True."""
        site = self._local()
        if not self._created or self._destroyed:
            return True
        link = site.netlink.find_link(self._index)
        if link is not None:
            self._guard(link, f"remove {link.name}")
            self._label = link.name
            self._before_removal(link)
            site.netlink.link_del(link.index, f"remove {link.name}")
        self._destroyed = True
        return True

    def _make(self) -> None:
        """Create the link. Kinds that need more than options and a lower device override this."""
        self._add_link(options=self._options(), lower=self._lower())

    def _options(self) -> dict[str, OptionValue]:
        """Options of the kind, by the names of ``ip link``."""
        return {}

    def _lower(self) -> Link | None:
        """The link that it stands on, if any."""
        return None

    def _before_removal(self, link: Link) -> None:
        """Record what removing *link* changes of others."""
        if link.master:
            self._record(*self._master_entries(link, None))

    def _add_link(
        self, *, options: dict[str, OptionValue], lower: Link | None = None, peer: Peer | None = None
    ) -> None:
        site = self._local()
        name = self._label
        if site.netlink.find_link(name) is not None:
            # looked for here: the undo entry, written before the kernel could refuse, would remove that one
            raise DeviceError(f"cannot create {self._kind} {name}: there is an interface of that name", 17)
        # once by name, as the number is not known yet, and once by number, which survives a rename
        self._record(LinkDelete(name=name, kind=self._kind, netns=site.netns))
        self._index = site.netlink.link_add(
            self._kind,
            name,
            hwaddr=self._hwaddr,
            mtu=self._mtu,
            link=lower.index if lower else 0,
            options=options,
            peer=peer,
        )
        self._record(LinkDelete(name=name, index=self._index, kind=self._kind, netns=site.netns))


class VirtualDevice(Device):
    """A port that a virtual machine gets on demand.

    Declared, so that a recipe can ask for one; the labs that can plug ports into a running machine
    come later.
    """

    def create(self) -> None:
        """Plug the port in.

        Raises:
            LabLacks: always, for now.
        """
        raise LabLacks("no lab can plug a port into a running machine yet; ask for the interface in a DeviceReq")


class LoopbackDevice(Device):
    """The loopback interface, which every host has."""
