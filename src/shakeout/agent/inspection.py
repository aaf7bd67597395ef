"""What this host has and whom it sees: its interfaces, their link-layer neighbours, the switches that LLDP knows.

A pool's file is written from it (`shakeout pool add`): which interfaces could be tested with, and which of them are
probably on one network.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from shakeout.agent.children import Children
from shakeout.agent.program import Outcome, Program, find
from shakeout.devices.carrier import links_with
from shakeout.devices.netlink import Netlink
from shakeout.errors import ShakeoutError
from shakeout.wire.messages import Answer, Refusal
from shakeout.wire.network import Address, Link
from shakeout.wire.plain import pack
from shakeout.wire.reactor import Reactor

if TYPE_CHECKING:
    from shakeout.agent.server import Agent
    from shakeout.wire.connection import Connection

#: ARPHRD_ETHER and ARPHRD_INFINIBAND: what has a hardware address and can be on a network with others.
_NETWORK_TYPES = (1, 32)
_LOOPBACK = 772
#: NUD_REACHABLE, STALE, DELAY, PROBE and PERMANENT: somebody is, or was, there.
_SEEN = 0x02 | 0x04 | 0x08 | 0x10 | 0x80
#: Neighbours of one interface that are told.
_MOST_NEIGHBOURS = 256
#: Seconds that lldpcli has.
_LLDP_PATIENCE = 5.0
#: Addresses that nobody has (reserved by RFC 1112 and RFC 4291): whichever way these go is the default route's.
_ELSEWHERE = ((socket.AF_INET, "240.0.0.1"), (socket.AF_INET6, "4000::1"))


def inspect(local_address: str = "") -> dict[str, Any]:
    """What the kernel says, as plain data::

        {"hostname": "dut1", "arch": "x86_64",
         "interfaces": [{"name": "eth1", "hwaddr": "52:54:00:00:00:11", "kind": "", "physical": True,
                         "candidate": True, "driver": "mlx5_core", "bus": "0000:03:00.0", "speed": 25000,
                         "mtu": 1500, "up": True, "carrier": True, "master": "", "addresses": ["192.0.2.1/24"],
                         "default_route": False, "connection": False}, …],
         "neighbours": {"eth1": [{"hwaddr": "52:54:00:00:00:21", "address": "192.0.2.2"}]}}

    *kind* is the kernel's word for a virtual interface ("bridge", "veth" …; "loopback"), "" for others. *speed* is in
    Mbit/s, None if it is unknown. *connection*: it carries *local_address*, or is a part of what does. *candidate*: it
    can be tested with, as far as can be seen: a network card (in a container, the cable that leads out of it) that
    neither carries the connection nor the default route and is no part of a bridge or bond.

    Args:
        local_address: the address of this host that the asker is connected to.

    Raises:
        DeviceError: the kernel refuses to tell.
    """
    with Netlink() as netlink:
        links = netlink.links()
        addresses = netlink.addresses()
        carriers = links_with(netlink, local_address) if local_address else frozenset()
        names = {link.index: link.name for link in links}
        neighbours = _neighbours((row.index, row.lladdr, row.dst, row.state) for row in netlink.neighbours())
    defaults = _default_addresses()
    described = [_interface(link, names, addresses, defaults, carriers) for link in links]
    _choose(described, links)
    uname = os.uname()
    return {
        "hostname": uname.nodename,
        "arch": uname.machine,
        "interfaces": described,
        "neighbours": {names[index]: rows for index, rows in neighbours.items() if index in names},
    }


def begin_inspection(
    reactor: Reactor, children: Children, local_address: str, on_done: Callable[[dict[str, Any]], None]
) -> Program | None:
    """As `inspect`, with "lldp" added where lldpd is there to ask; *on_done* is called with it, maybe at once.

    Returns:
        the program that is still asked.

    Raises:
        DeviceError: the kernel refuses to tell.
    """
    told = inspect(local_address)

    def asked(outcome: Outcome) -> None:
        on_done({**told, "lldp": lldp_neighbours(outcome.output) if outcome.status == 0 else []})

    if find("lldpcli") is None:
        on_done({**told, "lldp": []})
        return None
    return Program(reactor, children, ("lldpcli", "-f", "json0", "show", "neighbors"), _LLDP_PATIENCE, asked)


def answer_inspection(request: int, agent: Agent, connection: Connection) -> Program | None:
    """Inspect the host and send the answer; the program that is still asked, to be killed if nobody wants it."""

    def done(told: dict[str, Any]) -> None:
        connection.send(Answer(request, pack(told)))

    try:
        return begin_inspection(agent.reactor, agent.children, connection.local_address, done)
    except ShakeoutError as error:
        connection.send(Refusal(request, "error", str(error)))
        return None


def lldp_neighbours(output: str) -> list[dict[str, str]]:
    """What ``lldpcli -f json0 show neighbors`` says: for each neighbour interface, system, chassis, port and port_text.

    *interface* is ours; *system* and *port* (its id) are the switch's. What is not as it should be is left out.
    """
    try:
        told = msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return []
    found = []
    for group in _rows(told, "lldp"):
        for row in _rows(group, "interface"):
            chassis, port = next(iter(_rows(row, "chassis")), {}), next(iter(_rows(row, "port")), {})
            found.append(
                {
                    "interface": str(row.get("name", "")),
                    "system": _value(chassis, "name"),
                    "chassis": _value(chassis, "id"),
                    "port": _value(port, "id"),
                    "port_text": _value(port, "descr"),
                }
            )
    return found


def _rows(told: Any, name: str) -> list[dict[str, Any]]:
    rows = told.get(name) if isinstance(told, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _value(told: dict[str, Any], name: str) -> str:
    return next((str(row.get("value", "")) for row in _rows(told, name)), "")


def _interface(
    link: Link, names: dict[int, str], addresses: Iterable[Address], defaults: frozenset[str], carriers: frozenset[int]
) -> dict[str, Any]:
    own = [row for row in addresses if row.index == link.index]
    device = f"/sys/class/net/{link.name}/device"
    return {
        "name": link.name,
        "hwaddr": link.hwaddr,
        "kind": "loopback" if link.ifi_type == _LOOPBACK else link.kind,
        "physical": not link.kind and os.path.exists(device),  # noqa: PTH110
        "driver": _leads_to(f"{device}/driver"),
        "bus": _leads_to(device),
        "speed": _speed(link.name),
        "mtu": link.mtu,
        "up": link.up,
        "carrier": link.carrier,
        "master": names.get(link.master, ""),
        "addresses": [f"{row.address}/{row.prefix}" for row in own],
        "default_route": any(row.address in defaults for row in own),
        "connection": link.index in carriers,
    }


def _choose(interfaces: list[dict[str, Any]], links: list[Link]) -> None:
    """Say of each whether it can be tested with."""
    container = not any(one["physical"] for one in interfaces)
    for one, link in zip(interfaces, links, strict=True):
        cable_out = link.kind == "veth" and link.link_netnsid >= 0
        fits = link.ifi_type in _NETWORK_TYPES and (one["physical"] or (container and cable_out))
        taken = one["connection"] or one["default_route"] or one["master"]
        one["candidate"] = bool(fits and not taken)


def _neighbours(rows: Iterable[tuple[int, str, str, int]]) -> dict[int, list[dict[str, str]]]:
    found: dict[int, list[dict[str, str]]] = {}
    for index, hwaddr, address, state in rows:
        # groups are nobody in particular
        if not state & _SEEN or not hwaddr.strip("0:") or int(hwaddr[:2], 16) & 1:
            continue
        mine = found.setdefault(index, [])
        if len(mine) < _MOST_NEIGHBOURS:
            mine.append({"hwaddr": hwaddr, "address": address})
    return found


def _default_addresses() -> frozenset[str]:
    """The host's addresses that packets to elsewhere get: no packet is sent, and no table of routes read."""
    found = []
    for family, elsewhere in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return frozenset(found)


def _speed(name: str) -> int | None:
    try:
        with open(f"/sys/class/net/{name}/speed", encoding="ascii") as file:  # noqa: PTH123
            speed = int(file.read())
    except (OSError, ValueError):
        return None
    return speed if speed > 0 else None


def _leads_to(path: str) -> str:
    try:
        return os.path.basename(os.readlink(path))  # noqa: PTH115, PTH119
    except OSError:
        return ""
