"""An agent that lies: it says Hello's answer as it should, and from then on whatever a test has it say."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

import shakeout
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.messages import Ended, EndSession, Hello, JobDone, Sync, SyncReply, Welcome, agent_decoder

#: A lie: called with each message of the controller and the line on which to answer it.
Lie = Callable[[Any, "Line"], None]
#: What is said, whatever was asked.
Say = Callable[["Line"], None]
#: Seconds; nothing may take longer: a lie must not hang anybody.
PATIENCE = 30.0


class Line:
    """The agent's end of the connection, on which anything can be said."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def say(self, *messages: msgspec.Struct) -> None:
        """Messages, as an honest agent frames them."""
        for message in messages:
            self.raw(frame(msgspec.msgpack.encode(message)))

    def pack(self, *values: Any) -> None:
        """Values that are no messages."""
        for value in values:
            self.raw(frame(msgspec.msgpack.encode(value)))

    def raw(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        """Bytes, with descriptors; the controller may have closed already."""
        try:
            if fds:
                socket.send_fds(self._socket, [data], list(fds))
            else:
                self._socket.sendall(data)
        except OSError:
            return

    def hang_up(self) -> None:
        """End the connection."""
        self._socket.shutdown(socket.SHUT_RDWR)


def welcome(**changes: Any) -> Welcome:
    """What an honest agent says first."""
    told: dict[str, Any] = {"hostname": "liar", "kernel": "6.1", "arch": "x86_64"}
    first = Welcome(1, time.monotonic_ns(), "boot", told, "lease", shakeout.__version__)
    return msgspec.structs.replace(first, **changes)


class Liar:
    """Listens on a unix socket; a context manager.

    Args:
        lie: what to say to each message but the Hello (to that, too, with *whole*).
    """

    def __init__(self, path: Path, lie: Lie, *, whole: bool = False) -> None:
        self.path = str(path)
        self._lie = lie
        self._whole = whole
        self._listener = self._listen()
        self._connected: list[socket.socket] = []
        #: What the controller said.
        self.heard: list[Any] = []
        self.trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="liar")
        self._thread.start()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.path)
        listener.listen(8)
        return listener

    def _greet(self, connected: socket.socket) -> socket.socket:
        """What comes before the first message."""
        return connected

    def _run(self) -> None:
        try:
            while True:
                try:
                    connected, _ = self._listener.accept()
                except OSError:
                    return
                connected = self._greet(connected)
                self._connected.append(connected)
                self._serve(connected)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.trouble = error

    def _serve(self, connected: socket.socket) -> None:
        line, reader, decoder = Line(connected), FrameReader(), agent_decoder()
        while True:
            try:
                data = connected.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            for payload in reader.feed(data):
                message = decoder.decode(payload)
                self.heard.append(message)
                if isinstance(message, Hello) and not self._whole:
                    line.say(welcome())
                else:
                    self._lie(message, line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for connected in self._connected:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._thread.join()
        for open_socket in (self._listener, *self._connected):
            open_socket.close()
        if self.trouble is not None:
            raise self.trouble


def on(kind: type, say: Say) -> Lie:
    """A lie in answer to messages of one kind; the rest is answered honestly."""

    def lie(message: Any, line: Line) -> None:
        if isinstance(message, kind):
            say(line)
        elif isinstance(message, EndSession):
            line.say(Ended())
        elif isinstance(message, Sync):
            line.say(SyncReply(message.sequence, message.t_ns, message.t_ns))

    return lie


def done(number: int = 1, status: int | None = 0, signal: int | None = None, **more: Any) -> JobDone:
    """The end of a job."""
    return JobDone(number, status, signal, 1000, 2000, **more)
