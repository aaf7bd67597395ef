"""Link messages (``RTM_*LINK``): bytes to :class:`Link` and back."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from msgspec import Struct as Record

from shakeout.devices.attributes import (
    mac_bytes,
    mac_text,
    nest,
    pack,
    pack_text,
    pack_u32,
    pairs,
    text,
    u32,
    walk,
)
from shakeout.devices.linkoptions import OptionValue, pack_options
from shakeout.wire.network import Link

NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWLINKPROP, DELLINKPROP = 108, 109
IFF_UP = 0x1

#: family, pad, ARPHRD type, index, flags, mask of the flags to change
_IFINFO = struct.Struct("=BxHiII")
_ADDRESS, _BROADCAST, _IFNAME, _MTU, _LINK = 1, 2, 3, 4, 5
_MASTER, _TXQLEN, _OPERSTATE, _LINKINFO, _NET_NS_PID, _ALIAS, _STATS64 = 10, 13, 16, 18, 19, 20, 23
_GROUP, _NET_NS_FD, _EXT_MASK, _CARRIER, _LINK_NETNSID, _PROP_LIST, _ALT_IFNAME = 27, 28, 29, 33, 37, 52, 53
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_SKIP_STATS = 1 << 3

#: ``struct rtnl_link_stats64``, in order (linux/if_link.h).
# fmt: off
STATS = (
    "rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors",
    "tx_errors", "rx_dropped", "tx_dropped", "multicast", "collisions",
    "rx_length_errors", "rx_over_errors", "rx_crc_errors", "rx_frame_errors", "rx_fifo_errors",
    "rx_missed_errors", "tx_aborted_errors", "tx_carrier_errors", "tx_fifo_errors", "tx_heartbeat_errors",
    "tx_window_errors", "rx_compressed", "tx_compressed",
)
# fmt: on
_STATS64_FORM = struct.Struct(f"={len(STATS)}Q")


class Change(Record, frozen=True):
    """What to give a link; None leaves a value alone.

    ``master`` 0 takes the link out of its bridge or bond. ``netns_fd`` and ``netns_pid`` move it to
    another namespace. ``options`` are the kind's own, by name or as packed bytes.
    """

    name: str | None = None
    mtu: int | None = None
    hwaddr: str | None = None
    master: int | None = None
    up: bool | None = None
    txqlen: int | None = None
    group: int | None = None
    alias: str | None = None
    netns_fd: int | None = None
    netns_pid: int | None = None
    kind: str = ""
    options: Mapping[str, OptionValue] | bytes = b""


class Peer(Record, frozen=True):
    """The other end of a veth that is to be made; ``netns_fd`` or ``netns_pid`` put it elsewhere.

    It cannot be made "up": the kernel sets it up before it has its other end (ENOTCONN).
    """

    name: str
    hwaddr: str = ""
    mtu: int = 0
    netns_fd: int | None = None
    netns_pid: int | None = None


def head(index: int = 0, flags: int = 0, mask: int = 0) -> bytes:
    """The fixed part of a link message."""
    return _IFINFO.pack(0, 0, index, flags, mask)


def query(which: int | str, *, stats: bool = False) -> bytes:
    """Body of a request for one link, or with 0 for all of them."""
    body = head(which if isinstance(which, int) else 0)
    if isinstance(which, str):
        kind = _IFNAME if len(which) < 16 else _ALT_IFNAME
        body += pack_text(kind, which)
    return body if stats else body + pack_u32(_EXT_MASK, _SKIP_STATS)


def decode(body: bytes) -> Link:
    """The link that a message describes."""
    _, ifi_type, index, flags, _ = _IFINFO.unpack_from(body)
    found = walk(body, 16)
    get = found.get
    kind, info = "", b""
    if _LINKINFO in found:
        linkinfo = walk(found[_LINKINFO])
        kind, info = text(linkinfo.get(_INFO_KIND)), linkinfo.get(_INFO_DATA, b"")
    altnames: tuple[str, ...] = ()
    if _PROP_LIST in found:
        altnames = tuple(text(value) for key, value in pairs(found[_PROP_LIST]) if key == _ALT_IFNAME)
    return Link(
        index=index,
        name=text(get(_IFNAME)),
        ifi_type=ifi_type,
        flags=flags,
        mtu=u32(get(_MTU)),
        hwaddr=mac_text(get(_ADDRESS)),
        kind=kind,
        master=u32(get(_MASTER)),
        link=u32(get(_LINK)),
        link_netnsid=_signed(get(_LINK_NETNSID)),
        operstate=get(_OPERSTATE, b"\0")[0],
        carrier=get(_CARRIER, b"\0")[0] != 0,
        txqlen=u32(get(_TXQLEN)),
        group=u32(get(_GROUP)),
        alias=text(get(_ALIAS)),
        altnames=altnames,
        info=info,
    )


def decode_stats(body: bytes) -> dict[str, int]:
    """The counters in a message, by the kernel's names; empty if it has none."""
    data = walk(body, 16).get(_STATS64, b"")
    if len(data) < _STATS64_FORM.size:
        return {}
    return dict(zip(STATS, _STATS64_FORM.unpack_from(data), strict=True))


