"""What became of long-lived connections: kept book of, with no connection in sight."""

from __future__ import annotations

from typing import Final, TypedDict

from shakeout.modules.durations import Spread

#: Breaks and gaps that a result names; more are counted only.
MAX_NAMED: Final = 1000


class Break(TypedDict):
    """One connection broke.

    Keys:
        connection: its number, from 0.
        at_s: when, in seconds from the start.
        reason: as the kernel says, or "the peer closed it" and so on.
        lasted_s: how long it had been up.
        restored_s: from when nothing came through any more until something came through a new connection;
            None if that did not happen.
    """

    connection: int
    at_s: float
    reason: str
    lasted_s: float
    restored_s: float | None


class Gap(TypedDict):
    """For some time nothing came through a connection.

    Keys:
        connection: its number, from 0.
        at_s: when the time began, in seconds from the start.
        seconds: how long it was.
        broke: the connection broke, and it was another one that something came through again.
    """

    connection: int
    at_s: float
    seconds: float
    broke: bool


class Entry:
    """What is known of one connection, and of those that took its place when it broke; times are in seconds.

    Attributes:
        up: there is a connection.
        waiting_since: since when nothing has come through: a heartbeat was sent, or the connection broke,
            whatever came first; None if nothing is awaited.
        breaks: how often it broke.
    """

    __slots__ = ("_book", "_break", "_opened", "breaks", "number", "up", "waiting_since")

    def __init__(self, book: Book, number: int) -> None:
        self._book = book
        self.number = number
        self.up = False
        self.waiting_since: float | None = None
        self.breaks = 0
        self._opened = 0.0
        self._break: Break | None = None

    def opened(self, now: float) -> None:
        """A connection was made."""
        self.up, self._opened = True, now
        self._book.up += 1

    def sent(self, now: float) -> None:
        """A heartbeat was sent."""
        self._book.heartbeats += 1
        if self.waiting_since is None:
            self.waiting_since = now

    def answered(self, sent: float, now: float) -> None:
        """The heartbeat that was sent at *sent* came back."""
        self._book.note_rtt(now - sent)
        if self.waiting_since is not None:
            self._book.end_of_wait(self, now)
        if self._break is not None:
            since = self.waiting_since if self.waiting_since is not None else now
            self._break["restored_s"] = round(now - since, 6)
            self._break = None
        self.waiting_since = None

    def broke(self, reason: str, now: float) -> None:
        """The connection is gone."""
        self.up = False
        self._book.up -= 1
        self.breaks += 1
        if self.waiting_since is None:
            self.waiting_since = now
        self._break = self._book.note_break(
            Break(
                connection=self.number,
                at_s=round(now - self._book.begin, 6),
                reason=reason,
                lasted_s=round(now - self._opened, 6),
                restored_s=None,
            )
        )

    def ended(self, now: float) -> None:
        """Nobody looks any more."""
        if self.waiting_since is not None:
            self._book.end_of_wait(self, now)

    @property
    def is_broken(self) -> bool:
        """Whether it broke, and nothing has come through since."""
        return self._break is not None or not self.up


class Book:
    """What became of all connections.

    Args:
        begin: the moment from which times count.
        threshold: seconds; a gap that is longer is named.

    Attributes:
        up: connections that there are.
        heartbeats, answered: sent and come back.
        broken: breaks, reasons: how often for which reason.
        longest_gap: seconds, of all gaps.
        breaks, gaps: the first of them; gap_count: all gaps longer than the threshold.
    """

    def __init__(self, begin: float, threshold: float) -> None:
        self.begin, self.threshold = begin, threshold
        self.up = self.heartbeats = self.answered = self.broken = self.gap_count = 0
        self.reasons: dict[str, int] = {}
        self.longest_gap = 0.0
        self.breaks: list[Break] = []
        self.gaps: list[Gap] = []
        self._fastest = self._slowest = self._sum = 0.0

    def note_rtt(self, seconds: float) -> None:
        self._fastest = min(seconds, self._fastest) if self.answered else seconds
        self._slowest = max(seconds, self._slowest)
        self._sum += seconds
        self.answered += 1

    def note_break(self, entry: Break) -> Break:
        self.broken += 1
        self.reasons[entry["reason"]] = self.reasons.get(entry["reason"], 0) + 1
        if len(self.breaks) < MAX_NAMED:
            self.breaks.append(entry)
        return entry

    def end_of_wait(self, entry: Entry, now: float) -> None:
        assert entry.waiting_since is not None
        seconds = now - entry.waiting_since
        self.longest_gap = max(self.longest_gap, seconds)
        if seconds <= self.threshold:
            return
        self.gap_count += 1
        if len(self.gaps) < MAX_NAMED:
            at_s = round(entry.waiting_since - self.begin, 6)
            broke = entry.is_broken
            self.gaps.append(Gap(connection=entry.number, at_s=at_s, seconds=round(seconds, 6), broke=broke))

    def rtt(self) -> Spread | None:
        """How long heartbeats took to come back, None if none did."""
        if not self.answered:
            return None
        lowest, mean, highest = self._fastest, self._sum / self.answered, self._slowest
        return Spread(min=round(lowest * 1e3, 3), avg=round(mean * 1e3, 3), max=round(highest * 1e3, 3))
