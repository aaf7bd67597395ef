"""`shakeout run` on hosts that somebody else has or has reserved: set aside, or waited for."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.e2e.user import SHAKEOUT, User

from shakeout.hosts.look import Look
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.testing import StandaloneAgent

# The agents of the whole file start their own helpers when they like.
pytestmark = [pytest.mark.needs("root", "namespaces"), pytest.mark.leaks("processes")]

ONE = """
    class One(BaseRecipe):
        m1 = HostReq()
        def test(self):
            self.add_result(None, "on " + self.matched.m1.run("hostname").stdout.strip())
"""
TWO = """
    class Two(BaseRecipe):
        m1, m2 = HostReq(), HostReq()
        def test(self):
            for host in self.matched:
                self.add_result(None, "on " + host.run("hostname").stdout.strip())
"""


@pytest.fixture(scope="module")
def agents() -> Iterator[list[StandaloneAgent]]:
    with ExitStack() as stack:
        yield [stack.enter_context(StandaloneAgent(name)) for name in ("alpha", "beta")]


@pytest.fixture
def user(user: User, agents: list[StandaloneAgent]) -> User:
    """Has the pool "lab" of both."""
    for name, agent in zip(("alpha", "beta"), agents, strict=True):
        user.write(f"lab/{name}.yaml", f"host: {{name: {name}, address: {agent.path}, via: unix}}\n")
    return user


class Holder:
    """Somebody who has some hosts."""

    def __init__(self, loop: LoopThread, agents: list[StandaloneAgent]) -> None:
        self.sessions = [Session("m1", agent.connect(), loop.reactor, run="nightly") for agent in agents]
        for session in self.sessions:
            session.begin()
            session.welcome()

    def let_go(self, number: int = 0) -> None:
        self.sessions[number].leave()


@contextmanager
def held(*agents: StandaloneAgent) -> Iterator[Holder]:
    loop = LoopThread()
    holder = Holder(loop, list(agents))
    try:
        yield holder
    finally:
        for number in range(len(agents)):
            holder.let_go(number)
        loop.close()


class Running:
    """A command that runs; what it has said so far on standard error can be waited for. A context manager."""

    def __init__(self, user: User, *words: str) -> None:
        self.process = subprocess.Popen(
            [SHAKEOUT, "run", "my.py", "--pool", "lab", *words], cwd=user.folder, env=user.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.err = ""

    def until(self, text: str) -> None:
        assert self.process.stderr is not None
        while text not in self.err:
            line = self.process.stderr.readline()
            assert line, self.err
            self.err += line

    def end(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=30)
        self.err += err
        return self.process.returncode, out

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_without_waiting_it_says_who_has_them_and_how_to_wait(user: User, agents: list[StandaloneAgent]) -> None:
    user.recipe(ONE)
    with held(*agents):
        done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 2
    for name in ("alpha", "beta"):
        assert f"host {name} is set aside: the host is held by " in done.err
    assert "run nightly" in done.err
    assert "--wait stands in line for them" in done.err
    with Look("alpha", agents[0].connect(), owner="anna@desk") as anna, held(agents[1]):
        anna.reserve(600, "debugging")
        done = user.shakeout("run", "my.py", "--pool", "lab")
        anna.unreserve()
    assert done.status == 2
    assert "host alpha is set aside: the host is reserved for anna@desk until " in done.err
    assert ": debugging" in done.err


def test_the_first_that_becomes_free_is_taken(user: User, agents: list[StandaloneAgent]) -> None:
    user.recipe(ONE)
    with held(*agents) as holder, Running(user, "--wait") as running:
        running.until("waiting for alpha: held by ")
        running.until("waiting for beta: held by ")
        assert "run nightly" in running.err
        assert "you are next" in running.err
        holder.let_go(1)
        status, out = running.end()
    assert status == 0, running.err
    assert "on beta" in out
    assert "m1 = beta (pool lab)" in running.err


def test_two_hosts_one_of_which_is_free(user: User, agents: list[StandaloneAgent]) -> None:
    """The free one is not kept from others while the other is waited for."""
    user.recipe(TWO)
    with held(agents[0]) as holder, Running(user, "--wait") as running:
        running.until("waiting for alpha: held by ")
        user.recipe(ONE, "other.py")
        other = user.shakeout("run", "other.py", "--pool", "lab")
        assert "on beta" in other.out, other.err
        holder.let_go()
        status, out = running.end()
    assert status == 0, running.err
    assert "on alpha" in out
    assert "on beta" in out


def test_all_matches_wait_too(user: User, agents: list[StandaloneAgent]) -> None:
    user.recipe(ONE)
    with held(agents[0]) as holder, Running(user, "--wait", "--all-matches") as running:
        running.until("waiting for alpha: held by ")
        holder.let_go()
        status, out = running.end()
    assert status == 0, running.err
    assert out.splitlines()[-1].startswith("RESULT PASS (2 passed")
    assert out.index("on beta") < out.index("on alpha")


def test_waiting_is_not_a_part_of_the_recipes_time(user: User, agents: list[StandaloneAgent]) -> None:
    user.recipe(ONE)
    with held(*agents) as holder, Running(user, "--wait", "--timeout", "1") as running:
        running.until("waiting for beta: held by ")
        with pytest.raises(subprocess.TimeoutExpired):  # longer than the recipe may take
            running.process.wait(1.1)
        holder.let_go()
        status, _ = running.end()
    assert status == 0, running.err


def test_a_limit(user: User, agents: list[StandaloneAgent]) -> None:
    user.recipe(ONE)
    with held(*agents):
        done = user.shakeout("run", "my.py", "--pool", "lab", "--wait-for", "300ms")
        assert done.status == 2
        assert "no hosts became free within 0.3 s: waited for " in done.err
        with Look("alpha", agents[0].connect()) as look:
            assert "run nightly" in look.holder
    assert user.shakeout("run", "my.py", "--pool", "lab").status == 0  # nobody of it stands in line any more
    wrong = user.shakeout("run", "my.py", "--pool", "lab", "--wait-for", "soon")
    assert wrong.status == 2
    assert "'soon' is no length of time" in wrong.complaint


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_waiting(user: User, agents: list[StandaloneAgent], number: signal.Signals) -> None:
    user.recipe(ONE)
    with held(*agents), Running(user, "--wait") as running:
        running.until("waiting for beta: held by ")
        running.process.send_signal(number)
        status, _ = running.end()
        assert status == 130
        assert "Traceback" not in running.err
        with held_in_line(agents[0]) as position:
            assert position == 1
    assert user.shakeout("run", "my.py", "--pool", "lab").status == 0


def test_an_agent_that_ends_while_it_is_waited_for(user: User, agents: list[StandaloneAgent]) -> None:
    user.recipe(ONE)
    with StandaloneAgent("gamma") as gamma:
        user.write("lab/gamma.yaml", f"host: {{name: gamma, address: {gamma.path}, via: unix}}\n")
        with held(*agents, gamma) as holder, Running(user, "--wait") as running:
            running.until("waiting for gamma: held by ")
            gamma.stop()
            running.until("gamma is not waited for any more: its agent ended the connection")
            holder.let_go()
            status, out = running.end()
    assert status == 0, running.err
    assert "on alpha" in out


@contextmanager
def held_in_line(agent: StandaloneAgent) -> Iterator[int]:
    """The place that one more who waits would have."""
    loop = LoopThread()
    session = Session("m1", agent.connect(), loop.reactor, run="probe")
    try:
        heard = threading.Event()
        session.begin(wait=True, on_news=heard.set)
        assert heard.wait(20)
        yield session.queued.position if session.queued else 0
    finally:
        session.leave()
        loop.close()
