"""Options of kinds of links (IFLA_INFO_DATA): names and numbers of the built-in kinds.

Other kinds are encoded with pyroute2's tables, which know dozens of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from shakeout.devices.attributes import pack, walk
from shakeout.errors import DeviceError, did_you_mean

OptionValue = int | str | bytes

#: kind -> option -> (attribute number, struct format), from linux/if_link.h. Times of a bridge are in
#: hundredths of a second (USER_HZ).
TABLES: dict[str, dict[str, tuple[int, str]]] = {
    "bridge": {
        "forward_delay": (1, "I"),
        "hello_time": (2, "I"),
        "max_age": (3, "I"),
        "ageing_time": (4, "I"),
        "stp_state": (5, "I"),
        "priority": (6, "H"),
        "vlan_filtering": (7, "B"),
        "vlan_protocol": (8, ">H"),
        "group_fwd_mask": (9, "H"),
        "mcast_router": (22, "B"),
        "mcast_snooping": (23, "B"),
        "mcast_querier": (25, "B"),
        "vlan_default_pvid": (39, "H"),
    },
    "macvlan": {"mode": (1, "I"), "flags": (2, "H")},
    "veth": {},
}
#: The numbers of macvlan's modes.
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16}


def pack_options(kind: str, options: Mapping[str, OptionValue] | bytes) -> bytes:
    """*options* as attributes; bytes are taken to be packed already.

    Raises:
        DeviceError: the kind has no such option, or the value does not fit.
    """
    if isinstance(options, bytes):
        return options
    if not options:
        return b""
    table = TABLES.get(kind)
    if table is None:
        from shakeout.devices.codecs import pack_link_options

        return pack_link_options(kind, options)
    return b"".join(_pack_one(kind, table, name, value) for name, value in options.items())


def _pack_one(kind: str, table: dict[str, tuple[int, str]], name: str, value: OptionValue) -> bytes:
    if name not in table:
        raise DeviceError(f"{kind} devices have no option {name!r}{did_you_mean(name, table)}")
    number, form = table[name]
    if isinstance(value, bytes):
        return pack(number, value)
    try:
        return pack(number, struct.pack(form if form[0] in "<>" else "=" + form, value))
    except struct.error as error:
        raise DeviceError(f"option {name}={value!r} of a {kind}: {error}") from None


def read_options(kind: str, info: bytes) -> dict[str, int]:
    """The options of a built-in *kind* that the kernel reported, by name."""
    found = walk(info)
    options = {}
    for name, (number, form) in TABLES.get(kind, {}).items():
        data = found.get(number)
        if data is not None and len(data) >= struct.calcsize(form):
            options[name] = int(struct.unpack_from(form if form[0] in "<>" else "=" + form, data)[0])
    return options
