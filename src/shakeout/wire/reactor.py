"""A small event loop over epoll: the one that agents, spawners and the controller's thread run.

Not asyncio, for three measured reasons: an agent is forked from a warm image, and asyncio adds 45 ms to that
image's start and a third to the cost of every fork; a job's round trip is four loop turns, each cheaper here
by 10-15 µs; and a child that is forked inside a running asyncio loop can take its parent's registrations away.
"""

from __future__ import annotations

import errno
import heapq
import os
import select
import time
from _thread import get_ident  # not `threading`: agents are forked, and that does much after a fork
from collections import deque
from collections.abc import Callable

READ = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
WRITE = select.EPOLLOUT
#: Seconds; epoll counts milliseconds in 32 bits. A turn that ends earlier than it had to does no harm.
_LONGEST_WAIT = 86400.0

Callback = Callable[[], None]
Watcher = Callable[[int], None]


class Timer:
    """A call in the future; `cancel()` takes it back."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class Reactor:
    """Calls watchers when their descriptors are ready, and timers when they are due.

    All methods but `call_soon_threadsafe` belong to the thread that runs the loop; `watch`, `modify` and `forget`
    may be called from others, too, because epoll itself is thread-safe and the table has one writer per key.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watchers: dict[int, Watcher] = {}
        self._timers: list[Timer] = []
        self._soon: deque[Callback] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._running = False
        self._thread = 0
        self._closed = False
        self.watch(self._wake, READ, self._woken)

    # -- descriptors ------------------------------------------------------------------------------

    def watch(self, fd: int, events: int, watcher: Watcher) -> None:
        """Call *watcher(events)* whenever *fd* is ready for *events*.

        Raises:
            PermissionError: *fd* is a file, which is always ready.
        """
        self._watchers[fd] = watcher
        try:
            self._epoll.register(fd, events)
        except OSError:
            del self._watchers[fd]
            raise

    def modify(self, fd: int, events: int) -> None:
        """Change what *fd* is watched for; 0 leaves only hang-ups and errors."""
        if fd in self._watchers:
            self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching *fd*; harmless when it is not watched."""
        if self._watchers.pop(fd, None) is not None and not self._closed:
            try:
                self._epoll.unregister(fd)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EBADF):
                    raise

    # -- time -------------------------------------------------------------------------------------

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Call *callback* at *when* (seconds of `time.monotonic`)."""
        timer = Timer(when, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def call_later(self, delay: float, callback: Callback) -> Timer:
        """Call *callback* in *delay* seconds."""
        return self.call_at(time.monotonic() + delay, callback)

    def call_soon(self, callback: Callback) -> None:
        """Call *callback* in the next turn of the loop."""
        self._soon.append(callback)

    def call_soon_threadsafe(self, callback: Callback) -> None:
        """As `call_soon`, from any thread."""
        self._soon.append(callback)
        if get_ident() != self._thread:
            self.wake()

    def wake(self) -> None:
        """End the loop's current wait."""
        if not self._closed:
            os.eventfd_write(self._wake, 1)

    # -- running ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Run until `stop` is called."""
        self._running = True
        self._thread = get_ident()
        while self._running:
            self.turn()
        self._call_soon()  # what was asked for before `stop` is done

    def turn(self, limit: float | None = None) -> None:
        """One turn: wait until something is due (at most *limit* seconds), then call all that is."""
        for fd, events in self._epoll.poll(self._patience(limit)):
            watcher = self._watchers.get(fd)
            if watcher is not None:
                watcher(events)
        if self._timers:
            self._fire()
        self._call_soon()

    def stop(self) -> None:
        """Leave `run` after this turn; from any thread."""
        self._running = False
        if get_ident() != self._thread:
            self.wake()

    def close(self) -> None:
        """Free the loop's own descriptors (not those it watches)."""
        if not self._closed:
            self._closed = True
            self._watchers.clear()
            self._epoll.close()
            os.close(self._wake)

    def _call_soon(self) -> None:
        for _ in range(len(self._soon)):
            self._soon.popleft()()

    def _patience(self, limit: float | None) -> float | None:
        if self._soon:
            return 0
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        due = max(0.0, self._timers[0].when - time.monotonic()) if self._timers else None
        if due is None or (limit is not None and limit < due):
            due = limit
        return due if due is None else min(due, _LONGEST_WAIT)

    def _fire(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            callback = heapq.heappop(self._timers).callback
            if callback is not None:
                callback()

    def _woken(self, events: int) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            pass
