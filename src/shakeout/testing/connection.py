"""One host, connected without a recipe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType

from shakeout.errors import UndoFailed
from shakeout.hosts.capture import ARTIFACT_LIMIT
from shakeout.hosts.devices import HostDevices
from shakeout.hosts.host import Host
from shakeout.hosts.recorder import NullRecorder, Recorder
from shakeout.hosts.session import Session
from shakeout.wire.messages import Ended
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import Transport


class Connected:
    """A session with one agent; as a context manager it gives the host, and puts it back at the end.

    Args:
        links: what the host's interfaces shall be called -> the names of the links there.
        take_mac: gives hardware addresses for devices that are made.

    Attributes:
        session: the open session.
        host: the host, as a recipe would have it.
        ended: how putting it back went, once it has ended.

    Raises:
        AgentUnreachable, LeaseHeld, VersionMismatch: the agent did not accept.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        reactor: Reactor,
        recorder: Recorder | None = None,
        *,
        links: Mapping[str, str] | None = None,
        run: str = "testing",
        take_mac: Callable[[], str] | None = None,
        artifact_limit: int = ARTIFACT_LIMIT,
    ) -> None:
        self.session = Session(
            name, transport, reactor, recorder or NullRecorder(), run=run, artifact_limit=artifact_limit
        )
        self.ended: Ended | None = None
        self._reactor = reactor
        self.session.begin()
        self.session.welcome()
        self.host = Host(self.session, HostDevices(self.session, links or {}, take_mac))

    def end(self) -> Ended:
        """End what runs, undo everything, release the host; harmless the second time.

        Raises:
            HostLost: the connection broke.
            UndoFailed: it is not as it was; every failed step is named.
        """
        if self.ended is not None:
            return self.ended
        try:
            for job in self.host.jobs:
                job.dismiss()
            self.ended = self.session.end()
        finally:
            self.session.abandon()
        failed = [f"{step.text}: {step.error}" for step in self.ended.steps if step.error]
        if failed:
            raise UndoFailed("; ".join(failed), self.session.name)
        return self.ended

    def abandon(self) -> None:
        """Break the connection, as a controller that vanishes does: the agent puts the host back by itself."""
        closed = threading.Event()
        self.session.abandon()
        self._reactor.call_soon_threadsafe(closed.set)
        closed.wait()
        self.ended = Ended()

    def __enter__(self) -> Host:
        return self.host

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.session.lost is None:
            self.end()
