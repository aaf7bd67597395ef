"""The base class of all devices: hardware Ethernet, and what every interface has.

An instance is in one of three states. *Unbound*: constructed by a recipe, not yet assigned to a host
(``VethDevice()``); it remembers its class and arguments. *Remote*: on the controller, bound to a host
(``m1.eth0``); what is done with it is done on the host. *Local*: on the host, in the process that
holds the session's devices; there it is plain Python that talks to the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from shakeout.devices import addressing, inverse
from shakeout.devices.dispatch import DeviceRemote, ForwardedValue, forward, read_attributes
from shakeout.devices.naming import check_hwaddr, check_name
from shakeout.devices.netlink import GONE, Change, Netlink
from shakeout.errors import DeviceError, UnknownName, did_you_mean
from shakeout.wire.network import Link
from shakeout.wire.undo import UndoEntry

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

    from shakeout.devices.site import Site

    #: What is accepted as an address.
    AnyAddress = str | IPv4Interface | IPv6Interface | IPv4Address | IPv6Address

_OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")


class Creation(Struct, frozen=True):
    """How an unbound device is made on its host: the arguments of its class, and what was set since."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    state: dict[str, Any] = {}


class Device:
    """A network interface of a host; as such, a hardware Ethernet interface.

    Reads ask the kernel; assignments and methods return when the kernel has done it, and are undone
    when the recipe ends. All raise DeviceError, with the kernel's words, if it refuses.

    For a kind of your own, inherit from this class or a kind's: public values in the class or set in
    ``__init__``, properties and methods can all be used from a recipe, and run on the host. ``__init__``
    runs twice: where the recipe constructs the device, and on the host. On the host, methods may use
    ``self._netlink``, ``self._link()`` and, before they change something, ``self._record(entry)``.
    """

    #: Kind of link in the kernel's terms that the class creates; "" creates none.
    _kind = ""

    _site: Site | None = None
    _remote: DeviceRemote | None = None
    _id = 0
    _index = 0
    #: Made by the recipe: removing it undoes everything that was done to it.
    _created = False
    _destroyed = False
    _building = 0
    #: The name in the kernel when it was last known; "m1.eth0" on the controller.
    _label = ""
    _creation = Creation()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Remember the arguments, so that the host can construct the same."""
        device = super().__new__(cls)
        object.__setattr__(device, "_creation", Creation(args, kwargs, {}))
        return device

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make what the class defines reachable from a recipe."""
        super().__init_subclass__(**kwargs)
        forward(cls)

    # --- attributes

    @property
    def if_index(self) -> int:
        """The interface's number on its host."""
        return self._link().index

    @property
    def ifi_type(self) -> int:
        """The hardware type (ARPHRD_): 1 Ethernet, 772 loopback …"""
        return self._link().ifi_type

    @property
    def name(self) -> str:
        """The interface's name on its host; assigning renames it."""
        return self._link().name

    @name.setter
    def name(self, value: str) -> None:
        check_name(value)
        link = self._link()
        if value != link.name:
            what = f"rename {link.name} to {value}"
            self._change(link, Change(name=value), what, partial(inverse.of_name, self._netlink, link, self.netns))
            self._label = value

    @property
    def hwaddr(self) -> str:
        """The hardware address, "52:54:00:00:00:01"; "" if there is none."""
        return self._link().hwaddr

    @hwaddr.setter
    def hwaddr(self, value: str) -> None:
        link = self._link()
        value = check_hwaddr(value, len(link.hwaddr.split(":")))
        if value != link.hwaddr:
            what = f"set the hardware address of {link.name} to {value}"
            undo = partial(inverse.of_hwaddr, self._netlink, link, self.netns)
            self._change(link, Change(hwaddr=value), what, undo)

    @property
    def state(self) -> str:
        """ "UP" or "DOWN": what :meth:`up` and :meth:`down` set; see ``carrier`` and ``operstate``, too."""
        return "UP" if self._link().up else "DOWN"

    @state.setter
    def state(self, value: str) -> None:
        if value.upper() not in ("UP", "DOWN"):
            raise DeviceError(f"state is 'UP' or 'DOWN', not {value!r}")
        self._set_up(value.upper() == "UP")

    @property
    def carrier(self) -> bool:
        """Whether there is a signal: a cable to a live port, a veth's other end that is up."""
        link = self._link()
        return link.up and link.carrier

    @property
    def operstate(self) -> str:
        """The operational state of RFC 2863: "up", "down", "lowerlayerdown", "dormant", "unknown" …"""
        number = self._link().operstate
        return _OPERSTATES[number] if number < len(_OPERSTATES) else str(number)

    @property
    def driver(self) -> str:
        """The driver, as ethtool tells it; "" if it does not."""
        from shakeout.devices.ethtool import driver

        return driver(self._link().name)

    @property
    def mtu(self) -> int:
        """The largest packet in bytes, without the Ethernet header."""
        return self._link().mtu

    @mtu.setter
    def mtu(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31:
            raise DeviceError(f"mtu is a number of bytes, not {value!r}")
        link = self._link()
        if value != link.mtu:
            undo = partial(inverse.of_mtu, self._netlink, link, self.netns, value)
            self._change(link, Change(mtu=value), f"set the mtu of {link.name} to {value}", undo)

    @property
    def ips(self) -> list[IPv4Interface | IPv6Interface]:
        """The IP addresses with their prefixes, in the kernel's order."""
        return addressing.interfaces(self)

    @property
    def master(self) -> Device | None:
        """The bridge, bond … that it is a port of; assign one, or None."""
        index = self._link().master
        return self._local().device(index) if index else None

    @master.setter
    def master(self, value: Device | None) -> None:
        if value is not None and not isinstance(value, Device):
            raise DeviceError(f"a master is a device of the same host or None, not {value!r}")
        link = self._link()
        target = value._link() if value is not None else None
        index = target.index if target else 0
        if index == link.master:
            return
        what = f"make {link.name} a port of {target.name}" if target else f"free {link.name} from its master"
        self._guard(link, what)
        self._record(*self._master_entries(link, value))
        try:
            self._netlink.link_set(link.index, Change(master=index), what)
        except DeviceError:
            if link.master:  # the kernel takes it out of the old one before it looks at the new one
                self._netlink.link_set(link.index, Change(master=link.master))
            raise

    @property
    def link_stats(self) -> dict[str, int]:
        """Counters: rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, rx_dropped …"""
        return self._netlink.link_stats(self._link().index)

    @property
    def kind(self) -> str:
        """The kernel's kind of link: "veth", "bridge" …; "" for hardware."""
        return self._link().kind

    @property
    def netns(self) -> str:
        """The network namespace on the host, "" for the host's own."""
        return self._local().netns

    # --- methods

    def create(self) -> None:
        """Create the interface; hardware is there or not.

        Raises:
            DeviceError: always, for hardware.
        """
        raise DeviceError(f"{self._label or type(self).__name__} is hardware, which cannot be created")

    def destroy(self) -> bool:
        """Remove what was created; hardware, and what was there before the recipe, stays. Returns True."""
        self._local()
        return True

    def remove(self) -> bool:
        """The same as :meth:`destroy`."""
        return self.destroy()

    def up(self) -> None:
        """Set it up."""
        self._set_up(True)

    def down(self) -> None:
        """Set it down. The kernel drops its routes and IPv6 addresses; they come back when this is undone."""
        self._set_up(False)

    def ip_add(self, address: AnyAddress, peer: AnyAddress | None = None, *, nodad: bool = True) -> None:
        """Add an address.

        Args:
            address: "192.0.2.1/24", "2001:db8::1/64" or an object of `ipaddress`; without a prefix, the
                single address (/32, /128), and a warning says so; whoever writes that prefix means it.
            peer: the other end's address, on a point-to-point link.
            nodad: an IPv6 address can be used at once; with False the kernel first takes seconds to
                look for duplicates.

        Raises:
            DeviceError: the address is none, or is there already.
        """
        addressing.add(self, str(address), "" if peer is None else str(peer), nodad=nodad)

    def ip_del(self, address: AnyAddress) -> None:
        """Remove an address; without a prefix, the one with any prefix.

        Raises:
            DeviceError: it has no such address.
        """
        addressing.remove(self, str(address))

    def ip_flush(self) -> None:
        """Remove all addresses but those that the kernel makes itself (IPv6 link-local, advertised)."""
        addressing.flush(self)

    def clear_ips(self) -> None:
        """The same as :meth:`ip_flush`."""
        self.ip_flush()

    # --- for device classes, on the host

    @property
    def _netlink(self) -> Netlink:
        return self._local().netlink

    def _local(self) -> Site:
        """The host's side of this instance.

        Raises:
            DeviceError: the device has not been assigned to a host yet.
        """
        if self._site is None:
            raise DeviceError(
                f"this {type(self).__name__} has not been assigned to a host yet; assign it first: m1.NAME = device"
            )
        return self._site

    def _link(self) -> Link:
        """What the kernel says of the interface now.

        Raises:
            DeviceError: it is gone.
        """
        site = self._local()
        if self._destroyed:
            raise DeviceError(f"{self._label} was destroyed", 19)
        try:
            return site.netlink.link(self._index)
        except DeviceError as error:
            if error.errno in GONE:
                raise DeviceError(f"the interface {self._label} is gone from this host", 19) from None
            raise

    def _record(self, *entries: UndoEntry) -> None:
        """Write undo entries; call it before changing anything."""
        if entries:
            self._local().undo.append(*entries)

    def _guard(self, link: Link, what: str) -> None:
        """Refuse to change the interface that carries the connection."""
        if link.index in self._local().protected:
            raise DeviceError(
                f"refused to {what}: {link.name} carries the connection to this host; use another interface"
            )

    def _change(self, link: Link, change: Change, what: str, undo: Callable[[], list[UndoEntry]]) -> None:
        """Change *link* after recording *undo*, which what the recipe made does not need."""
        self._guard(link, what)
        if not self._created:
            self._record(*undo())
        self._netlink.link_set(link.index, change, what)

    def _set_up(self, up: bool) -> None:
        link = self._link()
        if link.up != up:
            undo = partial(inverse.of_up if up else inverse.of_down, self._netlink, link, self.netns)
            self._change(link, Change(up=up), f"set {link.name} {'up' if up else 'down'}", undo)

    def _master_entries(self, link: Link, new: Device | None) -> list[UndoEntry]:
        """Undo of giving *link* another master: of itself, and of bridges that outlive the recipe."""
        old = self._local().device(link.master) if link.master else None
        lasting = [bridge._link() for bridge in (old, new) if bridge is not None and not bridge._created]
        for bridge in lasting:
            self._guard(bridge, f"change the ports of {bridge.name}")
        if self._created and not lasting:
            return []
        name = old._link().name if old is not None else ""
        passing = old is not None and old._created
        return inverse.of_master(self._netlink, link, self.netns, lasting, name, created=self._created, passing=passing)

    # --- what is the same on both sides

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """All public attributes as (name, value), without those that this kernel does not have."""
        if self._remote is not None:
            return iter(self._remote.items(self._id))
        self._link()
        return iter(read_attributes(self))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        declared = getattr(type(self), name, None)
        if callable(declared) and not isinstance(declared, type):
            raise DeviceError(f"{name} is a method of {type(self).__name__}; call it: {name}(…)")
        if self._remote is not None and not _declared(type(self), name):
            self._remote.set(self._id, name, value)
            return
        object.__setattr__(self, name, value)
        if self._site is None and self._remote is None and not self._building:
            self._creation.state[name] = value

    if not TYPE_CHECKING:  # for mypy a device has the attributes that its class declares

        def __getattr__(self, name: str) -> Any:
            """What the class does not declare: set by ``__init__`` on the host, or nothing at all."""
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            if self._remote is not None:
                try:
                    return self._remote.get(self._id, name)
                except UnknownName as error:
                    raise AttributeError(str(error)) from None
            known = [known for known in dir(self) if not known.startswith("_")]
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{did_you_mean(name, known)}")

    def _made(self) -> Creation:
        """How the host is to make this one."""
        return self._creation

    def _shakeout_ref(self) -> int:
        """The number under which the device travels (see `shakeout.wire.plain`)."""
        if not self._id:
            raise DeviceError(f"{self!r} cannot be sent to a host; assign it to one first: m1.NAME = device")
        return self._id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._label or 'not assigned to a host'}>"

    def __str__(self) -> str:
        return self._label or repr(self)


forward(Device)


def _declared(cls: type, name: str) -> bool:
    return any(isinstance(vars(base).get(name), property | ForwardedValue) for base in cls.__mro__)
