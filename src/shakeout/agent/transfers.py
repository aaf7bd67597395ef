"""Files to and from this host, for one session."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from shakeout.errors import ShakeoutError, TransferError
from shakeout.wire.connection import Connection
from shakeout.wire.filetree import Prepare, TreeWriter, listing, resolve_destination
from shakeout.wire.framing import CHUNK
from shakeout.wire.messages import Answer, Entry, FileData, GetFiles, Listing, PutFiles, Refusal
from shakeout.wire.plain import pack
from shakeout.wire.reactor import Reactor

#: Entries in one Listing, so that it stays a small message.
_ENTRIES = 400


class Transfers:
    """All transfers of a session.

    Args:
        prepare: writes the undo of the paths it is given.
        home: what relative paths count from.
    """

    def __init__(self, connection: Connection, reactor: Reactor, prepare: Prepare, home: str) -> None:
        self._connection = connection
        self._reactor = reactor
        self._prepare = prepare
        self._home = home
        self._arriving: dict[int, TreeWriter] = {}

    # -- to this host -----------------------------------------------------------------------------

    def put(self, order: PutFiles) -> None:
        """Begin (or go on announcing) a transfer to this host."""
        source = self._connection.take_fd() if order.by_fd else -1
        try:
            writer = self._arriving.get(order.id)
            if writer is None:
                writer = self._arriving[order.id] = TreeWriter(resolve_destination(order.path, order.name, self._home))
            writer.announce(order.entries)
        except (ShakeoutError, OSError) as error:
            self._refuse(order.id, error)
            if source >= 0:
                os.close(source)
            return
        if source >= 0:
            self._pull(order.id, writer, source)
        elif not order.more and writer.wanted == 0:
            self._finish(order.id, writer)

    def write(self, order: FileData) -> None:
        """Some content of a transfer to this host; data of a transfer that was refused is dropped."""
        writer = self._arriving.get(order.id)
        if writer is None:
            return
        try:
            writer.write(order.data)
        except ShakeoutError as error:
            self._refuse(order.id, error)
            return
        if writer.wanted == 0:
            self._finish(order.id, writer)

    def abandon(self) -> None:
        """Remove what has half arrived."""
        for writer in self._arriving.values():
            writer.abandon()
        self._arriving.clear()

    def _pull(self, transfer: int, writer: TreeWriter, source: int) -> None:
        """Copy from a descriptor, a piece a turn, so that nothing else on this host waits."""

        def piece() -> None:
            if transfer not in self._arriving:
                os.close(source)
                return
            try:
                complete = writer.take(source)
            except (ShakeoutError, OSError) as error:
                os.close(source)
                self._refuse(transfer, error)
                return
            if not complete:
                self._reactor.call_soon(piece)
                return
            os.close(source)
            self._finish(transfer, writer)

        piece()

    def _finish(self, transfer: int, writer: TreeWriter) -> None:
        del self._arriving[transfer]
        try:
            self._connection.send(Answer(transfer, pack(writer.finish(self._prepare))))
        except (ShakeoutError, OSError) as error:
            self._refuse(transfer, error)

    def _refuse(self, transfer: int, error: ShakeoutError | OSError) -> None:
        writer = self._arriving.pop(transfer, None)
        if writer is not None:
            writer.abandon()
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self._connection.send(Refusal(transfer, "transfer", text))

    # -- from this host ---------------------------------------------------------------------------

    def get(self, order: GetFiles) -> None:
        """Send what is at a path."""
        path = os.path.join(self._home, order.path)  # noqa: PTH118
        try:
            entries = listing(path, recursive=order.recursive)
            if order.by_fd and len(entries) == 1 and entries[0].kind == "file":
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    self._connection.send(Listing(order.id, tuple(entries), by_fd=True), (fd,))
                finally:
                    os.close(fd)
                return
        except (ShakeoutError, OSError) as error:
            self._refuse(order.id, error)
            return
        for start in range(0, len(entries), _ENTRIES):
            self._connection.send(Listing(order.id, tuple(entries[start : start + _ENTRIES])))
        self._connection.send(Answer(order.id))
        pump = Pump(self._connection, path, [entry for entry in entries if entry.kind == "file"])
        pump.start(lambda data: FileData(order.id, data), lambda error: self._refuse(order.id, error))


class Pump:
    """Sends files' contents as fast as the other side takes them, and no faster."""

    def __init__(self, connection: Connection, top: str, files: list[Entry]) -> None:
        self._connection = connection
        self._top = top
        self._files = iter(files)
        self._fd = -1
        self._left = 0

    def start(
        self, message: Callable[[bytes], msgspec.Struct], on_error: Callable[[TransferError], None]
    ) -> None:
        """Send all content as *message*s; *on_error* is called if a file cannot be read as it was listed."""
        try:
            while (data := self._next()) is not None:
                self._connection.send(message(data))
                if self._connection.closed:
                    break
                if self._connection.backlog:
                    self._connection.when_drained(lambda: self.start(message, on_error))
                    return
        except OSError as error:
            on_error(TransferError(f"{error.filename or self._top}: {error.strerror}"))
        except TransferError as error:
            on_error(error)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _next(self) -> bytes | None:
        """The next piece, filled up over the ends of small files; None at the end."""
        pieces: list[bytes] = []
        room = CHUNK
        while room > 0:
            if self._left == 0:
                entry = next(self._files, None)
                if entry is None:
                    break
                if self._fd >= 0:
                    os.close(self._fd)
                path = f"{self._top}/{entry.path}" if entry.path else self._top
                self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                self._left = entry.size
                continue
            data = os.read(self._fd, min(room, self._left))
            if not data:
                raise TransferError(f"{self._top}: a file became shorter while it was sent")
            pieces.append(data)
            room -= len(data)
            self._left -= len(data)
        return b"".join(pieces) or None
