"""The device process: a session's devices, and the device classes that were shipped for it.

One request, one answer, in order. What a device class does wrong ends at its call; what it breaks here ends with the
session, and the undo log, which only the resident agent replays, does not need it.
"""

from __future__ import annotations

# The module beneath signal, which makes an enum of every number: that costs 0.1 ms after a fork.
import _signal  # type: ignore[import-not-found]
import gc
import os
import socket
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import msgspec

from shakeout.agent.rights import without_rights
from shakeout.agent.telling import tell
from shakeout.agent.undo import UndoLog
from shakeout.devices.base import Device
from shakeout.devices.carrier import links_with
from shakeout.devices.kinds import BUILT_IN
from shakeout.devices.netlink import Netlink
from shakeout.devices.table import DeviceInfo, DeviceTable
from shakeout.errors import DeviceError, LabLacks, ShakeoutError, UnknownName, UsageError
from shakeout.modules import installation
from shakeout.modules.order import SourceRef
from shakeout.modules.shipped import CodeCache, ShippedFinder, mark_agent
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.messages import Answer, DeviceCall, Refusal, SourceText
from shakeout.wire.plain import pack, unpack

#: (module, qualified name, sources as (name, filename, sha256, is_package)); module "" for a class of shakeout's.
ClassSpec = tuple[str, str, tuple[tuple[str, str, str, bool], ...]]

# Made before any fork: making one touches hundreds of pages, each of which is copied in the process that does it.
_decoder = msgspec.msgpack.Decoder(DeviceCall | SourceText)
_encode = msgspec.msgpack.Encoder().encode

_OURS = __file__.rpartition("/agent/")[0] + "/"


class DeviceServer:
    """Carries out device calls."""

    def __init__(self, table: DeviceTable, codes: CodeCache) -> None:
        self._table = table
        self._codes = codes
        self._shipped: dict[str, SourceRef] = {}

    def source(self, message: SourceText) -> None:
        """A source that classes may need."""
        self._codes.add(message.sha256, message.filename, message.text)

    def answer(self, call: DeviceCall) -> Answer | Refusal:
        """Carry out *call*."""
        try:
            value = self._carry_out(call)
            return Answer(call.id, pack((value, self._mentioned(value)), where=f"what {call.name} returned"))
        except DeviceError as error:
            return Refusal(call.id, "device", str(error) + without_rights(error.errno), error.errno)
        except LabLacks as error:
            return Refusal(call.id, "lacks", str(error))
        except UnknownName as error:
            return Refusal(call.id, "missing", str(error))
        except UsageError as error:
            return Refusal(call.id, "usage", str(error))
        except ShakeoutError as error:
            return Refusal(call.id, "error", str(error))
        except Exception as error:  # noqa: BLE001 - a user's class may raise anything
            import traceback

            text = "".join(traceback.format_exception(error.with_traceback(_users_part(error.__traceback__)))[-12:])
            outdated = installation.remedy(error)
            what = f"{type(error).__name__}: {error}" + (f": {outdated}" if outdated else "")
            return Refusal(call.id, "error", what, traceback=text)

    def _carry_out(self, call: DeviceCall) -> Any:
        arguments: Any = unpack(call.payload) if call.payload else ()
        if call.op == "list":
            return [_told(info) for info in self._table.list()]
        if call.op == "adopt":
            return _told(self._table.adopt(call.name))
        if call.op == "create":
            spec, args, kwargs, state, hwaddr = arguments
            cls = self._class(spec)
            return _told(self._table.create(cls, call.name, args, kwargs, state, hwaddr=hwaddr))
        if call.op == "call":
            args, kwargs = arguments
            return self._table.call(call.device, "call", call.name, args, kwargs)
        return self._table.call(call.device, call.op, call.name, arguments)

    def _class(self, spec: ClassSpec) -> type[Device]:
        module, qualname, sources = spec
        if not module:
            return BUILT_IN[qualname]
        references = [SourceRef(*source) for source in sources]
        if any(self._shipped.get(ref.name) != ref for ref in references):
            self._shipped.update({ref.name: ref for ref in references})
            ShippedFinder(references, self._codes).install()
        import importlib

        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
        if not isinstance(found, type) or not issubclass(found, Device):
            raise UsageError(f"{qualname} of {module} is no device class")
        return found

    def _mentioned(self, value: Any) -> dict[int, tuple[str, str]]:
        """Name and class of every device in *value*, so that the controller need not ask."""
        return {device._id: (device._label, type(device).__name__) for device in _devices(value)}


class Post(msgspec.Struct, frozen=True):
    """What a device process serves.

    Attributes:
        undo_log: the file.
        local_address: of this host, for the session's connection; what has it must not change.
        sources: those that have come so far.
    """

    undo_log: str
    local_address: str = ""
    sources: tuple[SourceText, ...] = ()


def fork(channel: socket.socket, post: Post) -> int:
    """Fork the device process, which serves what comes over *channel*; its number.

    From the agent itself and not from its zygote: few hosts need both, and a fork more costs a third of the first call.

    Raises:
        OSError: there is no room for one.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        _leave_the_agent(channel)
        _serve(channel, post)
    except BaseException as error:  # noqa: BLE001 - the edge of a process; who waits for an answer sees its end
        tell(f"the device process has ended: {type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _leave_the_agent(channel: socket.socket) -> None:
    """Become a process of one's own, with nothing of the agent's but *channel* and standard error."""
    gc.freeze()  # what was there stays: looking through it would copy all of it
    _signal.set_wakeup_fd(-1)
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGCHLD):
        _signal.signal(number, _signal.SIG_DFL)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    kept = channel.fileno()
    os.closerange(3, kept)
    os.closerange(kept + 1, 1 << 20)


def _serve(channel: socket.socket, post: Post) -> None:
    """Serve the calls that come over *channel* until it ends."""
    mark_agent()
    netlink = Netlink()
    protected = links_with(netlink, post.local_address) if post.local_address else ()
    table = DeviceTable(netlink, UndoLog(post.undo_log), protected=protected)
    server = DeviceServer(table, CodeCache())
    for source in post.sources:
        server.source(source)
    reader = FrameReader()
    while data := channel.recv(1 << 16):
        for payload in reader.feed(data):
            message = _decoder.decode(payload)
            if isinstance(message, SourceText):
                server.source(message)
            else:
                channel.sendall(frame(_encode(server.answer(message))))
                sys.stdout.flush()


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """*trace* without the way to the user's class; all of it if it does not lead there."""
    step = trace
    while step is not None and step.tb_frame.f_code.co_filename.startswith(_OURS):
        step = step.tb_next
    return step or trace


def _told(info: DeviceInfo) -> tuple[int, str, str, str, str]:
    return (info.id, info.name, info.class_name, info.kind, info.hwaddr)


def _devices(value: Any) -> Iterator[Device]:
    if isinstance(value, Device):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _devices(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _devices(item)
