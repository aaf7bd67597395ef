"""Another terminal on a host that a run holds: one process there, its standard streams here.

Runs in the caller's thread, with a reactor of its own; nothing is written to the run's journal.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any

import msgspec

import shakeout
from shakeout.errors import AgentUnreachable, HostLost, UsageError
from shakeout.hosts.pulse import SYNC_EVERY
from shakeout.hosts.refusals import refused_error
from shakeout.wire.connection import Connection
from shakeout.wire.framing import CHUNK
from shakeout.wire.messages import (
    PROTOCOLS,
    STDERR,
    STDOUT,
    WINDOW,
    Credit,
    Hello,
    JobDone,
    JobInput,
    Output,
    Refused,
    Resize,
    StartJob,
    Sync,
    Welcome,
    controller_decoder,
)  # fmt: skip
from shakeout.wire.reactor import READ, Reactor
from shakeout.wire.transports import Transport

#: Seconds that an agent has to answer Hello.
PATIENCE = 10.0
_JOB = 1


class Attachment:
    """Used once: `run` returns when the process there has ended.

    Args:
        name: what messages call the host.
        order: what to start; its id is ignored.
        run: the run that holds the host.
        streams: descriptors of standard input, output and error here.
    """

    def __init__(
        self, name: str, transport: Transport, order: StartJob, *, run: str, streams: tuple[int, int, int] = (0, 1, 2)
    ) -> None:
        self._name = name
        self._order = msgspec.structs.replace(order, id=_JOB, keep_stdin=True)
        self._run = run
        self._stdin, self._stdout, self._stderr = streams
        self._reactor = Reactor()
        self._connection = Connection(transport, self._reactor, controller_decoder(), self._message, self._closed)
        self._owed = {STDOUT: 0, STDERR: 0}
        #: Bytes of input that the job has not taken yet, as far as is known.
        self._under_way = 0
        self._done: JobDone | None = None
        self._error: Exception | None = None
        self._opened = False

    def run(self) -> int:
        """Start the process and carry its streams until it ends; its exit status, as a shell says it.

        Raises:
            UsageError: the run does not hold the host any more.
            HostError: the host did not answer, or was lost.
            BrokenPipeError: nobody reads standard output.
        """
        hello = Hello(PROTOCOLS, f"shell {os.getpid()} run {self._run}", self._run, "attach", shakeout.__version__)
        self._connection.send(hello)
        patience = self._reactor.call_later(PATIENCE, self._give_up)
        try:
            while self._done is None and self._error is None:
                self._reactor.turn()
                if self._opened:
                    patience.cancel()
        finally:
            self._connection.close()
            self._reactor.forget(self._stdin)
            self._reactor.close()
        if self._error is not None:
            raise self._error
        return self._status()

    def resize(self, rows: int, columns: int) -> None:
        """The terminal here has a new size; may be called from a signal handler."""
        self._reactor.call_soon(lambda: self._connection.send(Resize(_JOB, rows, columns)))
        self._reactor.wake()

    def _status(self) -> int:
        assert self._done is not None
        if self._done.error:
            raise UsageError(f"{self._name}: {self._done.error}")
        if self._done.signal is not None:
            return 128 + self._done.signal
        return self._done.exit_status or 0

    # -- what comes from the host ---------------------------------------------------------------------

    def _message(self, message: Any) -> None:
        if isinstance(message, Output):
            self._write(message)
        elif isinstance(message, Welcome):
            self._opened = True
            self._connection.send(self._order)
            self._watch_input()
            self._reactor.call_later(SYNC_EVERY, self._stay)
        elif isinstance(message, Refused):
            gone = message.code == "role"
            text = f"{self._name}: the run does not hold this host any more"
            self._error = UsageError(text) if gone else refused_error(message, self._name)
        elif isinstance(message, JobDone):
            self._done = message
        elif isinstance(message, Credit):
            full = self._under_way >= WINDOW
            self._under_way -= max(0, message.size)
            if full and self._under_way < WINDOW:
                self._connection.when_drained(self._watch_input)

    def _closed(self, reason: str) -> None:
        if self._done is None and self._error is None:
            why = reason or "its agent ended the connection; the run is over, or the host was removed"
            self._error = HostLost(why, self._name) if self._opened else AgentUnreachable(why, self._name)

    def _give_up(self) -> None:
        if not self._opened:
            self._error = AgentUnreachable(f"its agent did not answer within {PATIENCE:g} s", self._name)

    def _stay(self) -> None:
        """An agent gives up a controller that says nothing."""
        self._connection.send(Sync(0, time.monotonic_ns()))
        self._reactor.call_later(SYNC_EVERY, self._stay)

    def _write(self, message: Output) -> None:
        target = self._stderr if message.stream == STDERR else self._stdout
        try:
            _write_all(target, message.data)
        except OSError as error:
            self._error = error
            return
        owed = self._owed.get(message.stream, 0) + len(message.data)
        if owed >= WINDOW // 4:
            self._connection.send(Credit(_JOB, message.stream, owed))
            owed = 0
        self._owed[message.stream] = owed

    # -- what is typed here ---------------------------------------------------------------------------

    def _watch_input(self) -> None:
        try:
            self._reactor.watch(self._stdin, READ, self._readable)
        except PermissionError:  # a file is always ready, and so cannot be watched
            self._reactor.call_soon(self._read_file)
        except OSError:  # closed: there is nothing to read
            self._connection.send(JobInput(_JOB, b"", end=True))

    def _readable(self, events: int) -> None:
        self._read()

    def _read(self) -> bool:
        """Send on some input; False at its end, and when the job does not take more now."""
        try:
            data = os.read(self._stdin, CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""  # the terminal has hung up
        self._connection.send(JobInput(_JOB, data, end=not data))
        self._under_way += len(data)
        if not data or self._under_way >= WINDOW:
            self._reactor.forget(self._stdin)
            return False
        if self._connection.backlog:
            self._reactor.forget(self._stdin)
            self._connection.when_drained(self._watch_input)
        return True

    def _read_file(self) -> None:
        if not self._connection.closed and self._read():
            self._connection.when_drained(self._read_file)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody who shares the terminal made it so
            waiting = select.poll()
            waiting.register(descriptor, select.POLLOUT)
            waiting.poll()
