"""The jobs of one session: starting them, carrying their output with flow control, ending all of them.

A job is a process group (its own session) plus a mark in its environment. It ends with its leader, even when
processes that it left behind hold its pipes: those live to the end of the session and are ended, and named, there.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Protocol

import msgspec

from shakeout.agent.children import Children
from shakeout.agent.forker import Forker
from shakeout.agent.forking import ForkOrder
from shakeout.agent.job import (
    Input,
    Job,
    Stream,
    argv_of,
    group_lives,
    kill_group,
    not_started,
    set_size,
    signal_process,
)  # fmt: skip
from shakeout.processes.groups import kill_orphaned_group, ticks
from shakeout.processes.strays import MARK, kill_marked
from shakeout.wire.framing import CHUNK
from shakeout.wire.messages import (
    OUTCOME,
    STDERR,
    STDIN,
    STDOUT,
    WINDOW,
    Credit,
    JobInput,
    JobStarted,
    Output,
    Resize,
    Signal,
    StartJob,
)  # fmt: skip
from shakeout.wire.reactor import READ, WRITE, Reactor

#: Bytes read from one stream before the others get their turn.
_TURN = 4 * CHUNK


class Sender(Protocol):
    """Where a job's messages go."""

    def __call__(self, message: msgspec.Struct) -> None: ...


#: The number of the stream on which a child that cannot be executed says why; it is never sent.
_TROUBLE = 0


