"""What somebody does who waits for hosts: the decisions alone, without any connection.

Each host has a line of its own, first come first served (`agent.line`), and a recipe may need several hosts. Waiting
has two stages.

1. *Anywhere*: stand in line at every host that is in the way, holding nothing. When one is granted, try to get the rest
   of a match without waiting. That is all there is to it for a recipe that needs one host, and the quickest way to any
   match for others. If the rest is not to be had, let everything go; this happens once.
2. *In order*: choose one match, and stand in line for its hosts one after the other, in an order that is the same for
   everybody (by what a host's lock is known by, whatever its address), holding those that were granted already.

Why nobody waits for ever, as long as every run ends some day:

- *No deadlock.* Who holds hosts and waits is in stage 2, and waits for one that comes later in the order than all that
  it holds; who waits in stage 1 holds nothing; who only tries never waits. So, of all that hold and wait, the one whose
  latest host is latest of all waits for somebody who waits for nothing.
- *No starvation.* By induction over the order, from its end: whoever holds the last host waits for nothing and lets it
  go some day; a line is served in order of arrival and nobody may overtake it, so each one in it gets the host after
  as many turns as stood before; the same holds for the last but one, as its holders wait for the last only …
  Stage 1 ends with the first grant, so everybody comes to stage 2 or is done, after at most one loss of place. A host
  that dies is never tried again, so stage 2 begins anew at most as often as there are hosts.

A reservation that somebody else has is part of the line: its owner comes first, until it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from shakeout.matching.mapper import Match

#: Matches that are looked at, of perhaps very many, to choose where to stand in line.
SPREAD = 64


class Join(msgspec.Struct, frozen=True):
    """Stand in line at these hosts; no answer."""

    hosts: tuple[str, ...]


class Hear(msgspec.Struct, frozen=True):
    """Wait for news of a place in line, or of a host that is held: answered by News."""


class Take(msgspec.Struct, frozen=True):
    """Get the hosts of a match that are not held yet, in the global order and without waiting: answered by News.

    If one of them is busy or gone, none is taken.
    """

    match: Match


class LetGo(msgspec.Struct, frozen=True):
    """Leave the lines at these hosts, and release those that are held; no answer."""

    hosts: tuple[str, ...]


class News(msgspec.Struct, frozen=True):
    """What came of it, by hosts' names.

    Attributes:
        granted: held now.
        busy: not free.
        gone: do not answer (any more), or not to us.
    """

    granted: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


Step = Join | Hear | Take | LetGo
Turns = Generator[Step, News, Match | None]
#: The matches without some hosts, in order.
Find = Callable[[Collection[str]], Iterator[Match]]


def turns(find: Find, busy: Collection[str], *, order: Callable[[str], Any], ahead: Callable[[str], int]) -> Turns:
    """Wait for the hosts of a match; returns it once they are held, or None if no match has hosts that answer.

    Args:
        busy: names of the hosts that are known to be held or reserved.
        order: a key by which all controllers sort hosts alike.
        ahead: how many come first at a host, as far as is known.
    """
    gone: set[str] = set()
    match = yield from _anywhere(find, set(busy), gone)
    return match or (yield from _in_order(find, gone, order, ahead))


def names(match: Match) -> frozenset[str]:
    """The names of its hosts."""
    return frozenset(entry.name for entry in match.hosts.values())


def _anywhere(find: Find, busy: set[str], gone: set[str]) -> Turns:
    seen = dict.fromkeys(name for match in islice(find(()), SPREAD) for name in sorted(names(match)))
    standing = {name for name in seen if name in busy}
    held: set[str] = set()
    if not standing:
        return None
    yield Join(tuple(name for name in seen if name in standing))
    while standing:
        news = yield Hear()
        standing -= news.granted | news.gone
        gone |= news.gone
        held |= news.granted
        held -= news.gone
        if not held:
            continue
        match = yield from _complete(find, busy - held, gone)
        if match is not None:
            if others := (standing | held) - names(match):
                yield LetGo(tuple(sorted(others)))
            return match
        break
    if standing | held:
        yield LetGo(tuple(sorted(standing | held)))
    return None


def _complete(find: Find, busy: set[str], gone: set[str]) -> Turns:
    """Try matches of hosts that may be free."""
    while (match := next(find(busy | gone), None)) is not None:
        news = yield Take(match)
        if not news.busy and not news.gone:
            return match
        busy |= news.busy
        gone |= news.gone
    return None


def _in_order(find: Find, gone: set[str], order: Callable[[str], Any], ahead: Callable[[str], int]) -> Turns:
    while (match := _shortest(find(gone), ahead)) is not None:
        held: list[str] = []
        lost: set[str] = set()
        for name in sorted(names(match), key=order):
            yield Join((name,))
            while not lost:
                news = yield Hear()
                lost |= news.gone
                if name in news.granted and not lost:
                    break
            held.append(name)
            if lost:
                break
        else:
            return match
        gone |= lost
        yield LetGo(tuple(held))
    return None


def _shortest(matches: Iterable[Match], ahead: Callable[[str], int]) -> Match | None:
    """The match before which the fewest stand, of the first ones; the first of several."""
    return min(
        islice(matches, SPREAD), key=lambda match: sum(ahead(name) for name in names(match)), default=None
    )  # fmt: skip
