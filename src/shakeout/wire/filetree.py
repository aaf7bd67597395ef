"""Files and directories on their way from one host to another: listing them, and writing them safely.

Both ends use it. Whoever receives trusts no name: what would leave the destination is refused, and everything is
written into a fresh directory beside its place first, where no link of anybody's lies, and then renamed into it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from shakeout.errors import TransferError
from shakeout.wire.framing import CHUNK
from shakeout.wire.parts import Entry

#: Entries in one message, so that it stays a small one.
BATCH = 400
_STAGE = ".shakeout-"
#: Bytes of a file of the kernel's that are sent; their sizes are not known before they are read.
_KERNEL_FILE = 64 << 20


def listing(path: str, *, recursive: bool) -> list[Entry]:
    """The entries of what is at *path*, parents before children, in order of their names.

    Raises:
        TransferError: it is not there, it is a directory and *recursive* is not set, or it is no file.
    """
    try:
        info = os.stat(path)  # noqa: PTH116 - the top itself may be a link, as for cp
    except (OSError, ValueError) as error:
        raise TransferError(f"{path}: {getattr(error, 'strerror', error)}") from error
    if stat.S_ISREG(info.st_mode):
        return [Entry("", "file", stat.S_IMODE(info.st_mode), info.st_size)]
    if not stat.S_ISDIR(info.st_mode):
        raise TransferError(f"{path} is neither a file nor a directory; nothing else can be sent")
    if not recursive:
        raise TransferError(f"{path} is a directory; say recursive=True to send it with all that is in it")
    return [Entry("", "dir", stat.S_IMODE(info.st_mode)), *_below(path, "")]


def open_listing(path: str, *, recursive: bool) -> tuple[list[Entry], int]:
    """As `listing`; a single file is opened, too: its descriptor, or -1 for a directory.

    What the kernel makes up when it is read (below /proc and /sys) is read here, so that it has a size.

    Raises:
        TransferError: as `listing`, or the file cannot be read.
    """
    entries = listing(path, recursive=recursive)
    if entries[0].kind != "file":
        return entries, -1
    fd = -1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if os.path.realpath(path).startswith(("/proc/", "/sys/")):
            fd = _copied(fd)
        info = os.fstat(fd)
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    return [Entry("", "file", entries[0].mode, info.st_size)], fd


def _copied(fd: int) -> int:
    """A file in memory with what can be read from *fd*, which is closed."""
    copy = os.memfd_create("shakeout", os.MFD_CLOEXEC)
    try:
        left = _KERNEL_FILE
        while left > 0 and (data := os.read(fd, 1 << 16)):
            left -= os.write(copy, data)
    except OSError:
        os.close(copy)
        raise
    os.close(fd)
    os.lseek(copy, 0, os.SEEK_SET)
    return copy


def _below(top: str, prefix: str) -> Iterator[Entry]:
    try:
        found = sorted(os.scandir(os.path.join(top, prefix)), key=lambda entry: entry.name)  # noqa: PTH118
    except OSError as error:
        raise TransferError(f"{top}/{prefix}: {error.strerror}") from error
    for entry in found:
        path = f"{prefix}/{entry.name}" if prefix else entry.name
        if not _is_text(entry.name):
            raise TransferError(f"{top}/{path!a} cannot be sent: its name is not UTF-8; rename it, or pack it with tar")
        info = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(info.st_mode)
        if stat.S_ISLNK(info.st_mode):
            yield Entry(path, "link", mode, target=os.readlink(entry.path))  # noqa: PTH115
        elif stat.S_ISDIR(info.st_mode):
            yield Entry(path, "dir", mode)
            yield from _below(top, path)
        elif stat.S_ISREG(info.st_mode):
            yield Entry(path, "file", mode, info.st_size)
        # Sockets, pipes and devices are no content: they are left out, as rsync does without -D.


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_entries(entries: tuple[Entry, ...] | list[Entry], *, seen: set[str]) -> None:
    """Refuse entries that would not stay below their destination.

    Args:
        seen: the paths of directories of this transfer so far; extended.

    Raises:
        TransferError: naming the entry.
    """
    for entry in entries:
        parts = entry.path.split("/") if entry.path else []
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise TransferError(f"a file called {entry.path!r} was refused: it would leave its destination")
        parent = "/".join(parts[:-1])
        if parts and parent not in seen:
            raise TransferError(f"a file called {entry.path!r} was refused: its directory was not announced")
        if entry.size < 0 or entry.mode & ~0o7777:
            raise TransferError(f"the file {entry.path!r} was refused: its size or mode makes no sense")
        if entry.size and entry.kind != "file":
            raise TransferError(f"the {entry.kind} {entry.path!r} was refused: only files have content")
        if entry.kind == "link" and _leaves(parts, entry.target):
            raise TransferError(
                f"the link {entry.path!r} -> {entry.target!r} was refused: it leads out of the directory that is sent"
            )
        if entry.kind == "dir":
            seen.add(entry.path)


def _leaves(parts: list[str], target: str) -> bool:
    if not parts or target.startswith("/") or "\0" in target or not target:
        return True
    depth = len(parts) - 1
    for part in target.split("/"):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


class TreeReader:
    """Reads files' contents in the order of their entries, in pieces that are filled up over the ends of small files.

    Args:
        top: where they are; the path of the entry "".
        fd: of the first file, if that is open already.
    """

    def __init__(self, top: str, entries: list[Entry], fd: int = -1) -> None:
        self._top = top
        self._files = iter([entry for entry in entries if entry.kind == "file"])
        self._fd = fd
        self._opened = fd >= 0
        self._left = 0
        self._path = top

    def next_piece(self) -> bytes:
        """The next piece, at most CHUNK bytes; empty at the end.

        Raises:
            TransferError: a file cannot be read, or not as it was listed.
        """
        pieces: list[bytes] = []
        room = CHUNK
        try:
            while room > 0 and (self._left or self._advance()):
                data = os.read(self._fd, min(room, self._left))
                if not data and self._left:
                    raise TransferError(f"{self._path} became shorter while it was sent")
                pieces.append(data)
                room -= len(data)
                self._left -= len(data)
        except OSError as error:
            raise TransferError(f"{self._path} cannot be read: {error.strerror}") from error
        return b"".join(pieces)

    def close(self) -> None:
        """Close what is open; harmless the second time."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _advance(self) -> bool:
        """Go to the next file that is not empty; whether there is one."""
        for entry in self._files:
            self._path = f"{self._top}/{entry.path}" if entry.path else self._top
            if self._opened:
                self._opened = False
            else:
                self.close()
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._left = entry.size
            if self._left:
                return True
        return False


