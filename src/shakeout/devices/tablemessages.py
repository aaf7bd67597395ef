"""Address, route, rule, neighbour and qdisc messages: bytes to rows and back."""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6

from msgspec import structs

from shakeout.devices.attributes import (
    family_of,
    ip_bytes,
    ip_text,
    mac_bytes,
    mac_text,
    pack,
    pack_text,
    pack_u32,
    pairs,
    text,
    u32,
    walk,
)
from shakeout.errors import DeviceError
from shakeout.wire.network import FOREVER, Address, Neighbour, Qdisc, Route, Rule

NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWRULE, DELRULE, GETRULE = 32, 33, 34
NEWQDISC, DELQDISC, GETQDISC = 36, 37, 38
AF_BRIDGE = 7

_IFADDR = struct.Struct("=BBBBI")
_RT = struct.Struct("=BBBBBBBBI")
_ND = struct.Struct("=BxHiHBB")
_TC = struct.Struct("=BxHiIII")
_CACHEINFO = struct.Struct("=IIII")
_HOP_LENGTH = struct.Struct("=H")

IFA_F_NODAD = 0x2
SCOPE_HOST = 254
#: Flags that a person gives an address (nodad, home, managetempaddr, noprefixroute, mcautojoin);
#: the others report its state.
ADDRESS_FLAGS_GIVEN = 0x2 | 0x10 | 0x100 | 0x200 | 0x400
#: Route attributes that are kept as they came: source, metrics, multipath, flow, mark, via,
#: preference, encapsulation, next-hop object.
_ROUTE_VERBATIM = frozenset((2, 8, 9, 11, 16, 18, 20, 21, 22, 30))
_RTA_NH_ID, _RTA_MULTIPATH = 30, 9
#: Route flags that can be given: onlink, pervasive.
_ONLINK = 0x4
_ROUTE_FLAGS_GIVEN = _ONLINK | 0x2
#: IFAPROT_ values, and IFA_F_ flags of an address made from an advertisement.
_PROTO_LINK_LOCAL, _PROTO_ADVERTISED = 2, 3
_TEMPORARY, _MANAGE_TEMPORARY = 0x1, 0x100
_FRA_PRIORITY, _FRA_TABLE, _FRA_PAD = 6, 15, 18


def query_addresses(index: int, family: int) -> bytes:
    """Body of a request for addresses; 0 means all interfaces or families."""
    return _IFADDR.pack(family, 0, 0, 0, index)


def decode_address(body: bytes) -> Address:
    """The address that a message describes."""
    family, prefix, flags, scope, index = _IFADDR.unpack_from(body)
    found = walk(body, 8)
    get = found.get
    remote = get(1)
    local = get(2, remote)
    cache = get(6)
    preferred, valid = _CACHEINFO.unpack_from(cache)[:2] if cache else (FOREVER, FOREVER)
    return Address(
        index=index,
        family=family,
        address=ip_text(family, local),
        prefix=prefix,
        peer=ip_text(family, remote) if remote != local else "",
        broadcast=ip_text(family, get(4)),
        scope=scope,
        flags=u32(get(8), flags),
        label=text(get(3)),
        metric=u32(get(9)),
        proto=get(11, b"\0")[0],
        valid=valid,
        preferred=preferred,
    )


def encode_address(row: Address) -> bytes:
    """Body of a message that adds or removes *row*."""
    flags = row.flags & ADDRESS_FLAGS_GIVEN
    local = ip_bytes(row.family, row.address)
    parts = [
        _IFADDR.pack(row.family, row.prefix, flags & 0xFF, row.scope, row.index),
        pack(2, local),
        pack(1, ip_bytes(row.family, row.peer) if row.peer else local),
    ]
    if row.broadcast:
        parts.append(pack(4, ip_bytes(row.family, row.broadcast)))
    if row.label:
        parts.append(pack_text(3, row.label))
    if flags:
        parts.append(pack_u32(8, flags))
    if row.metric:
        parts.append(pack_u32(9, row.metric))
    if row.valid != FOREVER or row.preferred != FOREVER:
        parts.append(pack(6, _CACHEINFO.pack(row.preferred, row.valid, 0, 0)))
    return b"".join(parts)


def query_routes(family: int) -> bytes:
    """Body of a request for the routes of *family* in all tables."""
    return _RT.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)


