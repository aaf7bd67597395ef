"""Files to and from this host, for one session."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import msgspec

from shakeout.errors import ShakeoutError, TransferError
from shakeout.wire.connection import Connection
from shakeout.wire.filetree import BATCH, Prepare, TreeReader, TreeWriter, open_listing, resolve_destination
from shakeout.wire.messages import AbandonFiles, Answer, FileData, GetFiles, Listing, PutFiles, Refusal
from shakeout.wire.plain import pack
from shakeout.wire.reactor import Reactor


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
        self._leaving: dict[int, Pump] = {}

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
        """Remove what has half arrived, and send nothing more."""
        for writer in self._arriving.values():
            writer.abandon()
        for pump in self._leaving.values():
            pump.stop()
        self._arriving.clear()
        self._leaving.clear()

    def forget(self, order: AbandonFiles) -> None:
        """Give up one transfer."""
        writer = self._arriving.pop(order.id, None)
        if writer is not None:
            writer.abandon()
        pump = self._leaving.pop(order.id, None)
        if pump is not None:
            pump.stop()

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
            entries, fd = open_listing(path, recursive=order.recursive)
        except (ShakeoutError, OSError) as error:
            self._refuse(order.id, error)
            return
        if order.move and fd >= 0:
            with suppress(OSError):  # what cannot be removed was still sent
                os.unlink(path)  # noqa: PTH108
        if order.by_fd and fd >= 0:
            self._connection.send(Listing(order.id, tuple(entries), by_fd=True), (fd,))
            os.close(fd)
            return
        for start in range(0, len(entries), BATCH):
            self._connection.send(Listing(order.id, tuple(entries[start : start + BATCH])))
        self._connection.send(Answer(order.id))
        pump = self._leaving[order.id] = Pump(self._connection, TreeReader(path, entries, fd))
        pump.start(lambda data: FileData(order.id, data), lambda error: self._left(order.id, error))

    def _left(self, transfer: int, error: TransferError | None) -> None:
        """A transfer from this host has ended."""
        self._leaving.pop(transfer, None)
        if error is not None:
            self._refuse(transfer, error)


class Pump:
    """Sends files' contents as fast as the other side takes them, and no faster."""

    def __init__(self, connection: Connection, reader: TreeReader) -> None:
        self._connection = connection
        self._reader = reader
        self._stopped = False

    def start(self, message: Callable[[bytes], msgspec.Struct], on_end: Callable[[TransferError | None], None]) -> None:
        """Send all content as *message*s; *on_end* is called when it is sent, or with why it cannot be."""
        failed: TransferError | None = None
        try:
            while not self._stopped and not self._connection.closed and (data := self._reader.next_piece()):
                self._connection.send(message(data))
                if self._connection.backlog:
                    self._connection.when_drained(lambda: self.start(message, on_end))
                    return
        except TransferError as error:
            failed = error
        self._reader.close()
        if not self._stopped:
            on_end(failed)

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True
        self._reader.close()
