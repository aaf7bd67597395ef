"""One controller's session on this host."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from shakeout.agent import settings
from shakeout.agent.answering import answer
from shakeout.agent.device_process import Post
from shakeout.agent.device_relay import DeviceRelay
from shakeout.agent.jobs import JobTable
from shakeout.agent.restorefiles import chosen
from shakeout.agent.transfers import Transfers
from shakeout.agent.undo import UndoLog, replay
from shakeout.modules import digest
from shakeout.wire.connection import Connection
from shakeout.wire.messages import (
    AbandonFiles,
    Credit,
    DeviceCall,
    Ended,
    EndSession,
    FileData,
    GetFiles,
    Inspect,
    JobInput,
    PutFiles,
    ReadService,
    ReadSetting,
    Resize,
    SetService,
    SetSetting,
    Signal,
    SourceText,
    StartJob,
    Sync,
    SyncReply,
)
from shakeout.wire.parts import Step
from shakeout.wire.plain import pack
from shakeout.wire.undo import SysctlSet

if TYPE_CHECKING:
    from shakeout.agent.server import Agent
    from shakeout.agent.services import Services


class Session:
    """Carries out what one connection asks for.

    An *attached* session (another terminal on a host that a run holds) has jobs only, and ends nothing but them.

    Args:
        mark: what all processes of the session's jobs are known by.
        kept: the session of the same run that left the host as it was; its jobs and changes are this one's.
    """

    def __init__(
        self, agent: Agent, connection: Connection, run: str, mark: str, *, attached: bool, kept: Session | None = None
    ) -> None:
        self.run = run
        self.mark = mark
        self._agent = agent
        self._connection = connection
        self._over = False
        self._kept = kept
        send = connection.send
        self._jobs = JobTable(agent.reactor, send, agent.children, agent.forker, agent.environment, mark)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Sync: self._sync,
            StartJob: self._jobs.start,
            JobInput: self._jobs.feed,
            Resize: self._jobs.resize,
            Signal: self._jobs.signal,
            Credit: self._jobs.credit,
        }
        self.attached = attached
        if not attached:
            self._add_control_handlers(agent, connection)

    def _add_control_handlers(self, agent: Agent, connection: Connection) -> None:
        self._undo = UndoLog(agent.undo_path)
        post = Post(str(agent.undo_path), connection.local_address)
        self._devices = DeviceRelay(agent.reactor, agent.children, connection.send, post)
        self._service_desk: Services | None = None
        self._transfers = Transfers(connection, agent.reactor, self._before_files, agent.home)
        self._handlers |= {
            SourceText: self._source,
            DeviceCall: self._devices.call,
            SetSetting: self._set,
            ReadSetting: self._read,
            SetService: lambda order: self._services().set(order),
            ReadService: lambda order: self._services().read(order),
            Inspect: self._inspect,
            PutFiles: self._transfers.put,
            FileData: self._transfers.write,
            GetFiles: self._transfers.get,
            AbandonFiles: self._transfers.forget,
            EndSession: self._end,
        }

    def handle(self, message: msgspec.Struct) -> None:
        """Carry out one message; one that this session has no right to ends the connection."""
        if self._over:
            return  # it came too late
        handler = self._handlers.get(type(message))
        if handler is None:
            self._connection.close(f"a {type(message).__name__} is not for this session")
            return
        handler(message)

    def close(self, why: str) -> None:
        """End everything of this session, whose connection has ended, and put the host back.

        Harmless the second time.
        """
        self._close(why or "the connection ended")

    def _close(self, why: str = "") -> tuple[tuple[Step, ...], tuple[str, ...]]:
        if self._over:
            return (), ()
        self._over = True
        self._agent.forker.settle()
        survivors = self._end_processes()
        if self.attached:
            return (), survivors
        steps = tuple(Step(step.text, step.error) for step in replay(self._undo))
        self._agent.was_put_back(self, why, steps)
        return steps, survivors

    def _end_processes(self) -> tuple[str, ...]:
        """Kill all that runs for this session; the command lines of what had outlived its job."""
        survivors = self._jobs.end_all()
        if not self.attached:
            self._devices.end()
            self._transfers.abandon()
            if self._service_desk is not None:
                self._service_desk.end()
        return survivors + (self._kept._end_processes() if self._kept is not None else ())

    def _end(self, order: EndSession) -> None:
        if order.keep:
            self._over = True
            self._agent.keep()
            self._connection.send(Ended())
            return
        steps, survivors = self._close()
        self._agent.release(self)
        self._connection.send(Ended(steps, survivors))

    def _sync(self, order: Sync) -> None:
        self._connection.send(SyncReply(order.sequence, order.t_ns, time.monotonic_ns()))

    def _source(self, order: SourceText) -> None:
        if digest.sha256(order.text).hexdigest() != order.sha256:
            self._connection.close("a source did not have the hash that it was announced with")
            return
        self._agent.forker.source(order.sha256, order.filename, order.text)
        self._devices.source(order)

    def _set(self, order: SetSetting) -> None:
        def change() -> bytes:
            path = settings.locate(order.path)
            old = settings.read(path)
            undo = SysctlSet(path=path, value=chosen(old))
            settings.write(path, order.value, lambda: self._undo.append(undo))
            return pack(old)

        answer(self._connection, order.id, change)

    def _read(self, order: ReadSetting) -> None:
        answer(self._connection, order.id, lambda: pack(settings.read(order.path)))

    def _inspect(self, order: Inspect) -> None:
        from shakeout.agent.inspection import answer_inspection

        answer_inspection(order.id, self._agent, self._connection)

    def _services(self) -> Services:
        """Made when it is first needed: few recipes do."""
        if self._service_desk is None:
            from shakeout.agent.services import Services

            agent = self._agent
            self._service_desk = Services(agent.reactor, agent.children, self._undo, self._connection.send)
        return self._service_desk

    def _before_files(self, paths: list[str]) -> None:
        """Write how to take back what a transfer is about to make or replace."""
        for path in paths:
            self._undo.append(self._undo.file_entry(path))
        self._undo.sync()


def home_directory() -> str:
    """Where jobs start and relative paths count from: the user's home, or / if there is none."""
    import pwd

    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = "/"
    return home if os.path.isdir(home) and os.access(home, os.X_OK) else "/"  # noqa: PTH112
