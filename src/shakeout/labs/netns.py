"""The default laboratory, seen from the controller: hosts made from namespaces of this machine."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping

import msgspec

from shakeout.errors import HostError, LabEnded, LabLacks
from shakeout.labs.orders import (
    HostFailed,
    HostReady,
    HostsRemoved,
    KeepLab,
    LabFailed,
    LabReady,
    MakeHost,
    PortOrder,
    RemoveHosts,
    RemoveLab,
    Reports,
)  # fmt: skip
from shakeout.wire.framing import FrameReader, frame

#: Seconds that the laboratory, and each batch of hosts, may take to be made.
PATIENCE = 60.0


class NetnsLab:
    """A laboratory that a spawner process makes; constructing it starts that, and does not wait.

    Made first thing in a run, so that the spawner warms up while the recipe is loaded.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        number = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD, 3)  # not one of a standard stream that is closed here
        argv = [sys.executable, "-P", "-c", "from shakeout.labs.spawner import main; main()", str(number)]
        self._pid = os.posix_spawn(sys.executable, argv, _environment(), setsid=True, setsigdef=[signal.SIGPIPE])
        os.close(number)
        theirs.close()
        self._control = ours
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(Reports)
        self._arrived: list[object] = []
        self._ready: LabReady | None = None
        self._closed = False
        self._made = False

    def ready(self) -> LabReady:
        """Wait until the laboratory stands.

        Raises:
            LabLacks: this user, or this kernel, cannot have one.
        """
        if self._ready is None:
            report = self._next(time.monotonic() + PATIENCE)
            if isinstance(report, LabFailed):
                raise LabLacks(report.text)
            if not isinstance(report, LabReady):
                raise HostError(f"the laboratory said {type(report).__name__} before it was ready")
            self._ready = report
        return self._ready

    def make(self, hosts: Mapping[str, Iterable[PortOrder]]) -> dict[str, HostReady]:
        """Make *hosts* (name -> ports), all at once.

        Raises:
            HostError: one could not be made.
        """
        self.ready()
        self._made = True
        for name, ports in hosts.items():
            self._send(MakeHost(name, tuple(ports)))
        made: dict[str, HostReady] = {}
        failed: list[HostFailed] = []
        deadline = time.monotonic() + PATIENCE + 0.1 * len(hosts)
        while len(made) + len(failed) < len(hosts):
            report = self._next(deadline)
            if isinstance(report, HostReady):
                made[report.name] = report
            elif isinstance(report, HostFailed):
                failed.append(report)
        if failed:
            raise HostError(_of_failures(failed))
        return made

    def remove_hosts(self) -> None:
        """Remove all hosts and wait until they are gone; the laboratory can make others."""
        if not self._made:
            return
        self._made = False
        try:
            self._send(RemoveHosts())
            deadline = time.monotonic() + PATIENCE
            while not isinstance(self._next(deadline), HostsRemoved):
                pass
        except LabEnded:
            return  # and its hosts went with it

    def keep(self) -> None:
        """The laboratory shall outlive this program."""
        self._send(KeepLab())

    def remove(self) -> None:
        """Remove all hosts and wait until they are gone; harmless the second time."""
        if self._closed:
            return
        self._closed = True
        try:
            self._send(RemoveLab())
        except LabEnded:
            pass
        self._control.close()
        self._wait_gone()

    def release(self) -> None:
        """Let go of a kept laboratory, which goes on."""
        self._closed = True
        self._control.close()

    def _wait_gone(self) -> None:
        try:
            pidfd = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(10_000):
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            return
        finally:
            os.close(pidfd)

    def _send(self, order: msgspec.Struct) -> None:
        try:
            self._control.sendall(frame(msgspec.msgpack.encode(order)))
        except OSError as error:
            raise LabEnded(f"the laboratory has ended: {error.strerror}") from error

    def _next(self, deadline: float) -> object:
        while not self._arrived:
            self._control.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._control.recv(1 << 16)
            except TimeoutError:
                raise HostError("the laboratory did not answer in time") from None
            except OSError as error:
                raise LabEnded(f"the laboratory has ended: {error.strerror}") from error
            finally:
                self._control.settimeout(None)
            if not data:
                raise LabEnded("the laboratory has ended, though nobody told it to: its spawner crashed, or was killed")
            self._arrived = [self._decoder.decode(payload) for payload in self._reader.feed(data)]
        report = self._arrived.pop(0)
        if isinstance(report, LabFailed) and self._ready is not None:
            raise LabEnded(f"the laboratory has ended: {report.text}")
        return report


def _of_failures(failed: list[HostFailed]) -> str:
    """Why hosts could not be made; each reason once, with the first of the hosts that it was the reason for."""
    names: dict[str, list[str]] = {}
    for report in failed:
        names.setdefault(report.text, []).append(report.name)
    parts = []
    for text, hosts in names.items():
        more = f" and {len(hosts) - 5} more" if len(hosts) > 5 else ""
        parts.append(f"host{'s' * (len(hosts) > 1)} {', '.join(hosts[:5])}{more} could not be made: {text}")
    return "; ".join(parts)


#: Variables that an interpreter, and what it runs, may need; SHAKEOUT_TESTS_OF is how tests know what is theirs.
_PASSED_ON = frozenset(
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TERM", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH",
     "VIRTUAL_ENV", "SHAKEOUT_TESTS_OF"]
)  # fmt: skip


def _environment() -> dict[str, str]:
    """Nothing else of the user's environment: jobs can read what process 1 of their host was started with."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or (name.startswith(("LC_", "PYTHON")) and name != "PYTHONSTARTUP")
    }
