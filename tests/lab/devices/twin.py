"""A host in this process, with the wire's encoding in between: what a controller and an agent do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from shakeout.agent.snapshot import Snapshot, differences, snapshot
from shakeout.agent.undo import UndoLog, UndoStep, replay
from shakeout.devices.base import Device
from shakeout.devices.binding import bind_remote, creation, make_remote
from shakeout.devices.kinds import BUILT_IN
from shakeout.devices.netlink import Change, Netlink, Peer
from shakeout.devices.references import to_devices, to_references
from shakeout.devices.table import DeviceTable
from shakeout.wire.plain import pack, unpack


class Host:
    """The controller's side: `host.adopt("eth0")`, `host.assign("v0", VethDevice())`."""

    def __init__(self, netlink: Netlink, log: Path, *, protected: Iterable[int] = ()) -> None:
        self.netlink = netlink
        self.log = UndoLog(log)
        self.table = DeviceTable(netlink, self.log, protected=protected)
        self.devices: dict[int, Device] = {}
        self.calls: list[tuple[str, str]] = []

    @classmethod
    def wired(cls, netlink: Netlink, log: Path) -> Host:
        index = netlink.link_add(
            "veth",
            "eth0",
            hwaddr="52:54:00:00:00:01",
            peer=Peer("eth1", hwaddr="52:54:00:00:00:02"),
        )
        for each in (index, netlink.link("eth1").index, 1):
            netlink.link_set(each, Change(up=True))
        return cls(netlink, log)

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.log.close()

    # --- the protocol of devices

    def get(self, device_id: int, name: str) -> Any:
        return self._ask(device_id, "get", name)

    def set(self, device_id: int, name: str, value: Any) -> None:
        self._ask(device_id, "set", name, (value,))

    def call(self, device_id: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._ask(device_id, "call", name, args, kwargs)

    def items(self, device_id: int) -> Iterable[tuple[str, Any]]:
        return [tuple(item) for item in self._ask(device_id, "items")]

    # --- what a recipe does

    def adopt(self, which: str, cls: type[Device] | None = None) -> Any:
        return self._device(self.table.adopt(which, cls).id, cls)

    def assign(self, name: str, device: Device) -> Any:
        made = creation(device)
        args, kwargs, state = unpack(pack(to_references((made.args, made.kwargs, made.state), self)))
        info = self.table.create(type(device), name, args, kwargs, state)
        bind_remote(device, self, info.id, f"m1.{name}")
        self.devices[info.id] = device
        return device

    # --- what a test asks

    def snapshot(self) -> Snapshot:
        return snapshot(self.netlink)

    def undo(self) -> list[UndoStep]:
        return replay(self.log, self.netlink)

    def _ask(
        self,
        device_id: int,
        op: str,
        name: str = "",
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.calls.append((op, name))
        sent = unpack(pack(to_references((args, kwargs or {}), self)))
        answer = self.table.call(device_id, op, name, *sent)
        return to_devices(unpack(pack(answer)), self._device)

    def _device(self, device_id: int, cls: type[Device] | None = None) -> Device:
        if device_id not in self.devices:
            info = self.table.info(device_id)
            kind = cls or BUILT_IN[info.class_name]
            self.devices[device_id] = make_remote(kind, self, device_id, f"m1.{info.name}")
        return self.devices[device_id]


def assert_same(before: Snapshot, after: Snapshot) -> None:
    """Fail with what differs."""
    found = differences(before, after)
    assert not found, "\n".join(found)
    assert before == after