def decode_route(body: bytes) -> Route:
    """The route that a message describes."""
    family, dst_len, _, tos, table, protocol, scope, kind, flags = _RT.unpack_from(body)
    attributes = pairs(body, 12)
    get = dict(attributes).get
    return Route(
        family=family,
        dst=ip_text(family, get(1)),
        dst_len=dst_len,
        table=u32(get(15), table),
        type=kind,
        scope=scope,
        protocol=protocol,
        tos=tos,
        flags=flags & _ROUTE_FLAGS_GIVEN,
        index=u32(get(4)),
        gateway=ip_text(family, get(5)),
        prefsrc=ip_text(family, get(7)),
        priority=u32(get(6)),
        verbatim=tuple(
            (number, _given_hops(data) if number == _RTA_MULTIPATH else data)
            for number, data in attributes
            if number in _ROUTE_VERBATIM
        ),
    )


def _given_hops(data: bytes, add: int = 0) -> bytes:
    """RTA_MULTIPATH without the flags that report a hop's state (dead, linkdown): they cannot be given."""
    hops = bytearray(data)
    offset = 0
    while offset + 8 <= len(hops):
        length = int(_HOP_LENGTH.unpack_from(hops, offset)[0])
        if length < 8:
            break
        hops[offset + 2] = hops[offset + 2] & _ROUTE_FLAGS_GIVEN | add
        offset += (length + 3) & ~3
    return bytes(hops)


def on_link(row: Route) -> Route:
    """*row* for a gateway that no address makes reachable: the kernel is told to take it for reachable."""
    hops = tuple(
        (number, _given_hops(data, _ONLINK) if number == _RTA_MULTIPATH else data) for number, data in row.verbatim
    )
    return structs.replace(row, flags=row.flags | (0 if hops != row.verbatim else _ONLINK), verbatim=hops)


def encode_route(row: Route) -> bytes:
    """Body of a message that adds or removes *row*."""
    table = row.table if row.table < 256 else 0
    numbers = dict(row.verbatim)
    src_len = len(numbers.get(2, b"")) * 8
    fixed = (row.family, row.dst_len, src_len, row.tos, table, row.protocol, row.scope, row.type, row.flags)
    parts = [_RT.pack(*fixed), pack_u32(15, row.table)]
    if row.dst:
        parts.append(pack(1, ip_bytes(row.family, row.dst)))
    if row.priority:
        parts.append(pack_u32(6, row.priority))
    if row.prefsrc:
        parts.append(pack(7, ip_bytes(row.family, row.prefsrc)))
    by_object = _RTA_NH_ID in numbers  # then the kernel reports the hops too, and refuses both together
    if row.index and not by_object and _RTA_MULTIPATH not in numbers:
        parts.append(pack_u32(4, row.index))
        if row.gateway:
            parts.append(pack(5, ip_bytes(row.family, row.gateway)))
    parts.extend(pack(kind, data) for kind, data in row.verbatim if not (by_object and kind in (_RTA_MULTIPATH, 18)))
    return b"".join(parts)


def address_row(index: int, address: str, *, peer: str = "", nodad: bool = False) -> Address:
    """An address to add, from "192.0.2.1/24" (without a prefix: the single address).

    IPv4 addresses get the usual broadcast address, loopback ones host scope, as ``ip address add``
    would give them with ``brd +``; *nodad* leaves out duplicate address detection (IPv6).

    Raises:
        DeviceError: that is no address.
    """
    from ipaddress import ip_interface

    try:
        parsed = ip_interface(address)
        if peer:
            ip_bytes(family_of(str(parsed)), peer)
    except ValueError as error:
        raise DeviceError(f"{address!r} cannot be added: {error}; write it as 192.0.2.1/24") from None
    prefix = parsed.network.prefixlen
    if parsed.version == 6:
        flags = IFA_F_NODAD if nodad else 0
        return Address(index=index, family=AF_INET6, address=str(parsed.ip), prefix=prefix, peer=peer, flags=flags)
    local = parsed.is_loopback
    broadcast = "" if local or peer or prefix > 30 else str(parsed.network.broadcast_address)
    scope = SCOPE_HOST if local else 0
    return Address(
        index=index,
        family=AF_INET,
        address=str(parsed.ip),
        prefix=prefix,
        peer=peer,
        broadcast=broadcast,
        scope=scope,
    )


