"""KeepConnections: do TCP connections survive what happens to the network, and for how long are they cut?"""

from __future__ import annotations

import errno
import heapq
import selectors
import socket
import struct
import time
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.connection_book import Book, Break, Entry, Gap
from shakeout.modules.durations import Spread
from shakeout.modules.endpoints import SocketAddress, allow_descriptors, endpoint, reason, resolve, told
from shakeout.params import BoolParam, DurationParam, HostnameOrIpParam, IntParam, IpParam

if TYPE_CHECKING:
    from shakeout.modules.series import Series

_BEAT: Final = struct.Struct("!QQ")
#: Seconds before a connection is tried again: at first, and at most.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class KeepConnectionsResult(TypedDict):
    """What KeepConnections found.

    Keys:
        connections: how many there were to be.
        alive: how many there were in the end; survived: those of them that never broke.
        broken: breaks, of all connections; reasons: how often for which reason.
        breaks: each of them, the first 1000.
        max_gap_ms: the longest time for which nothing came through a connection (or the one in its place).
        gaps: times for which nothing did that were longer than *gap*, the first 1000; gap_count: all of them.
        heartbeats, answered: that were sent, and came back.
        rtt_ms: how long they took to come back; None if none did.
        seconds: how long the connections were kept.
    """

    connections: int
    alive: int
    survived: int
    broken: int
    reasons: dict[str, int]
    breaks: list[Break]
    max_gap_ms: float
    gaps: list[Gap]
    gap_count: int
    heartbeats: int
    answered: int
    rtt_ms: Spread | None
    seconds: float


class KeepConnections(BaseTestModule):
    """Keep TCP connections to a listener that echoes (`TcpListen`), and see what becomes of them.

    Prints "N connections to ADDRESS:PORT are up" once they all are: from then on something may happen to
    the network. A heartbeat goes through each connection and back every *interval*. What breaks is
    recorded and made anew. Failed if more than *max_broken* break, or nothing comes through one for
    longer than *max_gap*: that time begins with the first heartbeat that is not answered, so it may be
    shorter than the interruption by one *interval*. The result is a `KeepConnectionsResult`; how many
    are up and how fast the heartbeats come back are samples in the run's journal.
    ``job.kill(signal.SIGINT)`` ends it with what came so far.

    Examples:
        >>> listener = m2.run(TcpListen(port=5100, echo=True, connections=0), bg=True)
        >>> listener.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(KeepConnections(dst=m2_address, port=5100, count=5, duration=0.5), bg=True)
        >>> job.wait_output("5 connections .* are up").start()
        0
        >>> job.wait(timeout=10)
        True
        >>> job.result["survived"], job.result["broken"]
        (5, 0)
        >>> listener.kill(signal.SIGINT)
    """

    dst = HostnameOrIpParam(mandatory=True, desc="address or name of the listener")
    port = IntParam(mandatory=True, minimum=1, maximum=65535)
    count = IntParam(default=10, minimum=1, maximum=20000, desc="connections to keep")
    duration = DurationParam(default=10.0, desc="how long, from when all are up; 0: until stopped")
    interval = DurationParam(default=0.1, minimum=0.001, desc="between two heartbeats of a connection")
    gap = DurationParam(default=1.0, minimum=0.001, desc="times without an answer that are longer are listed")
    dead_after = DurationParam(minimum=0.001, desc="give a connection up without an answer for so long; else TCP does")
    timeout = DurationParam(default=5.0, minimum=0.001, desc="for a connection to be made")
    reconnect = BoolParam(default=True, desc="make a connection anew when it broke")
    bind = IpParam(desc="address to connect from")
    max_broken = IntParam(default=0, minimum=0, desc="connections that may break")
    max_gap = DurationParam(desc="how long nothing may come through a connection; any time if not given")
    sample_interval = DurationParam(default=1.0, minimum=0.01, desc="between samples")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.dead_after is not None and self.dead_after <= self.interval:
            text = f"dead_after={self.dead_after:g} is not longer than interval={self.interval:g}"
            raise BadParameters("KeepConnections", [text])

    def run(self) -> KeepConnectionsResult:
        family, address = resolve(self.dst, self.port, socket.SOCK_STREAM)
        with _Keeper(self, family, address) as keeper:
            self._res_data = keeper.told()
            try:
                keeper.open_all()
                print(f"{self.count} connections to {endpoint(address)} are up", flush=True)  # noqa: T201
                keeper.keep(self.duration)
            except KeyboardInterrupt:
                pass
            finally:
                result = self._res_data = keeper.told()
        self._judge(result, endpoint(address))
        return result

    def _judge(self, result: KeepConnectionsResult, where: str) -> None:
        problems = []
        if result["broken"] > self.max_broken:
            reasons = told(Counter(result["reasons"]))
            allowed = f", allowed are {self.max_broken}" if self.max_broken else ""
            problems.append(
                f"{result['broken']} of {self.count} connections to {where} broke{allowed}: {reasons}"
                if result["broken"] <= self.count
                else f"connections to {where} broke {result['broken']} times{allowed}: {reasons}"
            )
        if self.max_gap is not None and result["max_gap_ms"] > self.max_gap * 1e3:
            problems.append(
                f"for {result['max_gap_ms']:.0f} ms nothing came through a connection to {where} "
                f"(allowed are {self.max_gap * 1e3:.0f} ms)"
            )
        if problems:
            raise ModuleFailed("; ".join(problems))

    def format_result(self, result: Any) -> str:
        """ "10 of 10 connections survived, longest interruption 312 ms"."""
        try:
            text = f"{result['survived']} of {result['connections']} connections survived"
            text += f", {result['broken']} breaks" if result["broken"] else ""
            return text + f", longest interruption {result['max_gap_ms']:.1f} ms"
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Link:
    """One connection, or the attempt to make it."""

    __slots__ = ("awaited", "beat", "entry", "generation", "pause", "sent_at", "sock")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.sock: socket.socket | None = None
        #: Counts connections, so that what was planned for an earlier one is known as such.
        self.generation = 0
        self.beat = 0
        #: What of the last heartbeat has not come back yet, and when it was sent.
        self.awaited = b""
        self.sent_at = 0.0
        self.pause = _FIRST_PAUSE


