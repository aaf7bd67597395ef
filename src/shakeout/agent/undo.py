"""The undo log of a host: written before every change, replayed last in, first out.

One JSON object a line, so that a person can read what would be undone. Several processes of a host
append to the same file (the agent, and the session process in which device classes run): each entry
is one ``write`` with O_APPEND, and begins with a line feed of its own, so that a half entry of a
writer that was killed spoils nothing but itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from shakeout.agent.restore import Restorer
from shakeout.agent.restorefiles import file_entry
from shakeout.devices.namespaces import own_inode
from shakeout.devices.netlink import Netlink
from shakeout.errors import DeviceError, ShakeoutError
from shakeout.wire.undo import FileRestore, Header, RouteAdd, UndoEntry, outlives_boot

Entry = TypeVar("Entry", bound=UndoEntry)
_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[UndoEntry] = msgspec.json.Decoder(UndoEntry)


class UndoStep(Struct, frozen=True):
    """What became of one entry at replay."""

    entry: UndoEntry
    ok: bool
    #: What was done, in words: "eth0: mtu 9000 → 1500", "eth0: already so".
    text: str
    error: str = ""
    #: The entry is of another boot or namespace and was left out.
    skipped: bool = False


class Written(Struct, frozen=True):
    """An entry of the log with the header that it stands under (None: the header was lost)."""

    entry: UndoEntry
    header: Header | None
    #: Where its line begins in the file, in bytes.
    offset: int


class UndoLog:
    """The log file at *path*; it is made, with a header, when the first entry is written."""

    def __init__(self, path: str | os.PathLike[str], *, boot: str = "", netns_inode: int = 0) -> None:
        """Open the log.

        Args:
            boot: the boot id, as the kernel's if not given.
            netns_inode: inode of the host's network namespace, as the caller's if not given.
        """
        self.path = os.fspath(path)
        self.header = Header(boot_id=boot or boot_id(), netns_inode=netns_inode or own_inode())
        self._fd = -1
        self._unsynced = False
        self._folder_synced = False

    @property
    def failed_path(self) -> str:
        """Where entries that could not be undone are kept, with the reasons, for people to look at."""
        return os.path.splitext(self.path)[0] + ".failed"  # noqa: PTH122 - pathlib costs milliseconds

    def append(self, *entries: UndoEntry) -> None:
        """Write *entries*, in this order, before the change that they undo is made.

        Returns when they are in the kernel's hands, which a killed process does not lose. Entries for
        files and services must survive a crash of the machine: call :meth:`sync` before acting.

        Raises:
            DeviceError: the log cannot be written; do not make the change.
        """
        data = b"".join([b"\n" + _encode(entry) + b"\n" for entry in entries])
        try:
            if self._fd < 0:
                self._open()
            written = os.write(self._fd, data)
        except OSError as error:
            raise DeviceError(
                f"nothing was changed: the undo log {self.path} cannot be written ({error.strerror})",
                error.errno or 0,
            ) from error
        self._unsynced = self._unsynced or any(map(outlives_boot, entries))
        if written != len(data):
            raise DeviceError(f"nothing was changed: the undo log {self.path} is full (disk space?)")

    def sync(self) -> None:
        """Have entries for files and services on disk; does nothing if there are no new ones.

        Raises:
            OSError: the disk is in trouble; do not make the change.
        """
        if not self._unsynced:
            return
        os.fdatasync(self._fd)
        if not self._folder_synced:
            folder = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY)  # noqa: PTH120
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._folder_synced = True
        self._unsynced = False

    def file_entry(self, path: str) -> FileRestore:
        """The entry that undoes whatever is going to be done to *path*; a file is backed up beside the log.

        Append it, and :meth:`sync`, before touching *path*. It costs a look at *path* if that is absent.

        Raises:
            OSError: *path* cannot be read, or its backup not be written.
        """
        return file_entry(path, self.backups)

    @property
    def backups(self) -> str:
        """The folder of the backups of files, beside the log."""
        return self.path + ".files"

    def entries(self) -> list[Written]:
        """What the log holds, oldest first; lines that are no entry (half written) are left out."""
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return []
        found: list[Written] = []
        header: Header | None = None
        offset = 0
        for line in lines:
            entry = _parse(line)
            if isinstance(entry, Header):
                header = entry
            elif entry is not None:
                found.append(Written(entry, header, offset))
            offset += len(line) + 1
        return found

    def forget(self, written: Written) -> None:
        """Take *written*, which must be the last entry, off the log."""
        os.truncate(self.path, written.offset)

    def clear(self, *, keep_backups: bool = False) -> None:
        """Forget all entries, and close the file. It stays, as other processes may append to it."""
        self.close()
        try:
            os.truncate(self.path, 0)
        except FileNotFoundError:
            return
        if not keep_backups and os.path.isdir(self.backups):  # noqa: PTH112
            import shutil

            shutil.rmtree(self.backups, ignore_errors=True)

    def keep_failed(self, steps: Sequence[UndoStep]) -> None:
        """Append *steps* to the file of entries that could not be undone."""
        with open(self.failed_path, "ab") as file:  # noqa: PTH123
            for step in steps:
                file.write(_encode({"error": step.error, "entry": step.entry}) + b"\n")

    def close(self) -> None:
        """Close the file; the log can still be read, and is opened again when needed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o600)
        if self._last_header() != self.header:
            os.write(self._fd, b"\n" + _encode(self.header) + b"\n")

    def _last_header(self) -> Header | None:
        with open(self.path, "rb") as file:  # noqa: PTH123
            lines = file.read().split(b"\n")
        for line in reversed(lines):
            if b'"header"' in line:
                entry = _parse(line)
                if isinstance(entry, Header):
                    return entry
        return None


