"""What a device needs of the host that it is on."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from shakeout.devices.netlink import Netlink
from shakeout.wire.undo import UndoEntry

if TYPE_CHECKING:
    from shakeout.devices.base import Device


class UndoRecorder(Protocol):
    """Where undo entries go (the agent's undo log)."""

    def append(self, *entries: UndoEntry) -> None:
        """Write entries; when this returns they outlive the process."""


class Site(Protocol):
    """One network namespace of a host, with its devices (:class:`~shakeout.devices.table.DeviceTable`)."""

    @property
    def netlink(self) -> Netlink:
        """The kernel's network configuration."""

    @property
    def undo(self) -> UndoRecorder:
        """Gets the inverse of every change before it is made."""

    @property
    def netns(self) -> str:
        """Name of the namespace, "" for the host's own."""

    @property
    def protected(self) -> Collection[int]:
        """Indexes of interfaces that carry the connection to the controller: they must not change."""

    def device(self, index: int) -> Device | None:
        """The device with this interface index; None if there is none."""