def encode_change(index: int, change: Change, *, create: bool = False) -> bytes:
    """Body of a message that gives link *index* the values of *change* (or creates such a link)."""
    flags = IFF_UP if change.up else 0
    mask = 0 if change.up is None else IFF_UP
    parts = [head(index, flags, mask)]
    if change.name is not None:
        parts.append(pack_text(_IFNAME, change.name))
    if change.mtu is not None:
        parts.append(pack_u32(_MTU, change.mtu))
    if change.hwaddr is not None:
        parts.append(pack(_ADDRESS, mac_bytes(change.hwaddr)))
    if change.master is not None:
        parts.append(pack_u32(_MASTER, change.master))
    if change.txqlen is not None:
        parts.append(pack_u32(_TXQLEN, change.txqlen))
    if change.group is not None:
        parts.append(pack_u32(_GROUP, change.group))
    if change.alias is not None:
        parts.append(pack_text(_ALIAS, change.alias) if change.alias else pack(_ALIAS, b""))
    if change.netns_fd is not None:
        parts.append(pack_u32(_NET_NS_FD, change.netns_fd))
    if change.netns_pid is not None:
        parts.append(pack_u32(_NET_NS_PID, change.netns_pid))
    if change.kind and (create or change.options):
        parts.append(_linkinfo(change.kind, pack_options(change.kind, change.options)))
    return b"".join(parts)


def encode_new(change: Change, *, link: int = 0, peer: Peer | None = None, index: int = 0) -> bytes:
    """Body of a message that creates a link on top of *link*, or a veth with *peer*."""
    if peer is not None:
        other = Change(
            name=peer.name,
            hwaddr=peer.hwaddr or None,
            mtu=peer.mtu or None,
            netns_fd=peer.netns_fd,
            netns_pid=peer.netns_pid,
        )
        body = encode_change(index, change)
        return body + _linkinfo(change.kind, nest(_VETH_PEER, encode_change(0, other)))
    body = encode_change(index, change, create=True)
    return body + pack_u32(_LINK, link) if link else body


def encode_altname(index: int, name: str) -> bytes:
    """Body of a message that adds or removes an alternative name."""
    return head(index) + nest(_PROP_LIST, pack_text(_ALT_IFNAME, name))


def _linkinfo(kind: str, data: bytes) -> bytes:
    parts = [pack_text(_INFO_KIND, kind)]
    if data:
        parts.append(nest(_INFO_DATA, data))
    return nest(_LINKINFO, *parts)


def _signed(data: bytes | None) -> int:
    return int(struct.unpack_from("=i", data)[0]) if data else -1
