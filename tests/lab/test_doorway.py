"""The agent that comes with a connection and goes after the last: without ssh, in a state folder of its own."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shakeout.agent.lease import Lease
from shakeout.agent.statefolder import make_folder
from shakeout.errors import HostError
from shakeout.hosts.look import Look
from shakeout.hosts.loop import LoopThread
from shakeout.testing import Connected
from shakeout.wire.transports import PipesTransport

PROGRAM = """
import sys
from pathlib import Path
from shakeout.agent import doorway, reception
reception.LOOK_EVERY = float(sys.argv[2])
doorway.enter(lambda: None, state=Path(sys.argv[1]))
"""


class Doorway:
    """What sshd starts, with a state folder that is not the machine's."""

    def __init__(self, state: Path, loop: LoopThread) -> None:
        self.state = state
        self._loop = loop

    def process(self, look_every: float = 5.0) -> tuple[subprocess.Popen[bytes], PipesTransport]:
        """A new connection, as sshd makes one."""
        ours, theirs = socket.socketpair()
        with theirs:
            front = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(self.state), str(look_every)],
                stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True,
            )  # fmt: skip
        fd = ours.detach()
        return front, PipesTransport(fd, fd)

    def connect(self, name: str = "one", look_every: float = 5.0) -> tuple[subprocess.Popen[bytes], Connected]:
        """A session of the run *name*."""
        front, transport = self.process(look_every)
        try:
            return front, Connected(name, transport, self._loop.reactor, run=name)
        except HostError:
            front.wait(10)
            raise


@pytest.fixture
def doorway(tmp_path: Path) -> Iterator[Doorway]:
    loop = LoopThread()
    try:
        yield Doorway(tmp_path / ("long" * 30) / "shakeout" / "agent", loop)
    finally:
        loop.close()


def test_nothing_is_left_of_it(doorway: Doorway, tmp_path: Path) -> None:
    front, connected = doorway.connect()
    assert connected.host.run("true").passed
    assert {"agent.sock", "door", "lease"} <= {entry.name for entry in doorway.state.iterdir()}
    assert (doorway.state / "agent.sock").stat().st_mode & 0o777 == 0o600
    connected.end()
    assert front.wait(10) == 0  # it is the last to go
    assert list(tmp_path.iterdir()) == []


def test_what_is_worth_keeping_is_kept(doorway: Doorway) -> None:
    front, connected = doorway.connect()
    (doorway.state / "undo.failed").write_text("for people to look at")
    connected.end()
    front.wait(10)
    assert [entry.name for entry in doorway.state.iterdir()] == ["undo.failed"]


def test_a_resident_agent_that_holds_the_host_keeps_its_lease(doorway: Doorway) -> None:
    doorway.state.mkdir(parents=True)
    lease = Lease(str(doorway.state / "lease"))
    lease.take("somebody")
    with pytest.raises(HostError, match="held by somebody"):
        doorway.connect()
    assert (doorway.state / "lease").read_text() == "somebody"
    lease.release()
    front, connected = doorway.connect()
    connected.end()
    front.wait(10)
    assert not doorway.state.exists()
    lease.take("somebody")  # its folder is made anew
    assert (doorway.state / "lease").read_text() == "somebody"
    lease.release()


def test_the_first_connection_ends_before_the_second(doorway: Doorway) -> None:
    first, one = doorway.connect("one")
    second, transport = doorway.process()
    one.end()
    assert first.wait(10) == 0
    two = Connected("two", transport, doorway._loop.reactor, run="two")
    assert two.host.run("true").passed
    two.end()
    assert second.wait(10) == 0
    assert not doorway.state.exists()


def test_a_controller_that_says_nothing_is_given_up(doorway: Doorway) -> None:
    front, connected = doorway.connect(look_every=0.05)  # the controller says something every 5 s
    gone = connected.host.run("sleep 100", bg=True)
    gone.wait(20)
    assert connected.session.lost
    assert front.wait(10) == 0
    assert not doorway.state.exists()


def test_the_agent_ends_in_order_when_it_is_told_to(doorway: Doorway) -> None:
    front, connected = doorway.connect()
    pid = int(connected.host.run("echo $PPID").stdout)
    os.kill(pid, signal.SIGHUP)  # the login's end is not its own
    assert connected.host.run("true").passed
    os.kill(pid, signal.SIGTERM)
    assert front.wait(10) == 0
    assert not doorway.state.exists()
    connected.session.leave()


def test_many_who_come_and_go_always_meet_an_agent(doorway: Doorway) -> None:
    """Each is served or told that the host is taken, though agents end all the time."""

    def visit(number: int) -> str:
        try:
            front, connected = doorway.connect(f"run{number}")
        except HostError as error:
            return str(error)
        connected.end()
        front.wait(10)
        return "served"

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(visit, range(32)))
    assert said.count("served") > 0
    assert [text for text in said if text != "served" and "the host is held by" not in text] == []
    assert not doorway.state.exists()


def test_the_process_that_sshd_started_is_killed(doorway: Doorway) -> None:
    front, connected = doorway.connect()
    agent = os.pidfd_open(int(connected.host.run("echo $PPID").stdout))
    try:
        front.kill()
        front.wait()
        assert select.select([agent], (), (), 10)[0]
    finally:
        os.close(agent)
    assert not doorway.state.exists()
    connected.session.leave()


def test_what_the_agent_tells_when_nobody_hears_it_any_more(doorway: Doorway) -> None:
    """The pipe of its standard error went with the connection that has started it."""
    first, one = doorway.connect("one")
    second, transport = doorway.process()
    with Look("two", transport, owner="anna@desk") as look:
        look.reserve(3600)
        one.end()
        assert first.wait(10) == 0
        third, another = doorway.process()
        with Look("three", another, owner="ben@desk") as other:
            assert other.unreserve(force=True)["owner"] == "anna@desk"  # which the agent tells
        assert third.wait(10) == 0
    assert second.wait(10) == 0


def test_jobs_do_not_have_what_the_login_had(doorway: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"SSH_AUTH_SOCK": "/x", "SSH_CONNECTION": "x", "NOTIFY_SOCKET": "/y", "SHAKEOUT_CERTS": "/z"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    front, connected = doorway.connect()
    had = connected.host.run("env").stdout or "nothing"
    assert [name for name in secrets if name in had] == []
    connected.end()
    front.wait(10)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o720])
def test_a_state_folder_that_others_can_write_to(mode: int, doorway: Doorway) -> None:
    """They could write there what the agent "undoes" at its next start."""
    doorway.state.mkdir(parents=True)
    doorway.state.chmod(mode)
    (doorway.state / "undo.log").write_text('{"op":"argv","argv":["touch","/tmp/shakeout-pwned"]}')
    with pytest.raises(HostError):
        doorway.connect()
    assert [entry.name for entry in doorway.state.iterdir()] == ["undo.log"]
    with pytest.raises(PermissionError, match="can be written by, another user"):
        make_folder(doorway.state)
