"""A connection: typed messages over a transport, driven by a reactor."""

from __future__ import annotations

import os
from _thread import allocate_lock  # as in the reactor
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from shakeout.errors import ProtocolError
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.harmless import harmless
from shakeout.wire.reactor import READ, WRITE, Reactor
from shakeout.wire.transports import Transport
from shakeout.wire.undisturbed import undisturbed

_ENCODER = msgspec.msgpack.Encoder()
#: Descriptors that may wait for the message that they belong to; an honest peer sends one with a message.
_MOST_FDS = 16


class Connection:
    """Sends and receives messages; ends itself at the first thing that is none.

    `send` may be called from any thread: what the kernel takes at once goes out in the caller's thread, so that a
    request costs no thread switch; the rest waits for the loop.

    Args:
        decoder: decodes the messages that the *other* side may send.
        on_message: called in the loop's thread, message by message.
        on_closed: called once, in the loop's thread, with the reason ("" for an orderly end).
    """

    def __init__(
        self,
        transport: Transport,
        reactor: Reactor,
        decoder: msgspec.msgpack.Decoder[Any],
        on_message: Callable[[Any], None],
        on_closed: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._reactor = reactor
        self._decoder = decoder
        self._on_message = on_message
        self._on_closed = on_closed
        self._reader = FrameReader()
        self._lock = allocate_lock()
        self._waiting: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._fds: deque[int] = deque()
        self._fd = transport.fileno()
        self._write_fd = transport.write_fileno()
        self._on_drained: list[Callable[[], None]] = []
        self.closed = False
        if (attend := getattr(transport, "attend", None)) is not None:  # one that finds out by itself that it is cut
            attend(reactor)
        reactor.watch(self._fd, READ, self._ready)

    @property
    def passes_fds(self) -> bool:
        """Whether descriptors can be sent along."""
        return self._transport.passes_fds

    @property
    def identity(self) -> str:
        """Who the other side is, as the connection itself vouches for it; "" if it does not."""
        return self._transport.identity

    @property
    def local_address(self) -> str:
        """The address of this end; "" for a connection within the machine."""
        return self._transport.local_address

    @property
    def backlog(self) -> bool:
        """Whether the other side is slower than we are, at the moment."""
        return bool(self._waiting)

    def send(self, message: msgspec.Struct, fds: tuple[int, ...] = ()) -> None:
        """Send *message*, and *fds* with it (the kernel duplicates them: the caller may close its own).

        A connection that is closed swallows it: its end has been, or will be, told by `on_closed`.
        """
        data = frame(_ENCODER.encode(message))
        with undisturbed, self._lock:
            if self.closed:
                return
            if self._waiting:
                self._queue(memoryview(data), fds)
                return
            try:
                sent = self._transport.send(data, fds)
            except OSError as error:
                reason = _reason(error)
                self._reactor.call_soon_threadsafe(lambda: self.close(reason))
                return
            if sent < len(data):
                self._queue(memoryview(data)[sent:], () if sent else fds)
                self._watch_room()

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call *callback* once, in the loop, when nothing waits to be sent (any more, if the connection ends)."""
        self._on_drained.append(callback)
        if not self._waiting:
            self._reactor.call_soon_threadsafe(self._tell_drained)

    def take_fd(self) -> int:
        """The next descriptor that came with a message; the caller owns it.

        Raises:
            ProtocolError: none came.
        """
        if not self._fds:
            raise ProtocolError("a message announced a descriptor that did not come")
        return self._fds.popleft()

    def close(self, reason: str = "") -> None:
        """End the connection (loop thread only)."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
        self._reactor.forget(self._fd)
        if self._write_fd != self._fd:
            self._reactor.forget(self._write_fd)
        self._transport.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        while self._waiting:
            for fd in self._waiting.popleft()[1]:
                os.close(fd)
        self._on_closed(reason)
        self._tell_drained()  # who waits shall not wait for ever

    def let_go(self) -> None:
        """In a forked child: have no part in the connection, which goes on in the parent.

        It takes no lock, which another thread may have held at the fork, and tells nobody.
        """
        self.closed = True
        self._transport.close()

    def _queue(self, data: memoryview, fds: tuple[int, ...]) -> None:
        self._waiting.append((data, tuple(os.dup(fd) for fd in fds)))

    def _watch_room(self) -> None:
        if self._write_fd == self._fd:
            self._reactor.modify(self._fd, READ | WRITE)
        else:
            self._reactor.watch(self._write_fd, WRITE, lambda events: self._flush())

    def _forget_room(self) -> None:
        if self._write_fd == self._fd:
            self._reactor.modify(self._fd, READ)
        else:
            self._reactor.forget(self._write_fd)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & ~WRITE and not self.closed:
            self._read()

    def _flush(self) -> None:
        with self._lock:
            while self._waiting:
                data, fds = self._waiting[0]
                try:
                    sent = self._transport.send(data, fds)
                except OSError as error:
                    reason = _reason(error)
                    break
                if sent:
                    for fd in fds:
                        os.close(fd)
                    if sent == len(data):
                        self._waiting.popleft()
                        continue
                    self._waiting[0] = (data[sent:], ())
                return
            else:
                reason = None
                self._forget_room()
        if reason is None:
            self._tell_drained()
        else:
            self.close(reason)

    def _tell_drained(self) -> None:
        if not self._waiting:
            callbacks, self._on_drained = self._on_drained, []
            for callback in callbacks:
                callback()

    def _read(self) -> None:
        try:
            received = self._transport.receive()
        except OSError as error:
            self.close(_reason(error))
            return
        if received is None:
            return
        data, fds = received
        if fds:
            self._fds.extend(fds)
            if len(self._fds) > _MOST_FDS:
                self.close(f"more than {_MOST_FDS} descriptors came without the messages they belong to")
                return
        if not data:
            self.close("" if not self._reader.pending else "the connection ended inside a message")
            return
        try:
            for payload in self._reader.feed(data):
                self._on_message(self._decoder.decode(payload))
                if self.closed:
                    return
        except (ProtocolError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            self.close(f"what came is not the protocol: {harmless(str(error))}")
            return
        except Exception as error:  # noqa: BLE001 - the edge of a peer: whatever it sent, the loop serves others, too
            self.close(harmless(f"what came could not be dealt with: {type(error).__name__}: {error}"))
            return
        while self._fds and not self._reader.pending:
            os.close(self._fds.popleft())  # nobody asked for these


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