def replay(log: UndoLog, netlink: Netlink | None = None) -> list[UndoStep]:
    """Undo what *log* holds, newest first, and forget it.

    Uses *netlink*, or a connection of its own in the caller's namespace if one is needed. Goes on after
    a failure; entries that failed are moved to ``log.failed_path``. Nobody may append meanwhile.

    Returns:
        One step an entry, in the order in which they were undone.
    """
    steps = list(undo_each(log, netlink))
    log.clear(keep_backups=not all(step.ok for step in steps))
    return steps


def undo_each(log: UndoLog, netlink: Netlink | None = None) -> Iterator[UndoStep]:
    """Like :func:`replay`, a step at a time.

    An entry is taken off the log once its step is done, so that a replay that was killed is carried
    on by the next; only the entry it was at is done twice, which each kind of entry allows for.
    """
    later: list[RouteAdd] = []
    with Restorer(netlink) as restorer:
        for written in reversed(log.entries()):
            step = _undo(written, log.header, restorer)
            if not step.ok and isinstance(written.entry, RouteAdd):
                # its gateway may be reachable again only when older entries have been undone
                later.append(written.entry)
            else:
                yield step
                _keep(log, step)
            log.forget(written)
        for entry in later:
            step = _attempt(entry, restorer.restore_late)
            yield step
            _keep(log, step)


def _keep(log: UndoLog, step: UndoStep) -> None:
    if not step.ok:
        log.keep_failed([step])


def _undo(written: Written, now: Header, restorer: Restorer) -> UndoStep:
    entry, header = written.entry, written.header
    if header is not None and not outlives_boot(entry):
        if header.boot_id != now.boot_id:
            return UndoStep(entry, True, f"{describe(entry)}: of another boot, nothing to undo", skipped=True)
        if header.netns_inode != now.netns_inode:
            text = f"{describe(entry)}: of a network namespace that is gone, nothing to undo"
            return UndoStep(entry, True, text, skipped=True)
    return _attempt(entry, restorer.restore)


def _attempt(entry: Entry, act: Callable[[Entry], str]) -> UndoStep:
    try:
        return UndoStep(entry, True, act(entry))
    except (ShakeoutError, OSError, ValueError) as error:
        return UndoStep(entry, False, describe(entry), error=str(error))


def describe(entry: UndoEntry) -> str:
    """What an entry is about, in a few words: "link_restore eth0"."""
    subject = ""
    for name in ("name", "path", "service", "argv"):
        value = getattr(entry, name, "")
        if value:
            subject = " ".join(value) if isinstance(value, tuple) else str(value)
            break
    tag = str(entry.__struct_config__.tag)
    where = f" in namespace {entry.netns}" if entry.netns else ""
    return f"{tag} {subject}".rstrip() + where


def failures(steps: Sequence[UndoStep]) -> Iterator[str]:
    """The failed steps, each in a sentence."""
    for step in steps:
        if not step.ok:
            yield f"{step.text}: {step.error}"


def boot_id() -> str:
    """The kernel's id of this boot; "" where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:  # noqa: PTH123
            return file.read().decode().strip()
    except OSError:
        return ""


def _parse(line: bytes) -> UndoEntry | None:
    if not line.startswith(b"{"):
        return None
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError:
        return None
