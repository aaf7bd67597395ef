"""A session: one controller's hold on one host, over one connection."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

import shakeout
from shakeout.errors import AgentUnreachable, HostLost, ProtocolError
from shakeout.hosts.capture import ARTIFACT_LIMIT, Capture
from shakeout.hosts.ending import finished_event
from shakeout.hosts.job import Job
from shakeout.hosts.joblist import JobList
from shakeout.hosts.measurements import Measurements
from shakeout.hosts.owner import own_name
from shakeout.hosts.pulse import Pulse
from shakeout.hosts.recorder import NullRecorder, Recorder
from shakeout.hosts.refusals import refused_error
from shakeout.hosts.requests import Request, Requests
from shakeout.hosts.waiter import Waiter
from shakeout.journal.events import HostLost as HostLostEvent
from shakeout.journal.events import JobStarted
from shakeout.wire.connection import Connection
from shakeout.wire.harmless import harmless
from shakeout.wire.messages import (
    PROTOCOLS,
    Answer,
    Credit,
    Ended,
    EndSession,
    FileData,
    Hello,
    JobDone,
    Listing,
    Output,
    Queued,
    Refusal,
    Refused,
    SourceText,
    StartJob,
    SyncReply,
    Welcome,
    controller_decoder,
)  # fmt: skip
from shakeout.wire.messages import JobStarted as JobStartedMessage
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import Transport
from shakeout.wire.undisturbed import undisturbed

if TYPE_CHECKING:
    from shakeout.modules.source import Source

#: Seconds that an agent has to answer Hello.
OPEN_TIMEOUT = 10.0
#: No output that is longer is taken as a whole into memory (to be parsed).
LONGEST_WHOLE = 64 << 20
#: Seconds that putting a host back may take.
END_TIMEOUT = 120.0

_ANSWERS = frozenset((Answer, Refusal, Listing, FileData))


class Session:
    """Opened with `connect` (for several hosts at once: `begin` all, then `welcome` each).

    Attributes:
        name: what the recipe calls the host.
        props: the host's properties, as its agent said them.
        lost: why the connection ended in mid-session; None while it stands, or after an orderly end.
        not_kept: what could not be stored (a full disk), and why; "" if everything could.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        reactor: Reactor,
        recorder: Recorder | None = None,
        *,
        run: str = "",
        artifact_limit: int = ARTIFACT_LIMIT,
    ) -> None:
        self.name = name
        self.recorder = recorder or NullRecorder()
        self.run = run
        self.props: dict[str, Any] = {}
        self.lease = ""
        self.lost: str | None = None
        self._artifact_limit = artifact_limit
        self._reactor = reactor
        self.jobs = JobList()
        self.not_kept = ""
        self._requests = Requests(name)
        self._sent: set[str] = set()
        self._opened: Waiter[Welcome] = Waiter()
        self._ended: Waiter[Ended] = Waiter()
        self._gone: Waiter[bool] = Waiter()
        self._closing = False
        self._keeps = False
        self._closed = False
        #: The place in line, while it stands there.
        self.queued: Queued | None = None
        self._on_news: Callable[[], None] | None = None
        self._connection = Connection(transport, reactor, controller_decoder(), self._message, self._lost)
        self._pulse = Pulse(name, self._connection, reactor, self.recorder, lambda: not (self._closed or self._closing))

    # -- opening and closing --------------------------------------------------------------------------

    def begin(
        self,
        role: Literal["control", "attach"] = "control",
        *,
        wait: bool = False,
        on_news: Callable[[], None] | None = None,
    ) -> None:
        """Say Hello; `welcome` waits for the answer.

        Args:
            wait: stand in line for a host that is held (`queued` says where).
            on_news: called, in the loop's thread, when the place has changed, and when the session is open or will not
                be (`answered`).
        """
        controller = f"{socket.gethostname()}:{os.getpid()} run {self.run}"
        self._on_news = on_news
        self._hello_ns = time.monotonic_ns()
        hello = Hello(PROTOCOLS, controller, self.run, role, shakeout.__version__, own_name(), wait)
        self._connection.send(hello)

    def become(self, name: str, recorder: Recorder) -> None:
        """From now on it belongs to the host that the recipe calls *name*; for sessions that were waited for."""
        self.name, self.recorder = name, recorder
        self._requests.host = name
        self._reactor.call_soon_threadsafe(lambda: self._pulse.become(name, recorder))

    @property
    def answered(self) -> bool:
        """Whether it is known that the session is open, or why it will not be: then `welcome` returns at once."""
        return self._opened.done

    def welcome(self, timeout: float = OPEN_TIMEOUT) -> None:
        """Wait until the session is open.

        Raises:
            AgentUnreachable: no answer within *timeout* seconds.
            LeaseHeld: another controller has the host.
            HostReserved: it is kept for somebody else.
            VersionMismatch: the agent is of another release.
        """
        if not self._opened.wait(timeout):
            self.abandon()
            raise AgentUnreachable(f"its agent did not answer within {timeout:g} s", self.name)
        welcome = harmless(self._opened.get())
        self.props, self.lease, self.boot_id = dict(welcome.props), welcome.lease, welcome.boot_id

    def end(self, *, keep: bool = False, timeout: float = END_TIMEOUT) -> Ended:
        """End the session in order: jobs ended, everything undone (unless *keep*), host released.

        Raises:
            HostLost: the connection broke; the agent undoes on its own, but nobody can say how that went.
        """
        self.begin_end(keep=keep)
        return self.finish_end(timeout)

    def begin_end(self, *, keep: bool = False) -> None:
        """Ask for the end; `finish_end` waits for it."""
        self._closing = True
        self._keeps = keep
        self._connection.send(EndSession(keep))

    def finish_end(self, timeout: float = END_TIMEOUT) -> Ended:
        """Wait for the end that was asked for."""
        if not self._ended.wait(timeout):
            self.abandon()
            raise HostLost(f"putting it back took longer than {timeout:g} s", self.name)
        try:
            return self._ended.get()
        finally:
            self.leave()

    def abandon(self) -> None:
        """Close the connection; the agent then ends the session by itself."""
        self._closing = True
        self._reactor.call_soon_threadsafe(self._connection.close)

    def leave(self) -> None:
        """Close the connection and wait until that has been noted: all jobs have ended when this returns."""
        self.abandon()
        self._gone.wait(1.0)

    def let_go(self) -> None:
        """In a forked child: the session is the parent's alone."""
        self._closing = self._closed = True
        self._connection.let_go()
        self._ended.fail(HostLost("a forked child has no part in the session", self.name))

    # -- jobs -----------------------------------------------------------------------------------------

    def start(self, job: Job, order: StartJob, event: JobStarted) -> None:
        """Start *job*, numbered by `JobList.next_number`."""
        if self.lost is not None:
            raise HostLost(self.lost, self.name)
        if self._closing:
            raise HostLost("the host is being restored, nothing can be started on it any more", self.name)
        with undisturbed:
            self.recorder.write(event)
            self.jobs.add(job)
            self._connection.send(order)
        if self._closed:
            job.lost(self.lost or "")

    def capture(self, number: int, name: str) -> Capture:
        """Where one stream of a job goes."""
        return Capture(lambda: self.recorder.artifact(f"{self.name}-job{number}-{name}.txt"), self._artifact_limit)

    def measurements(self, number: int) -> Measurements:
        """Where the samples of a job go."""
        return Measurements(self.name, number, self.recorder, lambda: self._pulse.offset_ns, self._artifact_limit)

    def whole_output(self, capture: Capture) -> bytes:
        """All of a stream, from its artifact if that is where it is.

        Raises:
            ValueError: it is not whole any more.
        """
        value = capture.value()
        if capture.size == len(value):
            return value
        path = getattr(self.recorder, "artifact_path", lambda _: None)(capture.artifact)
        if path is None or capture.truncated_at or capture.size > LONGEST_WHOLE:
            raise ValueError(f"only {len(value)} of its {capture.size} bytes are at hand")
        try:
            return bytes(path.read_bytes())
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error

    def job_finished(self, job: Job, *, survived: bool) -> None:
        """Record the end of a job; if it has *survived*, processes of it still write."""
        self.jobs.ended(job, survived=survived)
        out, err = (job.captured(stream) for stream in (1, 2))
        if why := out.trouble or err.trouble:
            self.not_kept = self.not_kept or f"what job {job.id} on {self.name} printed is not kept whole: {why}"
        if job.measurements is not None and (why := job.measurements.trouble):
            self.not_kept = self.not_kept or f"what job {job.id} on {self.name} measured is not kept whole: {why}"
        self.recorder.write(finished_event(job, self.name))

    def send(self, message: msgspec.Struct, fds: tuple[int, ...] = ()) -> None:
        """Send a message that needs no answer."""
        self._connection.send(message, fds)

    def ship(self, sources: tuple[Source, ...]) -> None:
        """Send the sources that this host does not have yet."""
        for source in sources:
            if source.sha256 not in self._sent:
                self._sent.add(source.sha256)
                self._connection.send(SourceText(source.sha256, source.filename, source.text))

    # -- requests -------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, in order or not."""
        return self._closed

    @property
    def passes_fds(self) -> bool:
        """Whether files can be handed over as descriptors."""
        return self._connection.passes_fds

    def open_request(self) -> tuple[int, Request]:
        """A number for a request, and where its answer will be."""
        if self.lost is not None:
            raise HostLost(self.lost, self.name)
        number, request = self._requests.open()
        if self._closed:
            request.fail(self._loss())
        return number, request

    def close_request(self, number: int) -> None:
        """Nobody waits for the answer any more."""
        self._requests.close(number)

    def ask(self, message: Callable[[int], msgspec.Struct], timeout: float | None = None) -> bytes:
        """Send *message(number)* and wait for its answer: packed data.

        Raises:
            ShakeoutError: as the agent's refusal says, or HostLost.
        """
        number, request = self.open_request()
        try:
            self._connection.send(message(number))
            if not request.answer.wait(timeout):
                raise HostLost(f"it did not answer within {timeout:g} s", self.name)
            return request.answer.get().payload
        finally:
            self.close_request(number)

    def wait_drained(self, timeout: float = 60.0) -> None:
        """Wait until the other side has taken what was sent."""
        if not self._connection.backlog:
            return
        drained: Waiter[bool] = Waiter()
        self._connection.when_drained(lambda: drained.set(True))
        if not drained.wait(timeout):
            raise HostLost(f"it took no data for {timeout:g} s", self.name)
        if self._closed:
            raise HostLost(self.lost or "its connection ended", self.name)

    # -- what comes (in the loop's thread) ------------------------------------------------------------

    def _message(self, message: Any) -> None:
        kind = type(message)
        if kind is Output:
            job = self.jobs.find(message.id)
            if job is None:  # what it left behind still writes, and nobody wants to know
                self._connection.send(Credit(message.id, message.stream, len(message.data)))
            else:
                job.took(message.stream, message.data)
        elif kind is JobDone:
            job = self.jobs.find(message.id)
            if job is not None and not job.finished:
                job.ended(message)
        elif kind is JobStartedMessage:
            job = self.jobs.find(message.id)
            if job is not None:
                job.pid = message.pid
        elif kind in _ANSWERS:
            self._requests.answered(message)
        else:
            self._rare(message)

    def _rare(self, message: Any) -> None:
        if isinstance(message, SyncReply):
            self._pulse.answered(message)
        elif isinstance(message, Credit):
            job = self.jobs.find(message.id)
            if job is not None:
                job.input_taken(message.size)
        elif isinstance(message, Welcome):
            if self._opened.done or not PROTOCOLS[0] <= message.version <= PROTOCOLS[1]:
                raise ProtocolError(f"a Welcome to protocol {message.version} came, which nobody had asked for")
            if self.queued is not None:  # nobody knows how long that was under way: only the next look is one
                self._hello_ns = time.monotonic_ns()
            self._pulse.begin(self._hello_ns, message.host_ns)
            self._opened.set(message)
            self._tell()
        elif isinstance(message, Queued):
            if self._opened.done:
                raise ProtocolError("a place in line came, though the session is open")
            self._pulse.start()
            self.queued = harmless(message)
            self._tell()
        elif isinstance(message, Refused):
            if self._opened.done:
                raise ProtocolError("the session was refused when it had long begun")
            self.abandon()
            self._opened.fail(refused_error(message, self.name))
            self._tell()
        elif isinstance(message, Ended):
            if not self._closing:
                raise ProtocolError("the session was ended when nobody had asked for it")
            self._ended.set(harmless(message))

    def take_fd(self) -> int:
        """The descriptor that came with the message being handled."""
        return self._connection.take_fd()

    def _lost(self, reason: str) -> None:
        self._closed = True
        if not self._closing:
            self.lost = reason or "its agent ended the connection"
            self.recorder.write(HostLostEvent(host=self.name, reason=self.lost))
        self._opened.fail(AgentUnreachable(reason or "its agent ended the connection", self.name))
        self._tell()
        self._ended.fail(HostLost(reason or "its agent ended the connection", self.name))
        for job in self.jobs.open():
            if self._keeps and not reason:
                job.left()
            else:
                job.lost(reason)
            for stream in (1, 2):
                job.captured(stream).end()
        self._requests.fail_all(self._loss)
        self._gone.set(True)

    def _tell(self) -> None:
        if self._on_news is not None:
            self._on_news()

    def _loss(self) -> HostLost:
        return HostLost(self.lost or "its connection ended", self.name)
