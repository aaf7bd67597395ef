"""A job, as the recipe holds it."""

from __future__ import annotations

import os
import re
import signal as signals
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from shakeout.errors import ConditionTimeout, HostLost, ProtocolError, UsageError
from shakeout.hosts import ending
from shakeout.hosts.artifacts import JobArtifacts
from shakeout.hosts.capture import Capture, text
from shakeout.hosts.expectation import Expectation
from shakeout.hosts.standardinput import StandardInput
from shakeout.hosts.waiter import Waiter
from shakeout.processes.owned import Owned, owned
from shakeout.wire.messages import OUTCOME, STDERR, STDOUT, WINDOW, Credit, JobDone, JobInput, Signal

if TYPE_CHECKING:
    from pathlib import Path

    from shakeout.hosts.measurements import SeriesOfJob
    from shakeout.hosts.session import Session
    from shakeout.modules.base import BaseTestModule
    from shakeout.modules.outcome import RemoteError

#: The longest outcome that a module may send, in bytes.
_OUTCOME_LIMIT = 66 << 20
#: Seconds that a killed job has to be reported dead before its host counts as lost.
_KILL_PATIENCE = 15.0


class Job:
    """A process (group) on a host: a command, or a test module.

    Attributes:
        id: its number, unique on its host.
        what: what runs, in words.
        desc: the recipe's description of it, "" if none was given.
        kind: "shell", "argv" or "module".
        exit_status: None while it runs, or if a signal ended it.
        signal: the number of the signal that ended it, None if none did.
        reason: why it was ended, or could not be started; "" if it ended by itself.
        duration: seconds from its start to its end on its host; or here, until that was lost or kept.
        pid: its process id on the host, as far as it is known (background jobs, and jobs that have ended).
    """

    exit_status: int | None = None
    signal: int | None = None
    reason = ""
    duration = 0.0
    started_ns = 0
    finished_ns = 0
    pid: int | None = None

    def __init__(
        self, session: Session, number: int, what: str, *, kind: str, desc: str = "", fail: bool = False,
        parse_json: bool = False, module: BaseTestModule | None = None, stdin_open: bool = False,
    ) -> None:  # fmt: skip
        self.id = number
        self.what = what
        self.desc = desc
        self.kind = kind
        self.module = module
        self.expected_fail = fail
        self._session = session
        self._begun = time.monotonic()
        self._json = parse_json
        self._stdin_open = stdin_open
        self._standard_input: StandardInput | None = None
        #: Signals that the recipe sent it.
        self._signalled: set[int] = set()
        #: Why it is being killed; becomes its reason if that is what ends it.
        self._ending = ""
        self._dismissed = False
        self._done: Waiter[bool] = Waiter()
        self.files = JobArtifacts(session, module)
        self._captures = {STDOUT: session.capture(number, "stdout"), STDERR: session.capture(number, "stderr")}
        self._outcome = bytearray()
        self.measurements = session.measurements(number) if module is not None else None
        self._owed = {STDOUT: 0, STDERR: 0, OUTCOME: 0}
        self._passed = False
        self._result: Any = None
        self._error: RemoteError | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._patterns: list[Expectation] = []
        self._lock = threading.Lock()
        self._ready: Owned | None = None

    # -- what a recipe asks ---------------------------------------------------------------------------

    @property
    def host(self) -> str:
        """The name of its host."""
        return self._session.name

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self._done.done

    @property
    def passed(self) -> bool:
        """Whether it ended as expected; False while it runs."""
        return self._passed

    @property
    def result(self) -> Any:
        """What the module returned, or the parsed stdout of a command with ``json=True``; else None."""
        return self._result

    @property
    def stdout(self) -> str | None:
        """What it printed so far (None for a module that printed nothing); see `stdout_bytes` for the raw form."""
        return self._text(STDOUT)

    @property
    def stderr(self) -> str | None:
        """What it printed to standard error so far (None for a module that printed nothing)."""
        return self._text(STDERR)

    @property
    def stdout_bytes(self) -> bytes:
        """Standard output as it came; of more than 1 MiB the beginning and the end, the whole is in the artifact."""
        return self._captures[STDOUT].value()

    @property
    def stderr_bytes(self) -> bytes:
        """Standard error as it came; of more than 1 MiB the beginning and the end, the whole is in the artifact."""
        return self._captures[STDERR].value()

    @property
    def error(self) -> RemoteError | None:
        """The exception that ended a module, with its traceback there; None if none did."""
        return self._error

    @property
    def series(self) -> SeriesOfJob:
        """What a test module measures over time, by name, while it runs and afterwards.

        Raises:
            UsageError: it is a command, which takes no samples.
        """
        if self.measurements is None:
            raise UsageError(f"job {self.id} on {self.host} is a command: only test modules have series of samples")
        return self.measurements.series

    @property
    def artifacts(self) -> list[Path]:
        """Files that a module left, in the run's folder (fetched by `wait`, or here); none while it runs."""
        return self.files.collect(self)

    @property
    def title(self) -> str:
        """What to call it: the description if it has one."""
        return self.desc or self.what

    def wait(self, timeout: float = 0) -> bool:
        """Wait until it has ended, at most *timeout* seconds (0: for ever); whether it has."""
        return self._done.wait(timeout or None) and self.files.collect(self) is not None

    def kill(self, signalnum: int = signals.SIGKILL) -> None:
        """Send a signal to its whole process group; a job that has ended gets none.

        SIGKILL also ends what left the group (daemons), and waits until the job is over.
        """
        if not isinstance(signalnum, int) or signalnum not in signals.valid_signals():
            raise UsageError(f"there is no signal {signalnum!r}; see the names in the module `signal`")
        if self.finished:
            return
        self._signalled.add(int(signalnum))
        self._session.send(Signal(self.id, int(signalnum)))
        if signalnum == signals.SIGKILL:
            self._await_death()

    def time_out(self, seconds: float) -> None:
        """Kill it because its time is up."""
        self._kill_because(f"timed out after {seconds:g} s, killed")

    def interrupt(self) -> None:
        """Kill it because the run is being interrupted; does not wait."""
        if not self.finished:
            self._ending = "interrupted, killed"
            self._session.send(Signal(self.id, int(signals.SIGKILL)))

    def dismiss(self) -> None:
        """Kill it because the recipe is over; that it still ran is no failure, unless somebody waited for it."""
        if not self._ending:
            self.files.complete(self)
        if not self.finished:
            self._dismissed = not self._ending  # else it was interrupted in the foreground, and is dying
            self._kill_because(self._ending or "still running at the end of the recipe, killed")
        self.files.collect(self)

    def _kill_because(self, why: str) -> None:
        if not self.finished:
            self._ending = why
            self._session.send(Signal(self.id, int(signals.SIGKILL)))
            self._await_death()

    def _await_death(self) -> None:
        if not self._done.wait(_KILL_PATIENCE):
            raise HostLost(f"job {self.id} was killed, but its end was not reported in time", self.host)

    def write(self, data: str | bytes, *, end: bool = False) -> None:
        """More for the standard input of a job started with ``stdin=PIPE``; *end* closes it.

        As a pipe, it takes some hundred KiB more than the job has read, and then waits.
        """
        if not self._stdin_open:
            raise UsageError(f"job {self.id} on {self.host} has no open standard input; start it with stdin=PIPE")
        self._input().write(data.encode() if isinstance(data, str) else bytes(data), end=end)
        if end:
            self._stdin_open = False

    def feed(self, data: bytes) -> None:
        """All of a long standard input, and its end; it goes as the job takes it."""
        self._input().feed(data)

    def _input(self) -> StandardInput:
        with self._lock:
            if self._standard_input is None:
                self._standard_input = StandardInput(
                    lambda piece, end: self._session.send(JobInput(self.id, piece, end))
                )
                if self._done.done:
                    self._standard_input.close()
            return self._standard_input

    def wait_output(self, pattern: str | re.Pattern[str], timeout: float = 60) -> re.Match[str]:
        """Wait until what it prints (either stream) matches *pattern*; the match.

        Raises:
            ConditionTimeout: it did not in *timeout* seconds.
            JobError: the job ended without printing it.
        """
        expectation = Expectation(re.compile(pattern) if isinstance(pattern, str) else pattern)
        with self._lock:
            for stream, capture in self._captures.items():
                expectation.look(stream, capture.value())
            if self._done.done:
                expectation.give_up(self)
            self._patterns.append(expectation)
        try:
            if expectation.found.wait(timeout):
                return expectation.found.get()
            missing = f"did not print {expectation.pattern.pattern!r} within {timeout:g} s"
            raise ConditionTimeout(f"job {self.id} on {self.host} {missing}; {expectation.so_far()}")
        finally:
            with self._lock:
                self._patterns.remove(expectation)

    def fileno(self) -> int:
        """A descriptor that is readable once the job has ended: for select(), poll() and asyncio's add_reader."""
        with self._lock:
            if self._ready is None:
                self._ready = owned(os.eventfd(1 if self._done.done else 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            return self._ready.fileno()

    def __str__(self) -> str:
        printed = (self.stdout or "") + (self.stderr or "")
        if self.module is None:
            return printed
        shown = "" if self._result is None else self.module.format_result(self._result)
        if self._error is not None:
            shown = self.error_text()
        return "\n".join(part for part in (printed.rstrip("\n"), shown) if part)

    def __repr__(self) -> str:
        state = "running" if not self.finished else "passed" if self.passed else "failed"
        return f"<Job {self.id} on {self.host}: {self.title!r}, {state}>"

    def error_text(self) -> str:
        """The exception of a module as text, with its remote traceback on local source lines."""
        if self._error is None:
            return ""
        from shakeout.modules.outcome import render

        return render(self._error, self.host)

    def captured(self, stream: int) -> Capture:
        """The output of one stream, with its artifact."""
        return self._captures[stream]

    # -- what the session tells it (in the loop's thread) ---------------------------------------------

    def input_taken(self, size: int) -> None:
        """The process has read some of its standard input."""
        if self._standard_input is not None:
            self._standard_input.taken(size)

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call *callback* when it has ended (in the loop's thread; at once if it has)."""
        with self._lock:
            if not self._done.done:
                self._callbacks.append(callback)
                return
        callback()

    def forget_callback(self, callback: Callable[[], None]) -> None:
        """Take a `when_done` back; harmless when it has been called."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def took(self, stream: int, data: bytes) -> None:
        """Some output came."""
        if stream == OUTCOME and self.measurements is not None:
            outcome = self.measurements.feed(data)
            if len(self._outcome) + len(outcome) > _OUTCOME_LIMIT:
                raise ProtocolError(f"the result of job {self.id} is longer than {_OUTCOME_LIMIT} bytes")
            self._outcome += outcome
        elif stream in self._captures:
            with self._lock:
                self._captures[stream].add(data)
                for expectation in self._patterns:
                    expectation.look(stream, data)
        else:
            raise ProtocolError(f"output of job {self.id} came on a stream {stream} that does not exist")
        owed = self._owed[stream] + len(data)
        if owed >= WINDOW // 4:
            self._session.send(Credit(self.id, stream, owed))
            owed = 0
        self._owed[stream] = owed

    def ended(self, done: JobDone) -> None:
        """Its leader ended."""
        ending.check(done)
        self.exit_status, self.signal = done.exit_status, done.signal
        self.started_ns, self.finished_ns = done.started_ns, done.finished_ns
        self.pid = done.pid or self.pid
        self.duration = max(0.0, (done.finished_ns - done.started_ns) / 1e9)
        if not done.error and done.signal is not None and (self._ending or done.signal in self._signalled):
            self.reason = self._ending or f"ended by {ending.signal_name(done.signal)}, sent by the recipe"
            if self._dismissed or not self._ending:
                # The recipe wanted it to end: that is no failure, and no success that was not expected either.
                self._finish(not self.expected_fail, survived=done.survivors)
            else:
                # It hung: that is not the failure that somebody may have expected.
                self._finish(False, cut_short=True, survived=done.survivors)
            return
        self._finish(self._conclude(done), survived=done.survivors)

    def lost(self, reason: str) -> None:
        """The connection to its host ended."""
        if not self.finished:
            self.reason = f"host {self.host} was lost: {reason or 'its connection ended'}"
            self._finish(False, cut_short=True)

    def left(self) -> None:
        """Its host is kept as it is, and so it goes on; that is no failure."""
        if not self.finished:
            self.reason = "left running on the kept host"
            self._finish(not self.expected_fail)

    def _conclude(self, done: JobDone) -> bool:
        if self.measurements is not None and not done.error:
            own = ending.of_module(done, self._outcome, self.measurements.refused)
            self._outcome = bytearray()  # it may be large, and has been read
        else:
            whole = partial(self._session.whole_output, self._captures[STDOUT])
            own = ending.of_command(done, whole if self._json else None)
        self.reason, self._result, self._error = own.reason, own.result, own.error
        return own.succeeded

    def _finish(self, succeeded: bool, *, cut_short: bool = False, survived: bool = False) -> None:
        self.duration = self.duration if self.finished_ns else time.monotonic() - self._begun
        self._passed = not cut_short and succeeded != self.expected_fail
        for capture in self._captures.values():
            if survived:
                capture.close()
            else:
                capture.end()
        if self.measurements is not None:
            self.measurements.end()
        self._session.job_finished(self, survived=survived)
        with self._lock:
            self._done.set(True)
            if self._ready is not None:
                os.eventfd_write(self._ready.fileno(), 1)
            if self._standard_input is not None:
                self._standard_input.close()
            callbacks, self._callbacks = self._callbacks, []
            patterns = list(self._patterns)
        for expectation in patterns:
            expectation.give_up(self)
        for callback in callbacks:
            callback()

    def _text(self, stream: int) -> str | None:
        capture = self._captures[stream]
        if self.module is not None and capture.size == 0:
            return None
        return text(capture.value())