class JobTable:
    """All jobs of a session.

    Args:
        environment: the variables that every job starts with.
        mark: the lease; jobs are marked "<lease>:<id>".
    """

    def __init__(
        self, reactor: Reactor, send: Sender, children: Children, forker: Forker, environment: dict[str, str], mark: str
    ) -> None:
        self._reactor = reactor
        self._send = send
        self._children = children
        self._forker = forker
        self._environment = environment
        self._mark = mark
        self._jobs: dict[int, Job] = {}
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        #: Where jobs start unless they say otherwise; as a descriptor, for a recipe may remove or rename it.
        self._place = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    # -- orders from the controller -------------------------------------------------------------------

    def start(self, order: StartJob) -> None:
        """Start a job; if it cannot be, its JobDone says why."""
        if order.id in self._jobs:
            self._send(not_started(order, f"there is a job {order.id} already"))
            return
        job = Job(order)
        try:
            self._spawn(job, order)
        except (OSError, ValueError) as error:
            self._discard(job)
            self._send(not_started(order, error))

    def signal(self, order: Signal) -> None:
        """Signal a job's process group; SIGKILL reaches what left the group, too."""
        job = self._jobs.get(order.id)
        if job is None or job.done:
            return
        if not job.pid:
            job.wanted_signals.append(order.signum)  # the zygote has not said yet which process it is
            return
        job.signal(order.signum)
        if order.signum == signal.SIGKILL:
            kill_marked(f"{self._mark}:{job.id}\0")

    def feed(self, order: JobInput) -> None:
        """More for a job's standard input."""
        job = self._jobs.get(order.id)
        if job is None or job.input is None:
            if order.data:
                self._send(Credit(order.id, STDIN, len(order.data)))  # nobody wants it
            return
        job.input.data += order.data
        job.input.end = job.input.end or order.end
        self._write(job)

    def resize(self, order: Resize) -> None:
        """A job's terminal has a new size."""
        job = self._jobs.get(order.id)
        stream = job.streams.get(STDOUT) if job is not None and job.terminal else None
        if stream is not None:
            set_size(stream.fd, order.rows, order.columns)

    def credit(self, order: Credit) -> None:
        """The controller took some output: go on, if it was waited for."""
        job = self._jobs.get(order.id)
        stream = job.streams.get(order.stream) if job else None
        if stream is not None:
            stream.credit = min(WINDOW, stream.credit + max(0, order.size))
            if stream.paused and stream.credit > 0:
                stream.paused = False
                self._watch(stream)

    def end_all(self) -> tuple[str, ...]:
        """Kill every job and everything that jobs left behind; the command lines of what outlived its job."""
        running = [job for job in self._jobs.values() if not job.done and job.pid]
        left_behind = [job for job in self._jobs.values() if job.survivors]
        for job in running:
            kill_group(job.pid)
        survivors = kill_marked(f"{self._mark}:", besides={job.pid for job in running})
        for job in left_behind:  # what has no mark any more; its number may be somebody else's by now
            kill_orphaned_group(job.pid, job.ended_ticks)
        for job in list(self._jobs.values()):
            self._discard(job)
        self._jobs.clear()
        os.close(self._null)
        os.close(self._place)
        return tuple(survivors)

    # -- starting -------------------------------------------------------------------------------------

    def _spawn(self, job: Job, order: StartJob) -> None:
        env = {**order.env, MARK: f"{self._mark}:{job.id}"}
        if order.terminal is not None:
            self._spawn_on_terminal(job, order, {**self._environment, **env})
            return
        theirs: list[int] = []
        try:
            stdin = self._open_input(job, order, theirs)
            out, err = self._open_stream(job, STDOUT, theirs), self._open_stream(job, STDERR, theirs)
            if order.module is not None or order.user or order.netns:
                self._spawn_by_zygote(job, order, env, (stdin, out, err), theirs)
            else:
                self._spawn_directly(job, order, {**self._environment, **env}, (stdin, out, err))
        finally:
            for fd in theirs:
                os.close(fd)
        self._jobs[job.id] = job
        for stream in job.streams.values():
            self._watch(stream)
        if job.input is not None:
            self._write(job)

    def _spawn_directly(self, job: Job, order: StartJob, env: dict[str, str], fds: tuple[int, int, int]) -> None:
        self._spawn_process(job, order, env, [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)])
        self._begun(job)

    def _spawn_process(self, job: Job, order: StartJob, env: dict[str, str], actions: list[tuple[Any, ...]]) -> None:
        argv = argv_of(order)
        self._go_to(order.cwd)
        try:
            job.started_ns = time.monotonic_ns()
            job.pid = os.posix_spawnp(
                argv[0], argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_DEFAULT_SIGNALS
            )
        finally:
            if order.cwd:
                os.fchdir(self._place)
        self._children.expect(job.pid, lambda status, now: self._ended(job, status, now))

    def _go_to(self, directory: str) -> None:
        """Be in *directory* while a job is spawned: a fork by the zygote, for that alone, would cost 2 ms."""
        if directory:
            try:
                os.chdir(directory)
            except OSError as error:
                raise ValueError(f"{error.strerror} {directory!r}") from None

    def _spawn_by_zygote(
        self, job: Job, order: StartJob, env: dict[str, str], fds: tuple[int, int, int], theirs: list[int]
    ) -> None:
        module = order.module is not None
        channel = self._open_stream(job, OUTCOME if module else _TROUBLE, theirs)
        fork = ForkOrder(
            self._forker.next_sequence(),
            "module" if module else "argv",
            env,
            argv=() if module else tuple(argv_of(order)),
            module=order.module or b"",
            cwd=order.cwd,
            user=order.user,
            netns=order.netns,
        )

        def forked(pid: int, now: int) -> None:
            job.pid, job.started_ns = pid, now
            if job.done:
                signal_process(pid, signal.SIGKILL)  # its session has ended meanwhile
                return
            self._begun(job)
            for number in job.wanted_signals:
                job.signal(number)

        self._forker.fork(fork, (*fds, channel), forked, lambda status, now: self._ended(job, status, now))

    def _spawn_on_terminal(self, job: Job, order: StartJob, env: dict[str, str]) -> None:
        ours, theirs = os.openpty()
        job.streams[STDOUT] = Stream(job, STDOUT, ours)
        job.terminal = True
        try:
            os.set_blocking(ours, False)
            set_size(ours, *(order.terminal or (24, 80)))
            job.input = Input(os.dup(ours), order.stdin, end=False)
            # Opened after setsid, the terminal becomes the new session's own.
            actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.ttyname(theirs), os.O_RDWR, 0)]
            actions += [(os.POSIX_SPAWN_DUP2, 0, number) for number in (1, 2)]
            self._spawn_process(job, order, env, actions)
        finally:
            os.close(theirs)
        self._jobs[job.id] = job
        self._watch(job.streams[STDOUT])
        self._write(job)
        self._begun(job)

    def _begun(self, job: Job) -> None:
        if job.announce:
            self._send(JobStarted(job.id, job.pid, job.started_ns))

    def _open_stream(self, job: Job, number: int, theirs: list[int]) -> int:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        job.streams[number] = Stream(job, number, read)
        theirs.append(write)
        return write

    def _open_input(self, job: Job, order: StartJob, theirs: list[int]) -> int:
        if not order.stdin and not order.keep_stdin:
            return self._null
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(write, False)
        job.input = Input(write, order.stdin, end=not order.keep_stdin)
        theirs.append(read)
        return read

    # -- output, input, ends --------------------------------------------------------------------------

    def _watch(self, stream: Stream) -> None:
        self._reactor.watch(stream.fd, READ, lambda events: self._readable(stream))

    def _readable(self, stream: Stream) -> None:
        """Send on what a job wrote, as far as its credit reaches."""
        budget = min(_TURN, stream.credit)
        while budget > 0:
            data = self._take(stream)
            if data is None:
                return
            budget -= len(data)
            stream.credit -= len(data)
            if len(data) < CHUNK:
                break
        if stream.credit <= 0:
            stream.paused = True
            self._reactor.forget(stream.fd)

    def _take(self, stream: Stream) -> bytes | None:
        """Read and send one piece; None when there is none now, or never again."""
        try:
            data = os.read(stream.fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            data = b""  # a terminal whose last user is gone
        if not data:
            self._close(stream)
            return None
        if stream.number == _TROUBLE:
            stream.job.trouble += data[:4096]
        else:
            self._send(Output(stream.job.id, stream.number, data))
        return data

    def _close(self, stream: Stream) -> None:
        if stream.job.streams.pop(stream.number, None) is not None:
            if not stream.paused:
                self._reactor.forget(stream.fd)
            os.close(stream.fd)
            self._forget_if_over(stream.job)

    def _forget_if_over(self, job: Job) -> None:
        if job.done and not job.streams and not job.survivors:
            self._jobs.pop(job.id, None)

    def _ended(self, job: Job, status: int, now: int) -> None:
        if job.done:
            return
        for stream in list(job.streams.values()):
            # What its pipes hold now comes before JobDone, whatever credit is left; but no more than that, as a
            # process that it left behind may go on writing for ever.
            left = stream.waiting()
            while (data := self._take(stream)) is not None and left >= 0:
                left -= len(data)
        self._close_input(job)
        job.survivors = group_lives(job.pid)
        job.ended_ticks = ticks() if job.survivors else 0
        job.done = True
        self._send(job.ended(status, now))
        self._forget_if_over(job)

    def _write(self, job: Job) -> None:
        pipe = job.input
        if pipe is None:
            return
        while pipe.data:
            try:
                sent = os.write(pipe.fd, pipe.data[: 1 << 16])
            except BlockingIOError:
                self._reactor.forget(pipe.fd)
                self._reactor.watch(pipe.fd, WRITE, lambda events: self._write(job))
                return
            except OSError:
                self._close_input(job)  # it does not want more
                return
            del pipe.data[:sent]
            if owed := pipe.taken(sent):
                self._send(Credit(job.id, STDIN, owed))
        self._reactor.forget(pipe.fd)
        if pipe.end:
            self._close_input(job)

    def _close_input(self, job: Job) -> None:
        if job.input is not None:
            self._reactor.forget(job.input.fd)
            os.close(job.input.fd)
            if job.input.data and not job.done:  # the job closed it, and goes on
                self._send(Credit(job.id, STDIN, len(job.input.data) + job.input.owed))
            job.input = None

    def _discard(self, job: Job) -> None:
        job.done = True
        for stream in list(job.streams.values()):
            self._close(stream)
        self._close_input(job)


_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)
