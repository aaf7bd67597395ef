"""One throughput measurement at one of its two ends: begun, timed, ended, and agreed upon with the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from shakeout.modules.flows.load import Load
from shakeout.modules.flows.talk import Begin, Message, PeerGone, Plan, Received, Refused, Sent, Stop, Talk, Tick

if TYPE_CHECKING:
    from shakeout.modules.flows.tcp import TcpReceiver, TcpSender
    from shakeout.modules.flows.udp import UdpReceiver, UdpSender

#: Seconds in which the other end must have told its results when the time is over.
PATIENCE: Final = 15.0


class Session:
    """A measurement, after both ends have agreed on it and all streams are there.

    Args:
        sender, receiver: what this end does; None for what it does not.
        ticked: told each interval that was measured here (True) or at the other end (False).

    Attributes:
        sent, received: what this end knows in the end, None before.
        sent_there, received_there: what the other end knows.
        stopped: somebody ended it early; interrupted: at this end.
    """

    def __init__(
        self,
        talk: Talk,
        plan: Plan,
        sender: TcpSender | UdpSender | None,
        receiver: TcpReceiver | UdpReceiver | None,
        ticked: Callable[[Tick, bool], None],
    ) -> None:
        self.sent: Sent | None = None
        self.received: Received | None = None
        self.sent_there: Sent | None = None
        self.received_there: Received | None = None
        self.stopped = self.interrupted = False
        self._talk, self._plan, self._sender, self._receiver, self._ticked = talk, plan, sender, receiver, ticked
        self._begun_there = False
        self._over = False
        self._load = Load()
        self._seconds = 0.0

    def run(self) -> None:
        """Do it.

        Raises:
            PeerGone: the other end is not there any more; the attributes have what came until then.
        """
        try:
            self._begin()
            try:
                self._measure()
            except KeyboardInterrupt:
                self.stopped = self.interrupted = self._over = True
                self._talk.say(Stop())
            self._agree()
        except PeerGone:
            self._take_stock()
            raise
        finally:
            for part in (self._sender, self._receiver):
                if part is not None:
                    part.stop()

    def _begin(self) -> None:
        if self._receiver is not None:
            self._receiver.start()
        self._talk.say(Begin())
        if self._sender is not None:
            self._sender.start()
        until = time.monotonic() + PATIENCE
        while not self._begun_there:
            self._hear(until)

    def _measure(self) -> None:
        """Until the time is over, or somebody ends it."""
        plan, begin = self._plan, time.monotonic()
        self._wait(begin + plan.warm_up)
        parts = [part for part in (self._sender, self._receiver) if part is not None]
        self._load.begin([thread for part in parts for thread in part.thread_ids()])
        for part in parts:
            part.measure()
        begin = last = time.monotonic()
        moved = self._came()
        try:
            ticks = 1
            while not self._over and last - begin < plan.duration:
                due = min(begin + ticks * plan.interval, begin + plan.duration)
                self._wait(due)
                now, came = time.monotonic(), self._came()
                # A splinter at the end, or when it is stopped, says nothing about the rate.
                if self._receiver is not None and now - last > plan.interval / 2:
                    self._tick(Tick(last - begin, now - begin, 8 * (came - moved) / (now - last)))
                last, moved, ticks = now, came, ticks + 1
        finally:
            if self._sender is not None:
                self._sender.cease()
            self._seconds = time.monotonic() - begin
            if self._receiver is not None:
                self._receiver.close_window()
            self._load.end(one_at_a_time=plan.protocol == "udp")

    def _came(self) -> int:
        return 0 if self._receiver is None else sum(self._receiver.counts)

    def _tick(self, tick: Tick) -> None:
        self._ticked(tick, True)
        self._talk.say(tick)

    def _wait(self, until: float) -> None:
        """Until the moment comes, or somebody ends it."""
        while not self._over and time.monotonic() < until:
            message = self._talk.hear(until)
            if message is not None:
                self._take(message)

    def _agree(self) -> None:
        """Tell what was sent, hear what was; wait for what is late; tell what came, hear what did."""
        until = time.monotonic() + PATIENCE
        if self._sender is not None:
            streams = self._sender.finish()
            error = self._sender.error[:500]
            self.sent = Sent(self._seconds, streams, self._load.cpu, self._load.busy, error)
            self._talk.say(self.sent)
        if self._receiver is not None:
            while self.sent_there is None:
                self._hear(until)
            self._close_books(self.sent_there)
            assert self.received is not None
            self._talk.say(self.received)
        while self._sender is not None and self.received_there is None:
            self._hear(until)

    def _close_books(self, sent: Sent | None) -> None:
        assert self._receiver is not None
        dropped = self._receiver.dropped
        streams = self._receiver.finish([] if sent is None else sent.streams)
        # Datagrams are counted over the time in which they were sent.
        seconds = sent.seconds if sent is not None and self._plan.protocol == "udp" else self._seconds
        self.received = Received(seconds, streams, self._load.cpu, self._load.busy, dropped)

    def _take_stock(self) -> None:
        """The other end is gone: what this one has must do."""
        if self._sender is not None and self.sent is None and self._seconds:
            self.sent = Sent(self._seconds, self._sender.finish(), self._load.cpu, self._load.busy)
        if self._receiver is not None and self.received is None and self._seconds:
            self._close_books(None)

    def _hear(self, until: float) -> None:
        message = self._talk.hear(until)
        if message is None:
            raise PeerGone(f"the other end said nothing for {PATIENCE:g} s")
        self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Begin():
                self._begun_there = True
            case Tick():
                self._ticked(message, False)
            case Stop():
                self.stopped = self._over = True
            case Sent():
                self.sent_there = message
                self._over = True
            case Received():
                self.received_there = message
            case Refused():
                raise PeerGone(message.reason)
            case _:
                raise PeerGone("the other end says what nobody asked for")
