"""Machines as in a laboratory: with a network over which their agents are reached, and networks under test."""

from __future__ import annotations

import os
import select
import shutil
import signal as signals
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from shakeout.devices.netlink import Change, Netlink
from shakeout.errors import AgentUnreachable
from shakeout.processes.namespaces import NEWNET, setns
from shakeout.testing.ground import MANAGEMENT, Order
from shakeout.testing.ground import Machine as MachineOrder

#: Seconds until something that was started must be ready.
_PATIENCE = 30.0
_USUAL: Mapping[str, str] = {"eth0": "net1"}


class Process:
    """A program on a machine.

    Attributes:
        pid: its number as this process sees it (that of the program, not of what put it there).
        output: what it printed so far (standard output and error).
    """

    def __init__(self, popen: subprocess.Popen[bytes], pid: int) -> None:
        self._popen = popen
        self.pid = pid
        self.output = ""
        self._read = threading.Thread(target=self._collect, name=f"output of {pid}", daemon=True)
        self._printed = threading.Condition()
        self._read.start()

    def wait_output(self, text: str, timeout: float = _PATIENCE, since: int = 0) -> str:
        """Wait until *text* has been printed; all that was printed by then.

        Args:
            since: how many characters of the output do not count.

        Raises:
            AssertionError: it was not, in time or before the program ended.
        """
        with self._printed:
            came = self._printed.wait_for(lambda: text in self.output[since:] or not self._read.is_alive(), timeout)
            assert came and text in self.output[since:], f"{text!r} was not printed; what was: {self.output}"
            return self.output

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return
        finally:
            if number in (signals.SIGCONT, signals.SIGKILL) and self._popen.poll() is None:
                self._popen.send_signal(signals.SIGCONT)  # nsenter stops itself when its child is stopped

    def wait(self, timeout: float = _PATIENCE) -> int:
        """Wait until it has ended; its exit status, negative if a signal ended it."""
        self._popen.wait(timeout)
        self._read.join()
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        return self._popen.returncode

    def stop(self, number: int = signals.SIGTERM) -> int:
        """End it; harmless the second time."""
        if self._popen.returncode is None:
            self.signal(signals.SIGCONT)
            self.signal(number)
            try:
                return self.wait()
            except subprocess.TimeoutExpired:
                self.signal(signals.SIGKILL)
        return self.wait()

    def _collect(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._printed:
                self.output += line.decode(errors="replace")
                self._printed.notify_all()
        with self._printed:
            self._printed.notify_all()


class Machine:
    """One machine.

    Attributes:
        name: also its host name.
        address: on the management network.
        links: its other links -> the network that each is on.
        pid: its process 1, as this process sees it.
    """

    def __init__(self, ground: Machines, order: MachineOrder, pid: int) -> None:
        self._ground = ground
        self.name = order.name
        self.address = order.address
        self.links = order.links
        self.pid = pid
        self._started: list[Process] = []

    def path(self, place: str) -> Path:
        """*place* (absolute) of its file system, from outside."""
        return Path(f"/proc/{self.pid}/root{place}")

    def hwaddr(self, link: str) -> str:
        """The hardware address of one of its links."""
        done = self.run(["cat", f"/sys/class/net/{link}/address"])
        return done.stdout.strip()

    def run(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program on it to its end; as `subprocess.run` with text and captured output, checked."""
        how = {"check": True, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL, **options}
        done: subprocess.CompletedProcess[str] = subprocess.run([*self._enter(), *argv], **how)  # noqa: PLW1510 - among them
        return done

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Start a program on it; ended with the machine at the latest."""
        popen = subprocess.Popen(
            [*self._enter(), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})}, start_new_session=True,
        )  # fmt: skip
        started = Process(popen, _child_of(popen))
        self._started.append(started)
        return started

    def start_agent(self, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
        """``shakeout agent`` on it, with *arguments*; returns when it listens."""
        argv = [sys.executable, "-P", "-m", "shakeout.cli", "agent", *arguments]
        agent = self.start(argv, env={"PYTHONUNBUFFERED": "1", **(env or {})})
        agent.wait_output("listening on")
        return agent

    def cut(self) -> None:
        """From now on nothing gets to it or from it over the management network, and nobody is told."""
        self._plug(0)

    def heal(self) -> None:
        """Undo `cut`."""
        with self._ground.inside(), Netlink() as netlink:
            bridge = netlink.link(MANAGEMENT).index
        self._plug(bridge)

    def close(self) -> None:
        """End what was started on it."""
        for started in reversed(self._started):
            started.stop(signals.SIGKILL)

    def _plug(self, bridge: int) -> None:
        with self._ground.inside(), Netlink() as netlink:
            netlink.link_set(netlink.link(f"{self.name}.0").index, Change(master=bridge))

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "--"]


class Machines:
    """Machines in namespaces of this one, each with file systems, processes and a network of its own. Needs root.

    A context manager. What is done on them goes with them. They are reached over a network that this machine has no
    part in: `inside` puts a thread, and all that it starts, into it.

    >>> with Machines("dut1", "dut2") as machines, machines.inside(): ...

    Args:
        names: machines with the link eth0 on net1, besides mgmt.
        links: machine name -> its links (name -> network).
    """

    def __init__(self, *names: str, **links: Mapping[str, str]) -> None:
        wanted = {**dict.fromkeys(names, _USUAL), **links}
        folder = tempfile.mkdtemp(prefix="shakeout-machines-")
        orders = tuple(
            MachineOrder(name, f"198.18.1.{number}", dict(its_links))
            for number, (name, its_links) in enumerate(wanted.items(), 1)
        )
        self.folder = Path(folder)
        order = msgspec.json.encode(Order(f"{folder}/roots", orders)).decode()
        (self.folder / "roots").mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "shakeout.testing.ground", order],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._machines: dict[str, Machine] = {}
        try:
            pids = self._answer()
            self._machines = {one.name: Machine(self, one, pid) for one, pid in zip(orders, pids, strict=True)}
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def __iter__(self) -> Iterator[Machine]:
        return iter(self._machines.values())

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and what it starts meanwhile, is on the management network (198.18.0.1)."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with open(f"/proc/{self._process.pid}/ns/net", "rb") as ground:  # noqa: PTH123
                setns(ground.fileno(), NEWNET)
            try:
                yield
            finally:
                setns(own, NEWNET)
        finally:
            os.close(own)

    def close(self) -> None:
        """End all machines; harmless the second time."""
        for machine in self._machines.values():
            machine.close()
        process = self._process
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answer(self) -> list[int]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        select.select([self._process.stdout], (), (), _PATIENCE)
        line = self._process.stdout.readline()
        if not line:
            self._process.kill()
            said = self._process.stderr.read().decode(errors="replace").strip()
            raise AgentUnreachable(f"the machines could not be made: {said or 'no word of why'}")
        pids: list[int] = msgspec.json.decode(line, type=list[int])
        return pids

    def __enter__(self) -> Machines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _child_of(popen: subprocess.Popen[bytes]) -> int:
    """The one child of nsenter, which is the program itself."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and popen.poll() is None:
        children = Path(f"/proc/{popen.pid}/task/{popen.pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.001)  # the kernel tells nobody of a fork
    return popen.pid
