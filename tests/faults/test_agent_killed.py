"""Agents, and the processes that they consist of, are killed or stopped in the middle of what they do."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.command import RECIPE, Command, recipe
from tests.faults.processes import Watched, is_alive, named, parents, until
from tests.faults.standing import StandingAgent

from shakeout.agent.snapshot import differences
from shakeout.errors import AgentUnreachable, HostLost
from shakeout.hosts import pulse
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.hosts.unix import connect_unix
from shakeout.journal.events import HostLost as HostLostEvent
from shakeout.journal.events import JobFinished, UndoFinished
from shakeout.journal.reader import State
from shakeout.journal.verdict import Verdict
from shakeout.labs.folders import leftovers, living
from shakeout.testing.connection import Connected

pytestmark = pytest.mark.needs("root", "namespaces", "ip")

ONE_HOST = RECIPE.replace('    m2 = HostReq()\n    m2.eth0 = DeviceReq(label="net1")\n', "").replace(
    "m1, m2 = self.matched.m1, self.matched.m2", "m1 = self.matched.m1"
)
CHANGES = """
m1.eth0.ip_add("192.0.2.1/24")
m1.eth0.mtu = 1400
m1.eth0.up()
m1.br0 = BridgeDevice()
m1.br0.slave_add(m1.eth0)
m1.procfs_set("sys/net/ipv4/ip_forward", 1)
strays = [m1.run("sleep 1000", bg=True), m1.run("setsid sleep 1001", bg=True), m1.run(TcpListen(port=4444), bg=True)]
m1.run("setsid -f sleep 1002")
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[StandingAgent]:
    with StandingAgent(tmp_path) as standing:
        yield standing


def test_a_namespace_host_dies_in_mid_job(tmp_path: Path) -> None:
    """Its foreground job ends at once and says why; the other host goes on, and is restored."""
    body = """
job = m2.run("while :; do sleep 1; done", bg=True, desc="goes on")
tell("ready")
lost = m1.run("sleep 1000", timeout=0)
tell(f"{lost.passed} {lost.reason}")
m2.run("echo alive")
"""
    with Command(recipe(tmp_path, body)) as command:
        command.await_word("ready")
        (victim,) = [pid for pid in command.host_inits() if _hostname(pid) == "m1"]
        with Watched([victim]) as watched:
            began = time.monotonic()
            watched.kill(victim)
            command.await_word("False host m1 was lost: its connection ended")
            assert time.monotonic() - began < 1 + 4  # a second, and what a busy machine adds
        status, out, err = command.end()
        assert status == 3, out + err
        events = command.events()
        assert [event.host for event in events if isinstance(event, HostLostEvent)] == ["m1"]
        assert [event.host for event in events if isinstance(event, UndoFinished) and not event.failed] == ["m2"]
        assert any(isinstance(event, JobFinished) and event.host == "m2" and event.passed for event in events)
        assert "m1 was lost" in out
        assert (command.run.state, command.run.verdict) == (State.FINISHED, Verdict.ERROR)


def test_a_run_goes_on_after_a_host_has_died(tmp_path: Path) -> None:
    """The next recipe gets hosts of the same names, in the same laboratory."""
    dies = recipe(tmp_path, "tell('ready')\nm1.run('sleep 1000')", "a.py")
    lives = recipe(tmp_path, "m1.run('echo alive')", "b.py")
    with Command(dies, str(lives)) as command:
        command.await_word("ready")
        (victim,) = [pid for pid in command.host_inits() if _hostname(pid) == "m1"]
        with Watched([victim]) as watched:
            watched.kill(victim)
        status, out, err = command.end()
        assert status == 3, out + err
        assert command.run.counts == {"error": 1, "passed": 1}, out


