"""Rows of the kernel's network tables, as plain frozen values.

They are what :mod:`shakeout.devices.netlink` reads and writes, and what undo operations carry.
Numbers are the kernel's own (see ``linux/rtnetlink.h``); addresses are text; what we do not need to
understand travels verbatim, so that a row written back is the row that was read.
"""

from __future__ import annotations

from msgspec import Struct

#: "For ever" in the kernel's address lifetimes.
FOREVER = 0xFFFFFFFF


class Link(Struct, frozen=True):
    """One network interface, as ``RTM_NEWLINK`` describes it."""

    index: int
    name: str
    #: ARPHRD_ number: 1 Ethernet, 772 loopback …
    ifi_type: int = 1
    #: IFF_ bits.
    flags: int = 0
    mtu: int = 0
    #: Hardware address as text, "" if the link has none.
    hwaddr: str = ""
    #: "bridge", "veth" …; "" for hardware and loopback.
    kind: str = ""
    #: Index of the bridge, bond … it belongs to; 0 if none.
    master: int = 0
    #: Index of the lower device or veth peer; 0 if none.
    link: int = 0
    #: Namespace id of *link* if that is in another namespace, else -1.
    link_netnsid: int = -1
    #: RFC 2863: 0 unknown, 2 down, 3 lowerlayerdown, 5 dormant, 6 up …
    operstate: int = 0
    carrier: bool = False
    txqlen: int = 0
    group: int = 0
    alias: str = ""
    altnames: tuple[str, ...] = ()
    #: IFLA_INFO_DATA as the kernel sent it: the kind's own options.
    info: bytes = b""

    @property
    def up(self) -> bool:
        """Administratively up (IFF_UP)."""
        return bool(self.flags & 1)


class Address(Struct, frozen=True):
    """One IP address of an interface.

    ``address`` is the local one, without a prefix; ``peer`` is the other end's on a point-to-point
    address, else "". ``valid`` and ``preferred`` are seconds, FOREVER for permanent addresses.
    """

    index: int
    family: int
    address: str
    prefix: int
    peer: str = ""
    broadcast: str = ""
    scope: int = 0
    #: IFA_F_ bits.
    flags: int = 0
    label: str = ""
    metric: int = 0
    proto: int = 0
    valid: int = FOREVER
    preferred: int = FOREVER


class Route(Struct, frozen=True):
    """One route. ``dst`` is "" for the default route; ``verbatim`` are attributes kept as they came."""

    family: int
    dst: str = ""
    dst_len: int = 0
    table: int = 254
    type: int = 1
    scope: int = 0
    protocol: int = 4
    tos: int = 0
    flags: int = 0
    #: Index of the outgoing interface, 0 if the route has none or several.
    index: int = 0
    gateway: str = ""
    prefsrc: str = ""
    priority: int = 0
    verbatim: tuple[tuple[int, bytes], ...] = ()


class Rule(Struct, frozen=True):
    """One policy-routing rule. ``verbatim`` holds all attributes but the priority and the table."""

    family: int
    priority: int = 0
    table: int = 0
    action: int = 1
    src_len: int = 0
    dst_len: int = 0
    tos: int = 0
    flags: int = 0
    verbatim: tuple[tuple[int, bytes], ...] = ()


class Neighbour(Struct, frozen=True):
    """One entry of the neighbour (ARP, ND) or forwarding table."""

    index: int
    family: int
    #: IP address, or the MAC address in a forwarding table (family 7, AF_BRIDGE).
    dst: str
    lladdr: str = ""
    #: NUD_ bits; 0x80 is permanent.
    state: int = 0x80
    #: NTF_ bits.
    flags: int = 0
    vlan: int = 0
    #: Index of the bridge that has the entry, 0 if none.
    master: int = 0


class Qdisc(Struct, frozen=True):
    """One queueing discipline; ``options`` is TCA_OPTIONS verbatim."""

    index: int
    kind: str
    handle: int = 0
    parent: int = 0xFFFFFFFF
    options: bytes = b""
