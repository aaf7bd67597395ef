"""The agent's end of the device process: starts it when the first device is used, passes calls and answers on."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable

import msgspec

from shakeout.agent import device_process
from shakeout.agent.children import Children
from shakeout.agent.device_process import Post
from shakeout.wire.connection import Connection
from shakeout.wire.messages import Answer, DeviceCall, Refusal, SourceText
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import UnixTransport

# Made before any fork: making one touches hundreds of pages, each of which is copied in the process that does it.
_decoder = msgspec.msgpack.Decoder(Answer | Refusal)


class DeviceRelay:
    """One session's device process, where shipped device classes live; thrown away with the session.

    Args:
        post: what the process serves.
    """

    def __init__(
        self,
        reactor: Reactor,
        children: Children,
        send: Callable[[msgspec.Struct], None],
        post: Post,
    ) -> None:
        self._reactor = reactor
        self._children = children
        self._send = send
        self._post = post
        self._sources: list[SourceText] = []
        self._connection: Connection | None = None
        self._pid = 0
        self._open: set[int] = set()
        self._broken = False

    def call(self, order: DeviceCall) -> None:
        """Pass a call on; its answer goes to the controller."""
        if self._broken:
            # A new process would number its devices anew, and take one for another.
            text = "the host's device process was killed: none of its devices can be used in this recipe any more"
            self._send(Refusal(order.id, "error", text))
            return
        try:
            connection = self._start()
        except OSError as error:
            text = f"the host could not start its device process: {error.strerror}"
            self._send(Refusal(order.id, "error", text))
            return
        self._open.add(order.id)
        connection.send(order)

    def source(self, order: SourceText) -> None:
        """A source that device classes may need."""
        if self._connection is not None:
            self._connection.send(order)
        else:
            self._sources.append(order)

    def end(self) -> None:
        """End the process, whatever it does, and wait until it can change nothing more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._pid:
            _end_process(self._pid)
            self._pid = 0

    def _start(self) -> Connection:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            with theirs:
                post = msgspec.structs.replace(self._post, sources=tuple(self._sources))
                try:
                    self._pid = device_process.fork(theirs, post)
                except OSError:
                    ours.close()
                    raise
            self._children.expect(self._pid, self._exited)
            self._connection = Connection(UnixTransport(ours), self._reactor, _decoder, self._answer, self._closed)
        return self._connection

    def _exited(self, status: int, now: int) -> None:
        self._pid = 0

    def _answer(self, answer: Answer | Refusal) -> None:
        self._open.discard(answer.id)
        self._send(answer)

    def _closed(self, reason: str) -> None:
        """The process ended by itself: a device class, or a job, killed it."""
        if self._connection is None:
            return  # it was ended
        self._connection = None
        self._broken = True
        for call in self._open:
            self._send(Refusal(call, "error", "the host's device process ended in the middle of this call"))
        self._open.clear()


def _end_process(pid: int) -> None:
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        os.kill(pid, signal.SIGKILL)
        poll = select.poll()
        poll.register(end, select.POLLIN)
        poll.poll(5000)
    except ProcessLookupError:
        pass
    finally:
        os.close(end)
