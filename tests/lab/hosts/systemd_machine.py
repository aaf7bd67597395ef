"""A machine whose process 1 is a real systemd, in namespaces of this one, and an agent on it.

Run as a program it makes the machine, says the number of its process 1 on a line, and ends it with its standard input.
It starts nothing of what this machine would: its /etc/systemd/system has only what a test puts there.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import pytest

from shakeout.hosts.unix import connect_unix
from shakeout.labs import rootfs
from shakeout.processes.namespaces import (
    NEWIPC,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUTS,
    mount,
    sethostname,
    unshare,
)
from shakeout.wire.transports import UnixTransport

NEWCGROUP = 0x02000000
SYSTEMD = "/lib/systemd/systemd"
PATIENCE = 30.0
SOCKET = "/run/agent.sock"
UNITS = Path("/etc/systemd/system")
#: What the machine boots to; nothing wants it but the units of a test.
TARGET = "[Unit]\nDescription=nothing\nDefaultDependencies=no\nAllowIsolate=yes\n"
_ROOT = Path(__file__).resolve().parents[3]


class SystemdMachine:
    """A context manager; ends everything. Skips the test where systemd cannot run.

    Attributes:
        pid: its process 1, as this process sees it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shakeout-systemd-"))
        self.pid = 0
        self._agents: list[subprocess.Popen[bytes]] = []
        self._maker = subprocess.Popen(
            [sys.executable, "-P", "-c", _RUN, str(_ROOT), str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._maker.stdout is not None
        line = self._maker.stdout.readline()
        if not line:
            assert self._maker.stderr is not None
            said = self._maker.stderr.read().decode(errors="replace").strip()
            self.close()
            pytest.skip(f"no systemd can run as process 1 of namespaces here: {said[-500:]}")
        self.pid = int(line)
        try:
            self._until(lambda: self.path("/run/systemd/private").exists(), "systemd")
            self.run("systemctl", "is-system-running", "--wait")
        except BaseException:
            self.close()
            raise

    def path(self, place: str) -> Path:
        """*place* of its file system, from outside."""
        return Path(f"/proc/{self.pid}/root{place}")

    def run(self, *argv: str) -> str:
        """Run a program on it to its end, however that is; what it printed."""
        done = subprocess.run(
            [*self._enter(), *argv], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=PATIENCE,
        )  # fmt: skip
        return done.stdout.decode().strip()

    def start_agent(self) -> subprocess.Popen[bytes]:
        """``shakeout agent`` on it; returns when it listens."""
        state = "/var/lib/shakeout-agent"
        argv = [sys.executable, "-P", "-m", "shakeout.cli", "agent", "--socket", SOCKET, "--state", state]
        agent = subprocess.Popen(
            [*self._enter(), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._agents.append(agent)
        assert agent.stdout is not None
        said = b""
        while b"listening on" not in said:
            piece = os.read(agent.stdout.fileno(), 4096)
            assert piece, f"the agent did not start: {said.decode()}"
            said += piece
        return agent

    def kill_agent(self, agent: subprocess.Popen[bytes]) -> None:
        """SIGKILL the agent itself, not what put it there."""
        child = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGKILL)
        agent.wait(PATIENCE)

    def connect(self) -> UnixTransport:
        """A connection to its agent."""
        return connect_unix(str(self.path(SOCKET)))

    def close(self) -> None:
        """End it; harmless the second time."""
        if self._maker.returncode is None:
            assert self._maker.stdin is not None
            with suppress(BrokenPipeError):
                self._maker.stdin.close()
            self._maker.wait(PATIENCE)
        for agent in self._agents:
            agent.wait(PATIENCE)
            if agent.stdout is not None:
                agent.stdout.close()
        for stream in (self._maker.stdout, self._maker.stderr):
            if stream is not None:
                stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--"]

    def _until(self, condition: object, what: str) -> None:
        assert callable(condition)
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not start"
            time.sleep(0.01)  # nobody tells when it has made its socket

    def __enter__(self) -> SystemdMachine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_RUN = "import sys; sys.path.append(sys.argv[1]); from tests.lab.hosts.systemd_machine import make; make(sys.argv[2])"


def make(folder: str) -> NoReturn:
    """The maker: makes the machine and ends it with standard input."""
    if not os.access(SYSTEMD, os.X_OK):
        sys.exit(f"there is no {SYSTEMD} (Debian package systemd)")
    group = _own_cgroup()
    mounts = rootfs.mount_points()
    unshare(NEWPID)
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        try:
            _boot(folder, mounts, group, tell)
        except BaseException as error:  # noqa: BLE001 - the edge of a process
            os.write(2, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(1)
    os.close(tell)
    if os.read(ready, 1):
        os.close(ready)
        os.write(1, f"{pid}\n".encode())
        select.select([0], (), ())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    _remove_cgroup(group)
    os._exit(0)


def _boot(folder: str, mounts: rootfs_mounts, group: Path, tell: int) -> NoReturn:
    """Become process 1 of the machine."""
    (group / "cgroup.procs").write_text("0")
    unshare(NEWNS | NEWUTS | NEWIPC | NEWNET | NEWCGROUP)
    rootfs.build(folder, mounts, userxattr=False)
    sethostname("booted")
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2")
    # Run at each reload; the only one that makes services is that for the scripts of /etc/init.d.
    for generator in Path("/lib/systemd/system-generators").iterdir():
        if generator.name != "systemd-sysv-generator":
            generator.unlink()
    shutil.rmtree(UNITS, ignore_errors=True)
    UNITS.mkdir()
    (UNITS / "nothing.target").write_text(TARGET)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.set_inheritable(tell, False)
    os.write(tell, b".")
    argv = [SYSTEMD, "--system", "--unit=nothing.target", "--log-target=null", "--show-status=no"]
    os.execve(SYSTEMD, argv, {"container": "shakeout", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def _own_cgroup() -> Path:
    """A control group for the machine."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            group = Path(left.split()[4]) / f"shakeout-systemd-{os.getpid()}"
            try:
                group.mkdir()
            except OSError as error:
                sys.exit(f"no control group can be made: {error}")
            return group
    sys.exit("no cgroup2 file system is mounted")


def _remove_cgroup(group: Path) -> None:
    """Everything in it has been killed; the kernel may need a moment."""
    deadline = time.monotonic() + 5.0
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.005)


rootfs_mounts = list[tuple[str, str]]
