"""Waiting for hosts: several controllers, few hosts, any order of events; everybody gets theirs, nobody's twice."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shakeout.controller.turns import Hear, Join, LetGo, News, Take, Turns, names, turns
from shakeout.matching.inventory import HostEntry
from shakeout.matching.mapper import Match


class Pool:
    """Hosts with a line each, as agents keep them: who is first in a line has the host."""

    def __init__(self, hosts: int) -> None:
        self.lines: dict[str, list[Someone]] = {f"h{number}": [] for number in range(hosts)}
        self.dead: set[str] = set()

    def holder(self, host: str) -> Someone | None:
        return next(iter(self.lines[host]), None)


class Someone:
    """A controller that needs *count* hosts, or all of *fixed*, once."""

    def __init__(self, pool: Pool, choices: list[frozenset[str]], order: list[str]) -> None:
        self.pool = pool
        self.choices = choices
        self.mine: set[str] = set()
        self.joined: set[str] = set()
        self.found: Match | None = None
        self.finished = self.done = False
        self.step: object = None
        self.overtaken = 0
        busy = {host for host, line in pool.lines.items() if line}
        self.turns: Turns = turns(self.find, busy, order=order.index, ahead=lambda host: len(pool.lines[host]))
        self.advance(None)

    def find(self, exclude: Collection[str]) -> Iterator[Match]:
        for choice in self.choices:
            if not choice & set(exclude):
                yield Match({host: HostEntry(host, "pool") for host in sorted(choice)})

    def advance(self, news: News | None) -> None:
        try:
            self.step = self.turns.send(news)  # type: ignore[arg-type]
        except StopIteration as end:
            self.found, self.finished = end.value, True

    def can_act(self) -> bool:
        return not isinstance(self.step, Hear) or bool(self.news())

    def news(self) -> set[str]:
        here = {host for host in self.joined if host in self.pool.dead or self.pool.holder(host) is self}
        return here | (self.mine & self.pool.dead)

    def act(self) -> None:
        lines, step = self.pool.lines, self.step
        if isinstance(step, Join):
            for host in step.hosts:
                lines[host].append(self)
                self.joined.add(host)
            self.advance(None)
        elif isinstance(step, LetGo):
            self.release(set(step.hosts))
            self.advance(None)
        elif isinstance(step, Hear):
            news = self.news()
            gone = frozenset(news & self.pool.dead)
            granted = frozenset(news - gone)
            self.joined -= news
            self.mine = (self.mine | granted) - gone
            self.release(set(gone))
            self.advance(News(granted=granted, gone=gone))
        elif isinstance(step, Take):
            wanted = names(step.match) - self.mine
            gone = wanted & self.pool.dead
            busy = frozenset(host for host in wanted if lines[host] or host in self.joined)
            if not busy and not gone:
                for host in wanted:
                    lines[host].append(self)
                self.mine |= wanted
            self.advance(News(busy=busy - gone, gone=gone))

    def release(self, hosts: set[str]) -> None:
        for host in hosts:
            if self in self.pool.lines[host]:
                self.pool.lines[host].remove(self)
        self.mine -= hosts
        self.joined -= hosts


def play(pool: Pool, people: list[Someone], dice: random.Random, deaths: list[str]) -> None:
    """Let them act in any order until all are done; fails if nobody can act any more."""
    for _ in range(20_000):
        waiting = [one for one in people if not one.done]
        if not waiting:
            return
        able = [one for one in waiting if one.finished or one.can_act()]
        assert able, "nobody can go on, and not all are done"
        if deaths and dice.random() < 0.05:
            pool.dead.add(deaths.pop())
        one = dice.choice(able)
        if not one.finished:
            one.act()
            continue
        one.done = True  # the run was made
        if one.found is None:
            assert all(choice & pool.dead for choice in one.choices)
        else:
            for host in names(one.found) - pool.dead:
                assert pool.holder(host) is one
        one.release(set(pool.lines))
    pytest.fail("it did not end")


@settings(max_examples=300)
@given(
    hosts=st.integers(1, 5),
    needs=st.lists(st.integers(1, 4), min_size=1, max_size=9),
    seed=st.integers(0, 2**32),
    dying=st.integers(0, 2),
    fixed=st.booleans(),
)
def test_everybody_gets_hosts_and_nobody_those_of_another(
    hosts: int, needs: list[int], seed: int, dying: int, fixed: bool
) -> None:
    dice = random.Random(seed)
    pool = Pool(hosts)
    order = list(pool.lines)
    dice.shuffle(order)
    people = []
    for need in needs:
        choices = [frozenset(choice) for choice in combinations(pool.lines, min(need, hosts))]
        dice.shuffle(choices)
        people.append(Someone(pool, choices[:1] if fixed else choices, order))
    deaths = dice.sample(list(pool.lines), min(dying, hosts))
    play(pool, people, dice, deaths)
    assert all(line == [] for line in pool.lines.values())
    for one in people:
        if not pool.dead:
            assert one.found is not None


def test_one_that_is_granted_is_enough_for_a_recipe_of_one_host() -> None:
    hosts = [HostEntry(name, "pool") for name in ("a", "b", "c")]

    def find(exclude: Collection[str]) -> Iterator[Match]:
        return (Match({"m1": host}) for host in hosts if host.name not in exclude)

    steps = turns(find, {"a", "b"}, order=str, ahead=lambda host: 0)
    assert next(steps) == Join(("a", "b"))
    assert steps.send(News()) == Hear()
    assert steps.send(News()) == Hear()
    took = steps.send(News(granted=frozenset("b")))
    assert isinstance(took, Take)
    assert names(took.match) == {"b"}
    assert steps.send(News()) == LetGo(("a",))
    with pytest.raises(StopIteration) as end:
        steps.send(News())
    assert names(end.value.value) == {"b"}


def test_several_are_waited_for_one_after_the_other_in_one_order() -> None:
    match = Match({"m1": HostEntry("a", "pool"), "m2": HostEntry("b", "pool")})

    def find(exclude: Collection[str]) -> Iterator[Match]:
        return iter([] if names(match) & set(exclude) else [match])

    steps = turns(find, {"a"}, order=lambda host: -ord(host), ahead=lambda host: 0)
    assert next(steps) == Join(("a",))
    assert steps.send(News()) == Hear()
    assert steps.send(News(granted=frozenset("a"))) == Take(match)
    assert steps.send(News(busy=frozenset("b"))) == LetGo(("a",))
    assert steps.send(News()) == Join(("b",))
    assert steps.send(News()) == Hear()
    assert steps.send(News(granted=frozenset("b"))) == Join(("a",))
    assert steps.send(News()) == Hear()
    assert steps.send(News(gone=frozenset("b"))) == LetGo(("b", "a"))
    with pytest.raises(StopIteration) as end:
        steps.send(News())
    assert end.value.value is None
