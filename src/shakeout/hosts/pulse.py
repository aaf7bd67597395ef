"""A host's clock, looked at again and again: how far it is from ours, and whether anybody is there at all."""

from __future__ import annotations

import time
from collections.abc import Callable

from shakeout.hosts.recorder import Recorder
from shakeout.journal.clock import ClockOffset
from shakeout.journal.events import ClockMeasured
from shakeout.wire.connection import Connection
from shakeout.wire.messages import Sync, SyncReply
from shakeout.wire.reactor import Reactor

#: Seconds between two looks.
SYNC_EVERY = 5.0
#: Seconds after which an agent that answers nothing is given up (a starved one answers late, a stopped one never).
SILENCE = 60.0
#: Nanoseconds of error with which a first look is made again at once.
_POOR = 20_000_000


class Pulse:
    """Asks what time it is there, and closes the connection when nobody answers; in the loop's thread.

    Args:
        host: the host's name in the journal.
        wanted: whether the session still goes on as usual.
    """

    def __init__(
        self, host: str, connection: Connection, reactor: Reactor, recorder: Recorder, wanted: Callable[[], bool]
    ) -> None:
        self._host = host
        self._connection = connection
        self._reactor = reactor
        self._recorder = recorder
        self._wanted = wanted
        self._sequence = 0
        self._unanswered = 0
        self._asked_ns = 0
        self._started = False
        self._best = ClockOffset()

    def begin(self, asked_ns: int, host_ns: int) -> None:
        """The first look was the Hello, sent at *asked_ns*."""
        self._measure(asked_ns, host_ns)
        if (self._best.error_ns or 0) > _POOR:
            self._look()  # the agent had to be started first, say
        self.start()

    @property
    def offset_ns(self) -> int:
        """What the host's clock is ahead of the run's axis, as far as is known."""
        return self._best.offset_ns

    def start(self) -> None:
        """Look from now on; harmless the second time."""
        if not self._started:
            self._started = True
            self._reactor.call_later(SYNC_EVERY, self._ask)

    def become(self, host: str, recorder: Recorder) -> None:
        """The host is called *host* from now on, and what is measured goes to *recorder*; it is measured at once."""
        self._host, self._recorder, self._best = host, recorder, ClockOffset()
        self._look()

    def answered(self, reply: SyncReply) -> None:
        """An answer came; one that was not asked for is no news."""
        self._unanswered = 0
        if reply.sequence == self._sequence and self._asked_ns:
            self._measure(self._asked_ns, reply.host_ns)
            self._asked_ns = 0

    def _ask(self) -> None:
        if not self._wanted():
            return
        if self._unanswered * SYNC_EVERY >= SILENCE:
            self._connection.close(f"its agent did not answer for {SILENCE:g} s")
            return
        # Counted, not timed: when it is this program that was stopped, one look is missed, not the host lost.
        self._unanswered += 1
        self._look()
        self._reactor.call_later(SYNC_EVERY, self._ask)

    def _look(self) -> None:
        self._sequence += 1
        self._asked_ns = time.monotonic_ns()
        self._connection.send(Sync(self._sequence, self._asked_ns))

    def _measure(self, asked_ns: int, host_ns: int) -> None:
        """Note the host's clock; the true moment lies somewhere between question and answer."""
        now = time.monotonic_ns()
        offset = host_ns - (asked_ns + now) // 2 + getattr(self._recorder, "began_ns", 0)
        error = (now - asked_ns) // 2
        self._best.take(offset, error, now)
        self._recorder.write(ClockMeasured(host=self._host, host_ns=host_ns, offset_ns=offset, error_ns=error))
