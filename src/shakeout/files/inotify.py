"""Word of the kernel's when files and folders change (inotify(7)); Python has no module for it."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

MODIFY, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF = 0x2, 0x8, 0x40, 0x80, 0x100, 0x200, 0x400
OVERFLOW, IGNORED = 0x4000, 0x8000
_ONLY_FOLDERS = 0x1000000

#: What is wanted to know of a file, and of a folder.
FILE = MODIFY | DELETE_SELF
FOLDER = CREATE | MOVED_TO | MOVED_FROM | DELETE | _ONLY_FOLDERS

_EVENT = struct.Struct("=iIII")


class Event(NamedTuple):
    """What happened: to which watch, what, and the name in the folder (bytes as in the file system)."""

    watch: int
    mask: int
    name: bytes


def parse_events(data: bytes) -> Iterator[Event]:
    """The events that one read gives; one that is cut short is left out."""
    at = 0
    while at + _EVENT.size <= len(data):
        watch, mask, _, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        yield Event(watch, mask, data[at : at + length].split(b"\0")[0])
        at += length


class Inotify:
    """One queue of events; closed at the end of the block.

    Raises:
        OSError: the user has as many queues as one may have.
    """

    def __init__(self) -> None:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        self._errno = ctypes.get_errno
        self._add, self._remove = libc.inotify_add_watch, libc.inotify_rm_watch
        self._fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self._fd < 0:
            raise OSError(self._errno(), f"{os.strerror(self._errno())} (fs.inotify.max_user_instances)")

    def __enter__(self) -> Inotify:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self._fd)

    def fileno(self) -> int:
        """Readable when something has happened."""
        return self._fd

    def add(self, path: bytes, mask: int) -> int | None:
        """Watch *path*; the number of the watch (the same for the same file), None if there is no such file or folder.

        Raises:
            OSError: the limit of watches is reached.
        """
        number = int(self._add(self._fd, path, mask))
        if number >= 0:
            return number
        error = OSError(self._errno(), f"{os.strerror(self._errno())} (fs.inotify.max_user_watches)", path)
        if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            return None
        raise error

    def remove(self, watch: int) -> None:
        """No longer watch; nothing if the kernel has ended the watch by itself."""
        self._remove(self._fd, watch)

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        found: list[Event] = []
        while True:
            try:
                found += parse_events(os.read(self._fd, 1 << 16))
            except BlockingIOError:
                return found
