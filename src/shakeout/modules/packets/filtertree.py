"""What a filter says, reduced to a few kinds of tests of one packet and the three ways to combine them.

Everything that the language has (hosts, networks, ports, addresses) is one of these tests or several together, so that
the compiler has little to know and what it makes can be checked.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Relation: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]

#: Protocols within IPv4 and IPv6, by the names that filters have for them. (IANA, "Protocol Numbers")
PROTOCOLS: Final = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
#: Protocols within Ethernet. (IANA, "IEEE 802 Numbers")
ETHER_TYPES: Final = {"ip": 0x0800, "arp": 0x0806, "rarp": 0x8035, "ip6": 0x86DD}
#: Those that are in one IP version only, and in which.
ONLY_IN: Final = {"icmp": 4, "igmp": 4, "icmp6": 6}

Base: TypeAlias = Literal["ether", "ip", "ip6", "arp", "rarp", "icmp", "icmp6", "igmp", "tcp", "udp", "sctp"]


class EtherType(msgspec.Struct, frozen=True):
    """What the Ethernet frame carries, behind its VLAN tags."""

    number: int


class IpProtocol(msgspec.Struct, frozen=True):
    """What the IP packet carries.

    Attributes:
        family: 4 or 6; 0: either.
    """

    number: int
    family: int = 0


class Vlan(msgspec.Struct, frozen=True):
    """A VLAN tag.

    Attributes:
        number: its VLAN; None: any.
    """

    number: int | None = None


class Size(msgspec.Struct, frozen=True):
    """The length of the frame in bytes, without a checksum."""

    relation: Relation
    number: int


class Field(msgspec.Struct, frozen=True):
    """A number in a header; false where there is no such header (or only a later fragment of its packet).

    Attributes:
        base: the header that it is in.
        offset: bytes from the header's beginning.
        width: 1, 2 or 4 bytes, most significant first.
        mask: is applied to the number.
    """

    base: Base
    offset: int
    width: int
    relation: Relation
    number: int
    mask: int = 0xFFFFFFFF


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    part: Node


class All(msgspec.Struct, frozen=True):
    """All of several."""

    parts: tuple[Node, ...]


class Any(msgspec.Struct, frozen=True):
    """At least one of several."""

    parts: tuple[Node, ...]


Leaf: TypeAlias = EtherType | IpProtocol | Vlan | Size | Field
Node: TypeAlias = Leaf | Not | All | Any


def both(left: Node, right: Node) -> Node:
    """*left* and *right*, flat where it can be."""
    return All((*(left.parts if type(left) is All else (left,)), right))


def either(left: Node, right: Node) -> Node:
    """*left* or *right*, flat where it can be."""
    return Any((*(left.parts if type(left) is Any else (left,)), right))
