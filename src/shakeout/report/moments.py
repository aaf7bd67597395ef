"""What happened to a host between its jobs, as marks of the time line name it."""

from __future__ import annotations

from typing import Literal

import msgspec

from shakeout.journal.events import DeviceChanged, FileTransfer, HostLost, Json, Setting
from shakeout.report.text import one_line, scalar

_LONGEST = 120


class Moment(msgspec.Struct, frozen=True):
    """A moment on the controller's clock, and what happened then."""

    t_ns: int
    host: str
    kind: Literal["device", "setting", "file", "lost"]
    text: str


def moment(event: DeviceChanged | FileTransfer | HostLost | Setting) -> Moment:
    """*event* in a few words, harmless."""
    if isinstance(event, HostLost):
        kind, text = "lost", f"host lost: {event.reason or 'the connection ended'}"
    elif isinstance(event, Setting):
        kind, text = "setting", f"{event.path} = {event.value} (was {event.previous})"
    elif isinstance(event, FileTransfer):
        kind, text = "file", f"{event.direction} {event.source} to {event.target}" + _failed(event.error)
    else:
        value = _words(event.value)
        verb = {"create": "created", "destroy": "destroyed"}.get(event.action, event.name or event.action)
        assigned = f"{verb} = {value}" if event.action == "set" else f"{verb} {value}".rstrip()
        kind, text = "device", f"{event.device} {assigned}" + _failed(event.error)
    return Moment(event.t_ns, event.host, kind, one_line(text, _LONGEST))  # type: ignore[arg-type]


def _words(value: Json) -> str:
    if value in (None, [], {}):
        return ""
    return ", ".join(map(_words, value)) if isinstance(value, list) else scalar(value)


def _failed(error: str) -> str:
    return f" failed: {error}" if error else ""