class _Keeper:
    """All connections of one KeepConnections."""

    def __init__(self, module: KeepConnections, family: socket.AddressFamily, address: SocketAddress) -> None:
        self._module, self._family, self._address = module, family, address
        self._begin = time.monotonic()
        self._book = Book(self._begin, module.gap)
        self._links = [_Link(Entry(self._book, number)) for number in range(module.count)]
        self._selector = selectors.DefaultSelector()
        #: What is to be done when: moment, a number that makes entries differ, link, its generation, what.
        self._plans: list[tuple[float, int, _Link, int, str]] = []
        self._numbers = count()
        self._opening: BaseException | None = None
        self._all_up = False
        self._series: Series | None = None
        self._slowest = 0.0

    def __enter__(self) -> _Keeper:
        return self

    def __exit__(self, *exc: object) -> None:
        for link in self._links:
            if link.sock is not None:
                link.sock.close()
        self._selector.close()

    def open_all(self) -> None:
        """Make all connections.

        Raises:
            ModuleFailed: one cannot be made.
        """
        allow_descriptors()
        for link in self._links:
            self._open(link, time.monotonic())
        while self._book.up < len(self._links):
            if self._opening is None:
                self._step(None)
            if self._opening is not None:
                why = reason(self._opening) if isinstance(self._opening, OSError) else str(self._opening)
                hint = "; is TcpListen(echo=True, connections=0) there?" if "refused" in why else ""
                raise ModuleFailed(
                    f"only {self._book.up} of {len(self._links)} connections to {endpoint(self._address)} "
                    f"could be made: {why}{hint}"
                )
        self._all_up = True

    def keep(self, duration: float) -> None:
        """Keep them for *duration* seconds, 0: for ever."""
        now = time.monotonic()
        self._begin = self._book.begin = now
        until = now + duration if duration else None
        self._series = self._module.series("connections", alive="1", waiting="1", rtt="s")
        due = now + self._module.sample_interval
        while until is None or now < until:
            self._step(due if until is None else min(due, until))
            now = time.monotonic()
            if now >= due:
                self._sample(now)
                due += self._module.sample_interval

    def told(self) -> KeepConnectionsResult:
        """What became of them until now."""
        now, book = time.monotonic(), self._book
        for link in self._links:
            link.entry.ended(now)
        return KeepConnectionsResult(
            connections=len(self._links),
            alive=book.up,
            survived=sum(link.entry.up and not link.entry.breaks for link in self._links),
            broken=book.broken,
            reasons=dict(book.reasons),
            breaks=book.breaks,
            max_gap_ms=round(book.longest_gap * 1e3, 3),
            gaps=book.gaps,
            gap_count=book.gap_count,
            heartbeats=book.heartbeats,
            answered=book.answered,
            rtt_ms=book.rtt(),
            seconds=round(now - self._begin, 6),
        )

    def _sample(self, now: float) -> None:
        assert self._series is not None
        waits = [now - link.entry.waiting_since for link in self._links if link.entry.waiting_since is not None]
        waiting = sum(wait > self._module.interval for wait in waits)
        self._series.add(alive=self._book.up, waiting=waiting, rtt=max(self._slowest, *waits, 0.0))
        self._slowest = 0.0

    def _step(self, until: float | None) -> None:
        """Wait for the next thing that happens or is due, at most until then, and see to it."""
        moments = [moment for moment in (until, self._plans[0][0] if self._plans else None) if moment is not None]
        left = max(0.0, min(moments) - time.monotonic()) if moments else None
        for key, events in self._selector.select(left):
            self._attend(key.data, events, time.monotonic())
        now = time.monotonic()
        while self._plans and self._plans[0][0] <= now:
            _, _, link, generation, what = heapq.heappop(self._plans)
            if link.generation == generation:
                self._carry_out(link, what, now)

    def _plan(self, link: _Link, moment: float, what: str) -> None:
        heapq.heappush(self._plans, (moment, next(self._numbers), link, link.generation, what))

    def _carry_out(self, link: _Link, what: str, now: float) -> None:
        if what == "open":
            self._open(link, now)
        elif what == "give up":
            self._failed(link, TimeoutError("timed out"), now)
        elif what == "beat":
            self._beat(link, now)

    def _open(self, link: _Link, now: float) -> None:
        link.generation += 1
        sock = link.sock = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._module.bind is not None:
                sock.bind((str(self._module.bind), 0))
            number = sock.connect_ex(self._address)
            if number and number != errno.EINPROGRESS:
                raise _error(number)
        except OSError as error:
            sock.close()
            link.sock = None
            self._failed(link, error, now)
            return
        self._selector.register(sock, selectors.EVENT_WRITE, link)
        self._plan(link, now + self._module.timeout, "give up")

    def _attend(self, link: _Link, events: int, now: float) -> None:
        if link.sock is None:
            return
        try:
            if events & selectors.EVENT_WRITE:
                number = link.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise _error(number)
                self._connected(link, now)
            else:
                self._receive(link, now)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(link, error, now)

    def _connected(self, link: _Link, now: float) -> None:
        assert link.sock is not None
        self._selector.modify(link.sock, selectors.EVENT_READ, link)
        link.generation += 1
        link.pause, link.awaited = _FIRST_PAUSE, b""
        link.entry.opened(now)
        self._beat(link, now)

    def _beat(self, link: _Link, now: float) -> None:
        """Send a heartbeat, unless one is still on its way: what waits is told from that one."""
        assert link.sock is not None
        self._plan(link, now + self._module.interval, "beat")
        dead_after = self._module.dead_after
        if link.awaited:
            if dead_after is not None and now - link.sent_at >= dead_after:
                self._failed(link, OSError(f"no answer for {dead_after:g} s"), now)
            return
        link.beat += 1
        data = _BEAT.pack(link.entry.number, link.beat)
        try:
            link.sock.sendall(data)  # so few bytes find room, as nothing else is on its way
        except OSError as error:
            self._failed(link, error, now)
            return
        link.awaited, link.sent_at = data, now
        link.entry.sent(now)

    def _receive(self, link: _Link, now: float) -> None:
        assert link.sock is not None
        data = link.sock.recv(1 << 12)
        if not data:
            raise OSError("the peer closed it")
        if not link.awaited.startswith(data):
            raise OSError("what came back is not what was sent: does the listener echo?")
        link.awaited = link.awaited[len(data) :]
        if not link.awaited:
            link.entry.answered(link.sent_at, now)
            self._slowest = max(self._slowest, now - link.sent_at)

    def _failed(self, link: _Link, error: OSError, now: float) -> None:
        """A connection broke, or could not be made."""
        if link.sock is not None:
            self._selector.unregister(link.sock)
            link.sock.close()
            link.sock = None
        link.generation += 1
        link.awaited = b""
        if not self._all_up:
            self._opening = error
        if link.entry.up:
            link.entry.broke(reason(error), now)
        if self._all_up and self._module.reconnect:
            self._plan(link, now + link.pause, "open")
            link.pause = min(2 * link.pause, _LONGEST_PAUSE)


def _error(number: int) -> OSError:
    import os

    return OSError(number, os.strerror(number))