def _hostname(pid: int) -> str:
    """The name of a namespace host, as its own processes see it."""
    command = ["nsenter", f"--uts=/proc/{pid}/ns/uts", "hostname"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_controller_of_a_standing_agent_is_killed(tmp_path: Path, agent: StandingAgent) -> None:
    """Everything is as before within five seconds, and the next controller gets the host."""
    before = agent.snapshot()
    file = recipe(tmp_path, CHANGES + "tell('ready')\ntime.sleep(1000)", head=ONE_HOST)
    pool = str(agent.pool(tmp_path / "pool"))
    own = set(agent.processes())
    with Command(file, "--pool", pool) as command:
        command.await_word("ready")
        assert differences(before, agent.snapshot())
        with Watched(set(agent.processes()) - own) as theirs:
            assert len(theirs.pids) >= 5
            command.signal(signal.SIGKILL)
            assert theirs.left_after(5) == []
    until(lambda: differences(before, agent.snapshot()) == [], 5, "the host as it was")
    file = recipe(tmp_path, "m1.run('true')", "next.py", ONE_HOST)
    with Command(file, "--pool", pool, out=tmp_path / "2") as command:
        status, out, err = command.end()
        assert status == 0, out + err


def test_a_standing_agent_is_killed_and_restores_at_its_next_start(tmp_path: Path, agent: StandingAgent) -> None:
    before = agent.snapshot()
    file = recipe(tmp_path, CHANGES + "tell('ready')\nm1.run('sleep 1003', timeout=0)", head=ONE_HOST)
    own = set(agent.processes())
    with Command(file, "--pool", str(agent.pool(tmp_path / "pool"))) as command:
        command.await_word("ready")
        until(lambda: len(set(agent.processes()) - own) >= 6, what="its jobs")
        with Watched(set(agent.processes()) - own) as theirs:
            agent.process.kill()
            status, out, err = command.end()
            assert status == 3, out + err
            assert "dut" in out + err or "m1 was lost" in out
            agent.start_again()
            assert theirs.left_after(5) == []
    assert differences(before, agent.snapshot()) == []
    assert "could not" not in agent.said


def test_of_two_agents_of_one_host_the_second_puts_back_what_the_first_held_when_it_was_killed(
    tmp_path: Path, agent: StandingAgent
) -> None:
    """Two people's ssh sessions, say. While the first lives, what it has lent is none of the second's business."""
    before = agent.snapshot()
    file = recipe(tmp_path, CHANGES, head=ONE_HOST)
    own = set(agent.processes())
    with Command(file, "--pool", str(agent.pool(tmp_path / "pool")), "--keep") as command:
        status, out, err = command.end()
        assert status == 0, out + err
    with Watched(set(agent.processes()) - own) as theirs, agent.another_beside() as second:
        assert len(theirs.pids) >= 4
        assert differences(before, agent.snapshot())
        agent.process.kill()
        agent.process.wait()
        assert differences(before, agent.snapshot())
        agent.socket.unlink()
        agent.socket.symlink_to(second)
        again = recipe(tmp_path, "m1.run('true')", "next.py", ONE_HOST)
        with Command(again, "--pool", str(tmp_path / "pool"), out=tmp_path / "2") as command:
            status, out, err = command.end()
            assert status == 0, out + err
        assert differences(before, agent.snapshot()) == []
        assert theirs.left_after(5) == []
    agent.socket.unlink()
    agent.start_again()


def test_the_zygote_is_killed(tmp_path: Path, agent: StandingAgent) -> None:
    """Nothing can be forked any more: the agent puts its host back, ends, and says why."""
    before = agent.snapshot()
    file = recipe(tmp_path, CHANGES + "tell('ready')\nm1.run(TcpListen(port=5555), timeout=0)", head=ONE_HOST)
    with Command(file, "--pool", str(agent.pool(tmp_path / "pool"))) as command:
        command.await_word("ready")
        (zygote,) = [pid for pid in agent.processes("shakeout-zygote") if pid in _children_of(agent.process.pid)]
        with Watched([zygote, *agent.processes()]) as watched:
            watched.kill(zygote)
            assert command.end()[0] == 3
            assert agent.process.wait(20) != 0
            assert watched.left_after(5) == []
    assert differences(before, agent.snapshot()) == []
    assert "zygote was killed" in agent.said
    agent.start_again()


def _children_of(pid: int) -> list[int]:
    return [child for child, parent in parents().items() if parent == pid]


def test_the_device_process_is_killed_in_mid_call(tmp_path: Path) -> None:
    """The call fails and says why; later ones, too: they would mean other devices. The host is restored."""
    body = """
m1.slow0 = Slow()
m1.eth0.mtu = 1400
def late():
    m1.run(["sh", "-c", "while ! [ -e /tmp/calling ]; do sleep 0.01; done; kill -9 $(cat /tmp/calling)"], timeout=20)
import threading
thread = threading.Thread(target=late)
thread.start()
try:
    m1.slow0.hang()
except JobError as error:
    tell(f"first: {error}")
thread.join()
for again in range(2):
    try:
        m1.eth0.mtu
    except JobError as error:
        tell(f"again: {error}")
m1.run("echo alive")
"""
    head = RECIPE.replace(
        "class R(",
        "from shakeout.errors import JobError\n"
        "class Slow(VethDevice):\n"
        "    def hang(self):\n"
        "        Path('/tmp/calling').write_text(str(os.getpid()))\n"
        "        time.sleep(1000)\n\n"
        "class R(",
    )
    with Command(recipe(tmp_path, body, head=head)) as command:
        status, out, err = command.end()
        assert "first: m1: the host's device process ended in the middle of this call" in out, out + err
        assert out.count("again: m1: the host's device process was killed") == 2
        finished = [event for event in command.events() if isinstance(event, UndoFinished)]
        assert [event.failed for event in finished] == [(), ()]
        assert status == 0, out + err


@pytest.mark.parametrize("which", ["inner", "outer"])
def test_the_spawner_is_killed(tmp_path: Path, which: str) -> None:
    """With its inner half all hosts are gone, which is said; without its outer half the run goes on."""
    body = "tell('ready')\n"
    body += "m1.run('sleep 1000', timeout=0)" if which == "inner" else "while not Path('go').exists(): time.sleep(0.01)"
    before = set(leftovers()) | set(living())
    with Command(recipe(tmp_path, body), str(recipe(tmp_path, "m1.run('true')", "b.py"))) as command:
        command.await_word("ready")
        (outer,) = named(command.pid, "shakeout-lab")
        (inner,) = named(outer, "shakeout-spawn")
        with Watched(command.lab()) as lab:
            lab.kill(inner if which == "inner" else outer)
            until(lambda: not is_alive(inner if which == "inner" else outer), what="its end")
            (tmp_path / "go").touch()
            status, out, err = command.end()
            assert lab.left_after(5) == []
        assert (set(leftovers()) | set(living())) <= before | set(living())
        assert status == (3 if which == "inner" else 0), out + err
        if which == "inner":
            assert "m1 was lost" in out
            assert "laboratory has ended" in err
            assert "RESULT ERROR" in out
            assert command.run.verdict is Verdict.ERROR


def test_an_agent_that_is_stopped_says_no_welcome(agent: StandingAgent, loop: LoopThread) -> None:
    session = Session("m1", connect_unix(str(agent.socket)), loop.reactor)
    agent.process.send_signal(signal.SIGSTOP)
    session.begin()
    with pytest.raises(AgentUnreachable, match=r"m1: its agent did not answer within 0\.2 s"):
        session.welcome(timeout=0.2)
    agent.process.send_signal(signal.SIGCONT)


def test_an_agent_that_stops_in_mid_session_is_given_up(
    agent: StandingAgent, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job without a timeout, a device call: nothing waits for ever for an agent that does not answer."""
    monkeypatch.setattr(pulse, "SYNC_EVERY", 0.05)
    monkeypatch.setattr(pulse, "SILENCE", 0.5)
    connected = Connected("m1", connect_unix(str(agent.socket)), loop.reactor)
    job = connected.host.run("sleep 1000", bg=True)
    agent.process.send_signal(signal.SIGSTOP)
    assert job.wait(30)
    assert (job.passed, job.reason) == (False, "host m1 was lost: its agent did not answer for 0.5 s")
    assert 0.4 < job.duration < 30
    with pytest.raises(HostLost, match=r"did not answer for 0\.5 s"):
        connected.host.run("true")
    with pytest.raises(HostLost, match=r"did not answer for 0\.5 s"):
        connected.host.procfs_get("sys/net/ipv4/ip_forward")
    agent.process.send_signal(signal.SIGCONT)


def test_an_agent_that_is_stopped_does_not_end_its_session(agent: StandingAgent, loop: LoopThread) -> None:
    connected = Connected("m1", connect_unix(str(agent.socket)), loop.reactor)
    agent.process.send_signal(signal.SIGSTOP)
    with pytest.raises(HostLost, match=r"m1: putting it back took longer than 0\.2 s"):
        connected.session.end(timeout=0.2)
    agent.process.send_signal(signal.SIGCONT)
