"""Where a run gets hosts from: the protocol, and the default laboratory in its form.

A *pool manager* knows hosts (the inventory that requirements are matched against), and opens connections to those of
a match. `Controller(pool_manager=…)` takes any object with these methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from shakeout.errors import AgentUnreachable
from shakeout.hosts.unix import connect_unix
from shakeout.labs.mac_pool import MacPool
from shakeout.labs.netns import NetnsLab
from shakeout.labs.orders import PortOrder
from shakeout.matching.inventory import HostEntry, Inventory, Port
from shakeout.matching.mapper import Match
from shakeout.matching.requirements import Requirements
from shakeout.wire.transports import Transport


class Opened(msgspec.Struct, frozen=True):
    """What came of opening connections to the hosts of a match.

    Attributes:
        transports: by id of the required host.
        links: by id of the required host: id of its interface -> name of the link there.
        failures: by *name* of a host that did not answer: why. The others are closed again then.
        addresses: by id of the required host: "unix:PATH", where another terminal can reach its agent.
        lab: the folder of the laboratory that made them; "" if they were there before.
    """

    transports: Mapping[str, Transport] = {}
    links: Mapping[str, Mapping[str, str]] = {}
    failures: Mapping[str, str] = {}
    addresses: Mapping[str, str] = {}
    lab: str = ""


class PoolManager(Protocol):
    """Where a run gets hosts from."""

    #: What messages call it: "netns", or the pools' names.
    name: str

    def inventory(self, requirements: Requirements) -> Inventory:
        """The hosts that there are; a laboratory that makes hosts offers what it would make for *requirements*."""

    def open(self, match: Match) -> Opened:
        """Connect to all hosts of *match*, in parallel; a laboratory makes them now.

        One whose hosts may be somebody else's, so that a run with ``wait=True`` stands in line for them, takes another
        argument, ``without``: ids of required hosts that are connected already and need no transport.
        """

    def release(self) -> None:
        """The part that used them is over: made hosts are removed."""

    def keep(self) -> str:
        """Leave everything as it is when the run ends; how to get rid of it later, in words."""

    def close(self) -> None:
        """The run is over."""


class DefaultLab:
    """Hosts from namespaces of this machine: exactly those that a recipe asks for.

    Args:
        lab: a laboratory that is being made already.
    """

    name = "netns"

    def __init__(self, lab: NetnsLab | None = None) -> None:
        self._lab = lab or NetnsLab()
        self._macs = MacPool()
        self._part = 0
        self._kept = False

    def inventory(self, requirements: Requirements) -> Inventory:
        """One host for each requirement, with a port for each of its interfaces."""
        properties = dict(self._lab.ready().properties)
        self._macs = MacPool()
        return Inventory([self._offer(host_id, req, properties) for host_id, req in requirements])

    def open(self, match: Match) -> Opened:
        """Make the hosts of *match* and connect to them."""
        if self._kept:
            self._lab.remove_hosts()  # those of the last part are kept, not all
        self._part += 1
        orders = {
            entry.name: [
                PortOrder(port.id, f"{self._part}:{port.network or f'{entry.name}.{port.id}'}", port.hwaddr)
                for port in entry.ports
            ]
            for entry in match.hosts.values()
        }
        made = self._lab.make(orders)
        transports: dict[str, Transport] = {}
        failures: dict[str, str] = {}
        for host_id, entry in match.hosts.items():
            try:
                transports[host_id] = connect_unix(made[entry.name].path)
            except AgentUnreachable as error:
                failures[entry.name] = str(error)
        links = {host_id: {dev: port.id for dev, port in ports.items()} for host_id, ports in match.ports.items()}
        addresses = {host_id: f"unix:{made[entry.name].path}" for host_id, entry in match.hosts.items()}
        return Opened(transports, links, failures, addresses, str(self._lab.ready().folder))

    def release(self) -> None:
        """Remove the hosts of the part that is over."""
        if not self._kept:
            self._lab.remove_hosts()

    def keep(self) -> str:
        """Let the laboratory outlive this program."""
        self._kept = True
        self._lab.keep()
        return str(self._lab.ready().folder)

    def close(self) -> None:
        """Remove the laboratory, unless it is kept."""
        if self._kept:
            self._lab.release()
        else:
            self._lab.remove()

    def _offer(self, host_id: str, req: Any, properties: Mapping[str, Any]) -> HostEntry:
        ports = tuple(
            Port(
                link_name(dev_id, number),
                dev.label or f"{host_id}.{dev_id}",
                self._macs.take(),
                {"driver": "veth", "speed": 10000, "kind": "veth"},
            )
            for number, (dev_id, dev) in enumerate(req)
        )
        return HostEntry(host_id, self.name, properties, ports, reserved_for=host_id)


def link_name(device: str, number: int) -> str:
    """The kernel's name for the interface that a recipe calls *device*: the same, if the kernel can."""
    return device if len(device.encode()) <= 15 else f"eth{number}"
