"""Two machines with sshd, for all tests of hosts via ssh."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shakeout.hosts.dialing import Access, Endpoint, dial
from shakeout.hosts.loop import LoopThread
from shakeout.testing import Connected, Recording
from shakeout.testing.machines import Machine, Machines
from shakeout.testing.sshd import SshLogin, add_user

#: The interpreter of these tests: what the machines' own PATH leads to may be anything.
PYTHON = str(Path(sys.executable).resolve())


class Site:
    """The machines dut1 and dut2, and this controller's way to them.

    Attributes:
        access: what hosts are dialled with.
        loop: has the connections.
    """

    def __init__(self, machines: Machines, cache: Path) -> None:
        self.machines = machines
        self.login = SshLogin(machines)
        self.access = Access(ssh=self.login.command, cache=cache)
        self.loop = LoopThread()

    def connect(
        self, name: str = "dut1", *, run: str = "testing", access: Access | None = None, **how: object
    ) -> Connected:
        """A session with the agent of a machine; *how* as in `Endpoint`."""
        endpoint = Endpoint("ssh", name, **{"python": PYTHON, **how})  # type: ignore[arg-type]
        with self.machines.inside():
            transport = dial(endpoint, access or self.access)
        return Connected(name, transport, self.loop.reactor, Recording(), run=run)

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]


def processes_of(machine: Machine, name: str) -> list[int]:
    """The processes of *machine* that are called *name*, as they are numbered here."""
    home = Path(f"/proc/{machine.pid}/ns/net").readlink()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == name and (entry / "ns/net").readlink() == home:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def agent_of(machine: Machine) -> int:
    """The agent of *machine*, of which there must be one; what it has forked is called the same."""
    found = processes_of(machine, "shakeout-agent")
    (agent,) = [pid for pid in found if parent_of(pid) not in found]
    return agent


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def await_end(pids: list[int], seconds: float = 10.0) -> None:
    """Wait until all of *pids* have ended.

    Raises:
        AssertionError: one has not, after *seconds*.
    """
    deadline = time.monotonic() + seconds
    for pid in pids:
        try:
            end = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([end], (), (), max(0.0, deadline - time.monotonic()))
            assert ended, f"process {pid} has not ended"
        finally:
            os.close(end)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two machines, used by all tests of a file."""
    with Machines("dut1", "dut2") as machines:
        made = Site(machines, tmp_path_factory.mktemp("cache"))
        add_user(machines["dut1"], "plain")
        add_user(machines["dut1"], "admin", sudo=True)
        try:
            yield made
        finally:
            made.loop.close()


@pytest.fixture
def at_rest(site: Site) -> Iterator[None]:
    """Nothing of an earlier test runs on the machines before, and nothing afterwards."""
    yield
    for machine in site.machines:
        await_end([*processes_of(machine, "shakeout-agent"), *processes_of(machine, "shakeout-zygote")])
