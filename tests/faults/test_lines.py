"""Hosts that several people want: looked at, reserved, and waited for in line."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.processes import descendants, until
from tests.faults.standing import StandingAgent

from shakeout.errors import AgentUnreachable, HostReserved, LeaseHeld, UsageError
from shakeout.hosts.look import Look
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.owner import own_name
from shakeout.hosts.session import Session
from shakeout.hosts.unix import connect_unix
from shakeout.wire.connection import Connection
from shakeout.wire.messages import PROTOCOLS, Hello, Queued, Refused, StartJob, Welcome, controller_decoder
from shakeout.wire.reactor import Reactor

pytestmark = pytest.mark.needs("root", "namespaces", "ip")

PATIENCE = 20


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[StandingAgent]:
    with StandingAgent(tmp_path) as standing:
        yield standing
        assert "Traceback" not in standing.said


class Someone:
    """A controller that wants the host; what it hears can be waited for."""

    def __init__(self, loop: LoopThread, path: Path, name: str) -> None:
        self._changed = threading.Condition()
        self.places: list[Queued] = []
        self.session = Session(name, connect_unix(str(path)), loop.reactor, run=name)

    def _hear(self) -> None:
        with self._changed:
            queued = self.session.queued
            if queued is not None and (not self.places or self.places[-1] != queued):
                self.places.append(queued)
            self._changed.notify_all()

    def take(self) -> Someone:
        self.session.begin()
        self.session.welcome()
        return self

    def stand_in_line(self) -> Someone:
        """Returns when it has a place, or the host."""
        self.session.begin(wait=True, on_news=self._hear)
        self.wait(lambda: bool(self.places) or self.session.answered)
        return self

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), self.places

    def wait_place(self, position: int) -> str:
        """Wait for a place in line; who has the host then."""
        self.wait(lambda: self.places[-1].position == position)
        return self.places[-1].holder

    def wait_turn(self) -> None:
        self.wait(lambda: self.session.answered)
        self.session.welcome()

    @property
    def waits(self) -> bool:
        return not self.session.answered


@pytest.fixture
def someone() -> Iterator[Callable[[Path, str], Someone]]:
    """Makes controllers; all are gone afterwards."""
    loop = LoopThread()
    made: list[Someone] = []

    def make(path: Path, name: str) -> Someone:
        made.append(Someone(loop, path, name))
        return made[-1]

    yield make
    for one in made:
        one.session.leave()
    loop.close()


def look(path: Path, owner: str = "") -> Look:
    return Look("dut", connect_unix(str(path)), owner=owner)


Make = Callable[[Path, str], Someone]


# -- looking ------------------------------------------------------------------------------------------


def test_a_look_takes_nothing_and_is_answered_while_somebody_has_the_host(agent: StandingAgent, someone: Make) -> None:
    with look(agent.socket) as free:
        assert (free.holder, free.reservation) == ("", None)
        assert free.props["kernel"] == os.uname().release
        holder = someone(agent.socket, "nightly").take()  # while somebody looks
        with look(agent.socket) as held:
            assert own_name() in held.holder
            assert "nightly" in held.holder
            assert "since" in held.holder
            assert {one["name"] for one in held.inspect()["interfaces"]} >= {"lo", "eth0"}
    holder.session.end()
    with look(agent.socket) as free:
        assert free.holder == ""


def test_who_looks_can_do_nothing_else(agent: StandingAgent) -> None:
    reactor = Reactor()
    got: list[object] = []
    ended: list[str] = []
    connection = Connection(
        connect_unix(str(agent.socket)), reactor, controller_decoder(), got.append, ended.append
    )  # fmt: skip
    with look(agent.socket) as other:
        release = other.release
    connection.send(Hello(PROTOCOLS, "spy", "", "look", release))
    connection.send(StartJob(1, shell="true"))
    while not ended:
        reactor.turn(PATIENCE)
    reactor.close()
    assert [type(one) for one in got] == [Welcome]


# -- reservations -------------------------------------------------------------------------------------


def test_a_reserved_host_is_its_owners(agent: StandingAgent, someone: Make) -> None:
    with look(agent.socket, "anna@desk") as anna:
        anna.reserve(7500, "debugging the NIC")
    with pytest.raises(HostReserved) as refused:
        someone(agent.socket, "other").take()
    assert refused.value.holder == "anna@desk"
    for part in ("reserved for anna@desk until ", "(in 2 h 5 min)", ": debugging the NIC"):
        assert part in str(refused.value)
    with look(agent.socket, "bob@desk") as bob:
        assert bob.reservation is not None
        assert (bob.reservation.owner, bob.reservation.reason) == ("anna@desk", "debugging the NIC")
        with pytest.raises(UsageError, match="only anna@desk may change that"):
            bob.reserve(60)
        with pytest.raises(UsageError, match="--force"):
            bob.unreserve()
        assert bob.unreserve(force=True)["owner"] == "anna@desk"
    assert "bob@desk has ended the reservation of anna@desk (debugging the NIC)" in agent.said
    someone(agent.socket, "other").take().session.end()


def test_the_owner_gets_it_extends_it_and_ends_it(agent: StandingAgent, someone: Make) -> None:
    with look(agent.socket) as me:
        me.reserve(60)
        someone(agent.socket, "mine").take().session.end()
        me.reserve(3600, "longer")
    with look(agent.socket) as me:
        assert me.reservation is not None
        assert 3500 < me.reservation.seconds <= 3600
        assert me.unreserve()["reason"] == "longer"
        assert me.unreserve()["owner"] == ""


def test_a_host_in_use_can_be_reserved_for_afterwards(agent: StandingAgent, someone: Make) -> None:
    holder = someone(agent.socket, "nightly").take()
    with look(agent.socket, "anna@desk") as anna:
        assert "nightly" in anna.reserve(60)["holder"]
    holder.session.end()
    with pytest.raises(HostReserved):
        someone(agent.socket, "nightly2").take()


def test_a_reservation_survives_the_agent_and_ends_by_itself(agent: StandingAgent, someone: Make) -> None:
    with look(agent.socket, "anna@desk") as anna:
        anna.reserve(600)
    agent.process.kill()
    agent.start_again()
    with pytest.raises(HostReserved):
        someone(agent.socket, "other").take()
    with look(agent.socket, "anna@desk") as anna:
        anna.reserve(0.3)
    waiting = someone(agent.socket, "patient").stand_in_line()
    waiting.wait_turn()  # nobody told it: the reservation's own time was up
    with look(agent.socket) as later:
        assert later.reservation is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e12])
def test_lengths_that_are_none(agent: StandingAgent, seconds: float) -> None:
    with look(agent.socket) as me:
        with pytest.raises(UsageError, match="between 0 s and 366 d"):
            me.reserve(seconds)
        assert me.reservation is None


@pytest.mark.parametrize("text", ["", "nonsense", '{"owner": 7}', '{"owner": "a", "reason": "", "until": "never"}'])
def test_a_broken_file_is_no_reservation_and_said(agent: StandingAgent, someone: Make, text: str) -> None:
    (agent.socket.with_suffix(".state") / "reservation").write_text(text)
    someone(agent.socket, "other").take().session.end()
    someone(agent.socket, "again").take().session.end()
    assert agent.said.count("is no reservation") == 1


def test_what_a_reservation_says_does_nothing_to_a_terminal(agent: StandingAgent) -> None:
    with look(agent.socket, "a\x1b[2Jb") as me:
        me.reserve(60, "x\n\x07y" * 1000)
    with look(agent.socket) as other:
        assert other.reservation is not None
        assert other.reservation.owner == "a?[2Jb"
        assert other.reservation.reason.startswith("x ?yx ?y")
        assert len(other.reservation.reason) <= 500


# -- the line -----------------------------------------------------------------------------------------


def test_first_come_first_served_and_nobody_overtakes(agent: StandingAgent, someone: Make) -> None:
    holder = someone(agent.socket, "holder").take()
    line = [someone(agent.socket, f"w{number}").stand_in_line() for number in range(4)]
    assert [one.places[-1].position for one in line] == [1, 2, 3, 4]
    assert "holder" in line[3].places[-1].holder
    line[1].session.leave()
    line[2].wait_place(2)
    line[3].wait_place(3)
    holder.session.end()
    line[0].wait_turn()
    assert "run w0" in line[2].wait_place(1)
    with pytest.raises(LeaseHeld, match="2 stand in line"):
        someone(agent.socket, "hasty").take()
    line[0].session.end()
    line[2].wait_turn()
    assert line[3].waits
    line[2].session.abandon()  # as if it had been killed
    line[3].wait_turn()
    line[3].session.end()
    someone(agent.socket, "late").take()


def test_the_owner_of_a_reservation_comes_first(agent: StandingAgent, someone: Make) -> None:
    holder = someone(agent.socket, "holder").take()
    with look(agent.socket, "anna@desk") as anna:
        anna.reserve(600)
        waiting = someone(agent.socket, "patient").stand_in_line()
        holder.session.end()
        waiting.wait(lambda: waiting.places[-1].holder.startswith("reserved for anna@desk"))
        assert waiting.waits
        anna.unreserve()
    waiting.wait_turn()


def test_who_waits_may_say_nothing(agent: StandingAgent, someone: Make) -> None:
    someone(agent.socket, "holder").take()
    pushy = someone(agent.socket, "pushy").stand_in_line()
    pushy.session.send(StartJob(1, shell="true"))
    pushy.wait(lambda: pushy.session.answered)
    with pytest.raises(AgentUnreachable):
        pushy.session.welcome()


def test_a_line_ends_with_its_agent(agent: StandingAgent, someone: Make) -> None:
    someone(agent.socket, "holder").take()
    waiting = someone(agent.socket, "patient").stand_in_line()
    agent.process.terminate()
    waiting.wait(lambda: waiting.session.answered)
    with pytest.raises(AgentUnreachable, match="ended the connection"):
        waiting.session.welcome()
    agent.start_again()
    someone(agent.socket, "next").take()


# -- two agents on one host ---------------------------------------------------------------------------


def test_one_line_at_two_agents(agent: StandingAgent, someone: Make) -> None:
    with agent.another_beside() as second:
        holder = someone(agent.socket, "holder").take()
        line = [someone((second, agent.socket)[number % 2], f"w{number}").stand_in_line() for number in range(4)]
        assert [one.places[0].position for one in line] == [1, 2, 3, 4]
        for path in (agent.socket, second):
            with pytest.raises(LeaseHeld, match="4 stand in line"):
                someone(path, "hasty").take()
            with look(path) as seen:
                assert "run holder" in seen.holder
        before = holder
        for one in line:
            assert one.waits
            before.session.end()
            one.wait_turn()
            before = one
        before.session.end()


def test_a_reservation_that_is_ended_at_the_other_agent(agent: StandingAgent, someone: Make) -> None:
    with agent.another_beside() as second, look(second, "anna@desk") as anna:
        anna.reserve(600)
        waiting = someone(agent.socket, "patient").stand_in_line()
        assert waiting.places[-1].holder.startswith("reserved for anna@desk")
        anna.unreserve()
        waiting.wait_turn()


def test_the_holders_agent_is_killed(agent: StandingAgent, someone: Make) -> None:
    """The other agent hears of it, puts the host back, and gives it to the first in its line."""
    with agent.another_beside() as second:
        holder = someone(agent.socket, "holder").take()
        waiting = someone(second, "patient").stand_in_line()
        agent.process.kill()
        waiting.wait_turn()
        assert holder.session.lost is not None
        waiting.session.end()
        agent.start_again()


def test_who_stands_before_is_killed_with_its_agent(agent: StandingAgent, someone: Make) -> None:
    holder = someone(agent.socket, "holder").take()
    with agent.another_beside() as second:
        someone(second, "first").stand_in_line()
        waiting = someone(agent.socket, "patient").stand_in_line()
        assert waiting.places[-1].position == 2
    holder.session.end()
    waiting.wait_turn()


def test_waiting_leaves_no_process_behind(agent: StandingAgent, someone: Make) -> None:
    with agent.another_beside() as second:
        someone(agent.socket, "holder").take()
        before = set(descendants(os.getpid()))
        waiting = someone(second, "patient").stand_in_line()
        waiting.session.leave()
        with look(second):  # its loop has gone round
            pass
        until(lambda: set(descendants(os.getpid())) <= before, what="the end of what waited")


def test_a_refusal_is_one_line(agent: StandingAgent, someone: Make) -> None:
    someone(agent.socket, "holder").take()
    reactor = Reactor()
    got: list[object] = []
    ended: list[str] = []
    connection = Connection(connect_unix(str(agent.socket)), reactor, controller_decoder(), got.append, ended.append)
    with look(agent.socket) as other:
        release = other.release
    connection.send(Hello(PROTOCOLS, "x\n\x1b" * 400, "r", "control", release, "y\n" * 400))
    while not ended:
        reactor.turn(PATIENCE)
    reactor.close()
    assert isinstance(got[0], Refused)
    assert got[0].text.isprintable()
