"""Files between the controller and a host."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from shakeout.errors import HostLost, ShakeoutError, TransferError
from shakeout.hosts.session import Request, Session
from shakeout.journal.events import FileTransfer
from shakeout.wire.filetree import TreeWriter, listing, resolve_destination
from shakeout.wire.framing import CHUNK
from shakeout.wire.messages import Entry, FileData, GetFiles, Listing, PutFiles
from shakeout.wire.plain import unpack

_ENTRIES = 400


def send(session: Session, ctl_path: str, agent_path: str, *, recursive: bool) -> str:
    """Send a file or directory to the host; its path there.

    Raises:
        TransferError: it cannot be read here or written there; what was there before still is.
    """
    source = str(Path(ctl_path).expanduser())
    try:
        entries = listing(source, recursive=recursive)
        place = _send(session, source, agent_path, entries)
    except TransferError as error:
        _record(session, "send", ctl_path, agent_path, 0, str(error))
        raise
    _record(session, "send", ctl_path, place, sum(entry.size for entry in entries))
    return place


def _send(session: Session, source: str, agent_path: str, entries: list[Entry]) -> str:
    number, request = session.open_request()
    name = Path(source).resolve().name
    try:
        single = len(entries) == 1 and entries[0].kind == "file"
        if single and session.passes_fds:
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                session.send(PutFiles(number, agent_path, tuple(entries), by_fd=True, name=name), (fd,))
            finally:
                os.close(fd)
        else:
            for start in range(0, len(entries), _ENTRIES):
                piece = tuple(entries[start : start + _ENTRIES])
                more = start + _ENTRIES < len(entries)
                session.send(PutFiles(number, agent_path, piece, more=more, name=name))
            for data in _contents(source, entries):
                if request.answer.done:
                    break  # refused
                session.send(FileData(number, data))
                session.wait_drained()
        request.answer.wait()
        return str(unpack(request.answer.get().payload))
    finally:
        session.close_request(number)


def _contents(top: str, entries: list[Entry]) -> Iterator[bytes]:
    """All files' contents in order, in pieces that are filled up over the ends of small files."""
    waiting = bytearray()
    for entry in entries:
        if entry.kind != "file":
            continue
        path = f"{top}/{entry.path}" if entry.path else top
        left = entry.size
        with Path(path).open("rb", buffering=0) as file:
            while left:
                data = file.read(min(CHUNK - len(waiting), left))
                if not data:
                    raise TransferError(f"{path} became shorter while it was sent")
                waiting += data
                left -= len(data)
                if len(waiting) >= CHUNK:
                    yield bytes(waiting)
                    waiting.clear()
    if waiting:
        yield bytes(waiting)


def receive(session: Session, recv_path: str, ctl_path: str, *, recursive: bool) -> Path:
    """Fetch a file or directory from the host; its path here.

    Raises:
        TransferError: it cannot be read there or written here, or the host sent names that leave the destination.
    """
    name = os.path.basename(os.path.normpath(recv_path)) or "files"  # noqa: PTH119
    destination = resolve_destination(str(Path(ctl_path).expanduser()) if ctl_path else "", name, str(Path.cwd()))
    arrival = _Arrival(session, destination)
    number, request = session.open_request()
    request.on_listing, request.on_data = arrival.listing, arrival.data
    request.on_answer = lambda: arrival.answered(request)
    try:
        session.send(GetFiles(number, recv_path, recursive, by_fd=session.passes_fds))
        arrival.complete.wait()
        arrival.place()
    except BaseException as error:
        arrival.abandon()
        if isinstance(error, ShakeoutError):
            _record(session, "receive", recv_path, ctl_path, 0, str(error))
        raise
    finally:
        session.close_request(number)
    _record(session, "receive", recv_path, destination, arrival.size)
    return Path(destination)


class _Arrival:
    """A transfer that comes in; its methods are called in the loop's thread, but for `place` and `abandon`."""

    def __init__(self, session: Session, destination: str) -> None:
        self._session = session
        self._writer = TreeWriter(destination)
        self._trouble: ShakeoutError | None = None
        self._answered = False
        self.complete = threading.Event()
        self.size = 0

    def listing(self, message: Listing) -> None:
        # Nobody on a host gives a program of ours the right to run as another user.
        entries = [Entry(e.path, e.kind, e.mode & 0o777, e.size, e.target) for e in message.entries]
        source = self._session.take_fd() if message.by_fd else -1
        try:
            self.size += sum(entry.size for entry in entries)
            self._writer.announce(entries)
            if source >= 0:
                if not stat.S_ISREG(os.fstat(source).st_mode):
                    raise TransferError(f"{self._session.name} sent a descriptor that is no file")
                while not self._writer.take(source):
                    pass
                self.complete.set()
        except (ShakeoutError, OSError) as error:
            self._fail(error)
        finally:
            if source >= 0:
                os.close(source)

    def data(self, data: bytes) -> None:
        try:
            self._writer.write(data)
        except (ShakeoutError, OSError) as error:
            self._fail(error)
            return
        if self._answered and self._writer.wanted == 0:
            self.complete.set()

    def answered(self, request: Request) -> None:
        """The answer follows the last announcement; a refusal, or the loss of the host, ends the transfer."""
        try:
            request.answer.get()
        except ShakeoutError as error:
            self._fail(error)
            return
        self._answered = True
        if self._writer.wanted == 0:
            self.complete.set()

    def place(self) -> None:
        if self._trouble is not None:
            raise self._trouble
        if self._session.lost is not None:
            raise HostLost(self._session.lost, self._session.name)
        self._writer.finish()

    def abandon(self) -> None:
        self._writer.abandon()

    def _fail(self, error: ShakeoutError | OSError) -> None:
        if self._trouble is None:
            is_ours = isinstance(error, ShakeoutError)
            self._trouble = error if is_ours else TransferError(error.strerror or str(error))  # type: ignore[assignment,union-attr]
        self.complete.set()


def _record(session: Session, direction: str, source: str, target: str, size: int, error: str = "") -> None:
    session.recorder.write(
        FileTransfer(host=session.name, direction=direction, source=source, target=target, bytes=size, error=error)
    )