def is_kernels_address(row: Address) -> bool:
    """Whether the kernel made the address itself: link-local, or from a router's advertisement (IPv6).

    Such addresses come and go with the carrier and with routers, so nobody restores or compares them.
    """
    if row.family != AF_INET6:
        return False
    if row.proto in (_PROTO_LINK_LOCAL, _PROTO_ADVERTISED):
        return True
    # kernels before 5.18 do not say; then these are the marks of an advertised one
    return row.proto == 0 and row.valid != FOREVER and bool(row.flags & (_TEMPORARY | _MANAGE_TEMPORARY))


def route_text(row: Route) -> str:
    """A route as ``ip route`` would begin it."""
    target = f"{row.dst}/{row.dst_len}" if row.dst else "default"
    return f"{target} via {row.gateway}" if row.gateway else target


def is_cached(body: bytes) -> bool:
    """Whether a route message is an entry of the kernel's cache (RTM_F_CLONED), not of a table."""
    return bool(_RT.unpack_from(body)[8] & 0x200)


def decode_rule(body: bytes) -> Rule:
    """The policy rule that a message describes."""
    family, dst_len, src_len, tos, table, _, _, action, flags = _RT.unpack_from(body)
    attributes = pairs(body, 12)
    get = dict(attributes).get
    own = (_FRA_PRIORITY, _FRA_TABLE, _FRA_PAD)
    return Rule(
        family=family,
        priority=u32(get(_FRA_PRIORITY)),
        table=u32(get(_FRA_TABLE), table),
        action=action,
        src_len=src_len,
        dst_len=dst_len,
        tos=tos,
        flags=flags & 0x2,  # inverted; the others report its state
        verbatim=tuple(item for item in attributes if item[0] not in own),
    )


def encode_rule(row: Rule) -> bytes:
    """Body of a message that adds or removes *row*."""
    table = row.table if row.table < 256 else 0
    fixed = (row.family, row.dst_len, row.src_len, row.tos, table, 0, 0, row.action, row.flags)
    parts = [_RT.pack(*fixed), pack_u32(_FRA_PRIORITY, row.priority)]
    if row.table:
        parts.append(pack_u32(_FRA_TABLE, row.table))
    parts.extend(pack(kind, data) for kind, data in row.verbatim)
    return b"".join(parts)


def query_neighbours(family: int) -> bytes:
    """Body of a request for the neighbours of *family* (AF_BRIDGE: forwarding entries)."""
    return _ND.pack(family, 0, 0, 0, 0, 0)


def decode_neighbour(body: bytes) -> Neighbour:
    """The neighbour that a message describes."""
    family, _, index, state, flags, _ = _ND.unpack_from(body)
    found = walk(body, 12)
    bridge = family == AF_BRIDGE
    lladdr = mac_text(found.get(2))
    vlan = int(struct.unpack_from("=H", found[5])[0]) if 5 in found else 0
    return Neighbour(
        index=index,
        family=family,
        dst=lladdr if bridge else ip_text(family, found.get(1)),
        lladdr=lladdr,
        state=state,
        flags=flags,
        vlan=vlan,
        master=u32(found.get(9)),
    )


def encode_neighbour(row: Neighbour) -> bytes:
    """Body of a message that sets or removes *row*."""
    parts = [_ND.pack(row.family, 0, row.index, row.state, row.flags, 0)]
    if row.family in (AF_INET, AF_INET6):
        parts.append(pack(1, ip_bytes(row.family, row.dst)))
    if row.lladdr:
        parts.append(pack(2, mac_bytes(row.lladdr)))
    if row.vlan:
        parts.append(pack(5, struct.pack("=H", row.vlan)))
    return b"".join(parts)


def query_qdiscs(index: int = 0) -> bytes:
    """Body of a request for the qdiscs of a link, or of all."""
    return _TC.pack(0, 0, index, 0, 0, 0)


def decode_qdisc(body: bytes) -> Qdisc:
    """The qdisc that a message describes."""
    _, _, index, handle, parent, _ = _TC.unpack_from(body)
    found = walk(body, 20)
    return Qdisc(index=index, kind=text(found.get(1)), handle=handle, parent=parent, options=found.get(2, b""))


def encode_qdisc(row: Qdisc) -> bytes:
    """Body of a message that sets or removes *row*."""
    body = _TC.pack(0, 0, row.index, row.handle, row.parent, 0)
    if row.kind:
        body += pack_text(1, row.kind)
    return body + pack(2, row.options) if row.options else body
