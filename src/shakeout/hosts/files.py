"""Files between the controller and a host."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from shakeout.errors import HostLost, ShakeoutError, TransferError
from shakeout.journal.events import FileTransfer
from shakeout.wire.filetree import BATCH, TreeReader, TreeWriter, open_listing, resolve_destination
from shakeout.wire.messages import AbandonFiles, FileData, GetFiles, Listing, PutFiles
from shakeout.wire.parts import Entry
from shakeout.wire.plain import unpack

if TYPE_CHECKING:
    from shakeout.hosts.session import Session


def send(session: Session, ctl_path: str, agent_path: str, *, recursive: bool) -> str:
    """Send a file or directory to the host; its path there.

    Raises:
        TransferError: it cannot be read here or written there; what was there before still is.
    """
    source = str(Path(ctl_path).expanduser())
    try:
        entries, fd = open_listing(source, recursive=recursive)
        reader = TreeReader(source, entries, fd)
        try:
            place = _send(session, source, agent_path, entries, reader, fd)
        finally:
            reader.close()
    except ShakeoutError as error:
        _record(session, "send", ctl_path, agent_path, 0, str(error))
        raise
    _record(session, "send", ctl_path, place, sum(entry.size for entry in entries))
    return place


def _send(session: Session, source: str, agent_path: str, entries: list[Entry], reader: TreeReader, fd: int) -> str:
    number, request = session.open_request()
    name = _name_of(source)
    try:
        if fd >= 0 and session.passes_fds:
            session.send(PutFiles(number, agent_path, tuple(entries), by_fd=True, name=name), (fd,))
        else:
            for start in range(0, len(entries), BATCH):
                piece = tuple(entries[start : start + BATCH])
                more = start + BATCH < len(entries)
                session.send(PutFiles(number, agent_path, piece, more=more, name=name))
            while not request.answer.done and (data := reader.next_piece()):  # it is answered now if it was refused
                session.send(FileData(number, data))
                session.wait_drained()
        request.answer.wait()
        return str(unpack(request.answer.get().payload))
    except BaseException:
        session.send(AbandonFiles(number))
        raise
    finally:
        session.close_request(number)


def _name_of(path: str) -> str:
    """What something is called when it is put into a directory."""
    return os.path.basename(os.path.abspath(path)) or "files"  # noqa: PTH100, PTH119


def receive(
    session: Session,
    recv_path: str,
    ctl_path: str,
    *,
    recursive: bool,
    move: bool = False,
    artifact: str = "",
    job: int = 0,
) -> Path:
    """Fetch a file or directory from the host; its path here.

    Args:
        move: a single file is removed from the host.
        artifact, job: for the journal: where it is in the run's folder, and the job that left it.

    Raises:
        TransferError: it cannot be read there or written here, or the host sent names that leave the destination.
    """
    name = _name_there(recv_path)
    destination = resolve_destination(str(Path(ctl_path).expanduser()) if ctl_path else "", name, str(Path.cwd()))
    arrival = _Arrival(session, destination, recursive=recursive)
    number, request = session.open_request()
    request.on_listing, request.on_data = arrival.listing, arrival.data
    request.on_answer = arrival.answered
    try:
        session.send(GetFiles(number, recv_path, recursive, by_fd=session.passes_fds, move=move))
        arrival.complete.wait()
        arrival.place()
    except BaseException as error:
        arrival.abandon()
        session.send(AbandonFiles(number))
        if isinstance(error, ShakeoutError):
            _record(session, "receive", recv_path, ctl_path, 0, str(error), job=job)
        raise
    finally:
        session.close_request(number)
    _record(session, "receive", recv_path, destination, arrival.size, job=job, artifact=artifact)
    return Path(destination)


def _name_there(path: str) -> str:
    """As `_name_of`, for a path on a host, of which only the text is known."""
    name = os.path.basename(os.path.normpath(path))  # noqa: PTH119
    return "files" if name in ("", ".", "..") else name


class _Arrival:
    """A transfer that comes in; its methods are called in the loop's thread, but for `place` and `abandon`."""

    def __init__(self, session: Session, destination: str, *, recursive: bool) -> None:
        self._session = session
        self._recursive = recursive
        self._writer = TreeWriter(destination)
        self._trouble: ShakeoutError | None = None
        self._answered = False
        self._source = -1
        self.complete = threading.Event()
        self.size = 0

    def listing(self, message: Listing) -> None:
        # Nobody on a host gives a program of ours the right to run as another user.
        entries = [Entry(e.path, e.kind, e.mode & 0o777, e.size, e.target) for e in message.entries]
        source = self._session.take_fd() if message.by_fd else -1
        try:
            if not self._recursive and any(entry.path or entry.kind != "file" for entry in entries):
                raise TransferError(f"{self._session.name} sent more than the file that was asked for")
            self.size += sum(entry.size for entry in entries)
            self._writer.announce(entries)
            if source >= 0:
                if self._source >= 0 or not stat.S_ISREG(os.fstat(source).st_mode):
                    raise TransferError(f"{self._session.name} sent a descriptor that is no file")
                self._source, source = source, -1  # copied by the thread that waits: the loop has others to serve
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

    def answered(self, error: ShakeoutError | None) -> None:
        """The answer follows the last announcement; a refusal, or the loss of the host, may come even after that."""
        if error is not None:
            self._fail(error)
            return
        if self._session.closed:  # after the answer, but before all that was announced
            self._fail(HostLost(self._session.lost or "its connection ended", self._session.name))
        self._answered = True
        if self._writer.wanted == 0:
            self.complete.set()

    def place(self) -> None:
        if self._trouble is not None:
            raise self._trouble
        if self._session.lost is not None:
            raise HostLost(self._session.lost, self._session.name)
        while self._source >= 0 and not self._writer.take(self._source):
            pass
        self._close_source()
        self._writer.finish()

    def abandon(self) -> None:
        self._close_source()
        self._writer.abandon()

    def _close_source(self) -> None:
        if self._source >= 0:
            os.close(self._source)
            self._source = -1

    def _fail(self, error: ShakeoutError | OSError) -> None:
        if self._trouble is None:
            if isinstance(error, OSError):
                error = TransferError(error.strerror or str(error))
            self._trouble = error
        self.complete.set()


def _record(
    session: Session,
    direction: str,
    source: str,
    target: str,
    size: int,
    error: str = "",
    *,
    job: int = 0,
    artifact: str = "",
) -> None:
    event = FileTransfer(
        host=session.name, direction=direction, source=source, target=target, bytes=size, error=error, job=job,
        artifact=artifact,
    )  # fmt: skip
    session.recorder.write(event)