#: Called once with the final paths of all that will be made or replaced (so that their undo can be written).
Prepare = Callable[[list[str]], None]


class TreeWriter:
    """Receives one transfer.

    Everything is first written to a fresh directory beside the destination; `finish` renames it into place, so
    nobody ever sees half a file, and a transfer that is given up leaves nothing.

    Args:
        destination: where the top entry shall be. An existing directory is merged into; an existing file replaced.
    """

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._entries: list[Entry] = []
        self._seen: set[str] = set()
        self._contents: list[Entry] = []
        self._next = 0
        self._left = 0
        #: Bytes of content that are still to come.
        self.wanted = 0
        self._fd = -1
        parent = os.path.dirname(destination) or "."  # noqa: PTH120
        if not os.path.isdir(parent):  # noqa: PTH112
            raise TransferError(f"there is no directory {parent} to put {os.path.basename(destination)} into")  # noqa: PTH119
        self._stage = os.path.join(parent, _STAGE + os.urandom(6).hex())  # noqa: PTH118
        try:
            os.mkdir(self._stage, 0o700)  # noqa: PTH102
        except OSError as error:
            raise TransferError(f"{parent} cannot be written to: {error.strerror}") from error

    def announce(self, entries: tuple[Entry, ...] | list[Entry]) -> None:
        """What will come; files' contents follow by `write`, in this order.

        Raises:
            TransferError: an entry that would leave the destination.
        """
        check_entries(entries, seen=self._seen)
        try:
            for entry in entries:
                path = self._staged(entry.path)
                if entry.kind == "dir":
                    os.mkdir(path, 0o700)  # noqa: PTH102
                elif entry.kind == "link":
                    os.symlink(entry.target, path)  # noqa: PTH211
                else:
                    self._contents.append(entry)
                    self.wanted += entry.size
            self._entries.extend(entries)
            self._advance()
        except OSError as error:
            raise TransferError(f"{entry.path or self._destination!r}: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """Some content, in order; may span files."""
        view = memoryview(data)
        while view:
            if self._fd < 0:
                raise TransferError("more content came than was announced")
            try:
                written = os.write(self._fd, view[: self._left])
            except OSError as error:
                raise TransferError(f"{self._destination}: {error.strerror}") from error
            self._left -= written
            self.wanted -= written
            view = view[written:]
            if self._left == 0:
                self._close()
                self._advance()

    def take(self, source: int, piece: int = 64 << 20) -> bool:
        """Copy up to *piece* bytes from the descriptor *source* into the current file; whether that completed it."""
        if self._fd < 0:
            return True
        try:
            copied = _copy(source, self._fd, min(piece, self._left))
        except OSError as error:
            raise TransferError(f"{self._destination}: {error.strerror}") from error
        if copied == 0:
            raise TransferError("the file became shorter while it was sent")
        self._left -= copied
        self.wanted -= copied
        if self._left:
            return False
        self._close()
        self._advance()
        return True

    def finish(self, prepare: Prepare | None = None) -> str:
        """Put everything into its place; the destination.

        Raises:
            TransferError: content is missing, or a file stands where a directory must go (or the other way round).
        """
        if self.wanted or self._fd >= 0:
            raise TransferError("the transfer ended before all content had come")
        try:
            new = [entry for entry in self._entries if self._is_new(entry)]
            if prepare is not None:
                prepare([self._final(entry.path) for entry in new])
            for entry in new:
                if entry.kind == "dir":
                    os.mkdir(self._final(entry.path), 0o700)  # noqa: PTH102
                else:
                    os.rename(self._staged(entry.path), self._final(entry.path))  # noqa: PTH104
            for entry in reversed(new):
                if entry.kind == "dir":
                    os.chmod(self._final(entry.path), entry.mode)  # noqa: PTH101
        except OSError as error:
            where = error.filename2 or error.filename or self._destination
            raise TransferError(f"{where}: {error.strerror}") from error
        finally:
            self.abandon()
        return self._destination

    def abandon(self) -> None:
        """Remove what was written so far; harmless after `finish`."""
        self._close()
        try:
            os.rmdir(self._stage)  # noqa: PTH106
        except OSError:  # something is left in it
            import shutil

            shutil.rmtree(self._stage, ignore_errors=True)

    def _is_new(self, entry: Entry) -> bool:
        """Whether *entry* makes or replaces something; False for a directory that is there already."""
        final = self._final(entry.path)
        try:
            present = stat.S_IFMT(os.lstat(final).st_mode)
        except FileNotFoundError:
            return True
        if entry.kind == "dir":
            if present == stat.S_IFDIR:
                return False
            raise TransferError(f"{final} is a file; a directory cannot go there")
        if present == stat.S_IFDIR:
            raise TransferError(f"{final} is a directory; a file cannot go there")
        return True

    def _staged(self, path: str) -> str:
        return f"{self._stage}/top/{path}" if path else f"{self._stage}/top"

    def _final(self, path: str) -> str:
        return f"{self._destination}/{path}" if path else self._destination

    def _advance(self) -> None:
        """Open the next file that has content; create the empty ones on the way."""
        while self._fd < 0 and self._next < len(self._contents):
            entry = self._contents[self._next]
            self._next += 1
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._staged(entry.path), flags, 0o600)
            os.fchmod(self._fd, entry.mode)
            self._left = entry.size
            if self._left == 0:
                self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _copy(source: int, target: int, size: int) -> int:
    try:
        return os.copy_file_range(source, target, size)
    except OSError:
        return os.sendfile(target, source, None, size)  # other file systems


def resolve_destination(path: str, name: str, home: str) -> str:
    """Where a thing called *name* goes when *path* was asked for, as `cp` would have it.

    "" and relative paths count from *home*; an existing directory, or a path that ends with "/", takes it inside.
    """
    if "\0" in path or "\0" in name:
        raise TransferError(f"{path!r} is no path: it contains a NUL character")
    full = os.path.join(home, path) if path else home + "/"  # noqa: PTH118
    if full.endswith("/") or os.path.isdir(full):  # noqa: PTH112
        full = os.path.join(full, name)  # noqa: PTH118
    return os.path.normpath(full)
