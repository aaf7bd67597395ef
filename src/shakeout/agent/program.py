"""A program that the agent itself needs, run to its end: beside the loop, or waited for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from shakeout.agent.children import Children
from shakeout.wire.reactor import READ, Reactor, Timer

#: Bytes of what it prints that are kept: the first ones.
_MOST = 1 << 20
#: How it is asked not to colour, page, translate or ask.
_PLAIN = {"LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "PAGER": "cat"}
#: Where system programs are, whatever the agent's own PATH says.
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Outcome(msgspec.Struct, frozen=True):
    """How a program ended.

    Attributes:
        status: its exit status; negative if a signal ended it, 127 if it could not be started.
        output: what it printed on both streams.
        late: whether it had to be killed because its time was up.
    """

    status: int
    output: str = ""
    late: bool = False


class Program:
    """A running program; *on_end* is called once, unless it is killed before.

    It has ended when it has: what it started may have its pipe open much longer (a service that it started has).

    Args:
        timeout: seconds until it is killed, with all that is in its process group.
    """

    def __init__(
        self,
        reactor: Reactor,
        children: Children,
        argv: tuple[str, ...],
        timeout: float,
        on_end: Callable[[Outcome], None],
    ) -> None:
        self._reactor = reactor
        self._on_end = on_end
        self._output = bytearray()
        self._late = False
        self._over = False
        self._timer: Timer | None = None
        self._read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write, True)
        try:
            self._pid = _spawn(argv, write)
        except OSError as error:
            self._pid = 0
            outcome = Outcome(127, f"{argv[0]}: {error.strerror}")
            reactor.call_soon(lambda: self._finish(outcome))
            return
        finally:
            os.close(write)
        reactor.watch(self._read, READ, lambda events: self._collect())
        children.expect(self._pid, self._ended)
        self._timer = reactor.call_later(timeout, self._expire)

    @property
    def over(self) -> bool:
        """Whether it has ended, or was killed."""
        return self._over

    def kill(self) -> None:
        """End it; nobody wants to know how."""
        if not self._over:
            self._close()
            self._signal()

    def _expire(self) -> None:
        self._late = True
        self._signal()

    def _signal(self) -> None:
        if self._pid:  # not reaped, or it would be over: the number is still its own
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)

    def _collect(self) -> None:
        while True:
            try:
                data = os.read(self._read, 1 << 16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._reactor.forget(self._read)
                return
            if len(self._output) < _MOST:
                self._output += data[: _MOST - len(self._output)]

    def _ended(self, status: int, now: int) -> None:
        if not self._over:
            self._collect()
            self._finish(Outcome(os.waitstatus_to_exitcode(status), decoded(self._output), self._late))

    def _finish(self, outcome: Outcome) -> None:
        if not self._over:
            self._close()
            self._on_end(outcome)

    def _close(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._reactor.forget(self._read)
        os.close(self._read)


def run(argv: tuple[str, ...], timeout: float) -> Outcome:
    """Run a program and wait for its end, without a loop."""
    import tempfile

    with tempfile.TemporaryFile() as output:  # not a pipe: a service that it starts would keep that open
        try:
            pid = _spawn(argv, output.fileno())
        except OSError as error:
            return Outcome(127, f"{argv[0]}: {error.strerror}")
        status, late = _await(pid, timeout)
        output.seek(0)
        return Outcome(os.waitstatus_to_exitcode(status), decoded(output.read(_MOST)), late)


def decoded(output: bytes | bytearray) -> str:
    """What a program printed, as text."""
    return output.decode(errors="replace").strip()


def system_path() -> str:
    """Where programs are looked for."""
    return f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}"


def find(program: str) -> str | None:
    """Where a program is; None if this host does not have it."""
    import shutil

    return shutil.which(program, path=system_path())


def _await(pid: int, timeout: float) -> tuple[int, bool]:
    """Wait until a child has ended; its status, and whether it had to be killed."""
    import select

    end = os.pidfd_open(pid)
    late = False
    try:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        deadline = time.monotonic() + timeout
        while not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            late = True
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            deadline = time.monotonic() + 60.0
        return os.waitpid(pid, 0)[1], late
    finally:
        os.close(end)


def _spawn(argv: tuple[str, ...], output: int) -> int:
    """Start *argv* in a session of its own, its streams /dev/null and *output*."""
    program = find(argv[0])
    if program is None:
        raise FileNotFoundError(2, "there is no such program on this host")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SHAKEOUT_", "PYTHON"))}
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    ours = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)
    environment |= _PLAIN | {"PATH": system_path()}
    return os.posix_spawn(program, argv, environment, file_actions=actions, setsid=True, setsigmask=(), setsigdef=ours)
