"""What a controller and the spawner of its namespace laboratory say to each other."""

from __future__ import annotations

import msgspec

from shakeout.agent.properties import Value


class PortOrder(msgspec.Struct, frozen=True, array_like=True):
    """A network port of a host: the link *name* there, on *network*."""

    name: str
    network: str
    hwaddr: str


class MakeHost(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Make a host with these ports."""

    name: str
    ports: tuple[PortOrder, ...] = ()


class RemoveHosts(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Remove all hosts and networks; the laboratory stays."""


class KeepLab(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Do not remove the laboratory when this connection ends."""


class RemoveLab(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Remove everything now."""


class LabReady(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The laboratory stands; *properties* are those of all its hosts, but for their names."""

    folder: str
    properties: dict[str, Value]
    privileged: bool


class LabFailed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """No laboratory can be made here, and why."""

    text: str


class HostReady(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A host's agent accepts connections on the unix socket *path*."""

    name: str
    path: str
    pid: int


class HostsRemoved(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """All hosts are gone."""


class HostFailed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A host could not be made, and why."""

    name: str
    text: str


Orders = MakeHost | RemoveHosts | KeepLab | RemoveLab
Reports = LabReady | LabFailed | HostReady | HostFailed | HostsRemoved
