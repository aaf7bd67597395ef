"""Files that grow, followed by name: through rotation, truncation, and though they may appear only later."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from fnmatch import fnmatchcase

from shakeout.errors import ModuleFailed
from shakeout.files import inotify
from shakeout.modules.logs.lines import Lines

#: Files that are followed at the same time: each takes a descriptor.
MAX_FILES = 400
#: Read at once, so that a flood in one file does not hide the others.
_CHUNK = 1 << 20

#: Takes the file and the lines that came.
Took = Callable[[str, list[str]], None]


class LogFile:
    """One file that is open: the one of that name, or one that had it until it was rotated away."""

    def __init__(self, path: str, descriptor: int, position: int) -> None:
        self.path = path
        self.lines = Lines()
        self.truncated = 0
        self._descriptor = descriptor
        #: Bytes of it that have been read.
        self.position = position

    def is_at(self, path: str) -> bool:
        """Whether this is the file that now has the name *path*."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(path))  # noqa: PTH116
        except OSError:
            return False

    def read(self) -> list[str]:
        """The lines that have come, up to a MiB of them; [] if nothing has."""
        if self.size < self.position:
            self.truncated += 1
            self.position = 0
        data = os.pread(self._descriptor, _CHUNK, self.position)
        self.position += len(data)
        return self.lines.feed(data)

    @property
    def size(self) -> int:
        """How many bytes the file has now."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


class LogFiles:
    """All files that *patterns* name, now or later.

    Args:
        patterns: absolute paths, with *, ? and […] in any part.
        took: called with each file's lines as they come.
        from_start: read what is in the files already; else only what comes from now on.
    """

    def __init__(self, patterns: list[str], took: Took, *, from_start: bool) -> None:
        self._patterns = [[part for part in pattern.split("/") if part] for pattern in patterns]
        self._took = took
        try:
            self._queue = inotify.Inotify()
        except OSError as error:
            raise ModuleFailed(f"files cannot be watched: {error.strerror}") from None
        #: Watch of a folder -> the names, as patterns, that matter in it.
        self._folders: dict[int, set[str]] = {}
        #: Watch of a file -> the file.
        self._files: dict[int, LogFile] = {}
        #: Path -> watch of the file that has this name.
        self._named: dict[str, int] = {}
        #: Files that are not followed, and why.
        self.refused: dict[str, str] = {}
        self._gone_cut = 0
        #: Names whose files were moved or removed.
        self._lost: set[str] = set()
        #: Files that were replaced by others of the same name, and files that were emptied.
        self.rotated = self.truncated = 0
        self._scan(new=from_start)
        self.catch_up()

    def fileno(self) -> int:
        """Readable when something has happened."""
        return self._queue.fileno()

    @property
    def paths(self) -> list[str]:
        """The files that are there."""
        return sorted(self._named)

    @property
    def cut(self) -> int:
        """Lines that were too long so far."""
        return self._gone_cut + sum(each.lines.cut for each in self._files.values())

    def attend(self) -> None:
        """Look at what has happened, and read what there is to read."""
        changed = False
        grown: dict[int, None] = {}
        for event in self._queue.events():
            if event.mask & inotify.OVERFLOW:
                changed = True
                grown |= dict.fromkeys(self._files)
            elif event.watch in self._folders:
                name = os.fsdecode(event.name)
                changed = changed or any(fnmatchcase(name, each) for each in self._folders[event.watch])
                if event.mask & inotify.IGNORED:  # the folder itself is gone
                    del self._folders[event.watch]
            elif event.watch in self._files:
                grown[event.watch] = None
                if event.mask & (inotify.DELETE_SELF | inotify.IGNORED):
                    changed = True
        for watch in grown:
            self._read(watch)
        if changed:
            self._scan(new=True)

    def catch_up(self) -> None:
        """Read everything that there is to read, whatever was told."""
        for watch in list(self._files):
            self._read(watch)

    def end(self) -> None:
        """Read the rest, with last lines that have no end, and let go of everything."""
        self.catch_up()
        for each in self._files.values():
            self._took(each.path, each.lines.end())

    def close(self) -> None:
        """Let go of everything."""
        for each in self._files.values():
            each.close()
        self._files.clear()
        self._queue.close()

    def _read(self, watch: int) -> None:
        file = self._files[watch]
        # What is written from now on is told once more, so a flood does not keep this here for ever.
        goal = file.size
        while True:
            lines = file.read()
            if lines:
                self._took(file.path, lines)
            if file.position >= min(goal, file.size):
                break
        self.truncated, file.truncated = self.truncated + file.truncated, 0

    def _scan(self, *, new: bool) -> None:
        """Find folders and files that the patterns name; those not known yet are read from their start if *new*."""
        there: set[str] = set()
        for parts in self._patterns:
            folders = ["/"]
            for part in parts[:-1]:
                folders = [each for folder in folders for each in self._entries(folder, part)]
            for folder in folders:
                there.update(self._entries(folder, parts[-1]))
        for path in sorted(there):
            self._follow(path, new=new)
        for path in self._named.keys() - there:
            self._drop(self._named.pop(path), path)

    def _watch(self, path: str, mask: int) -> int | None:
        try:
            return self._queue.add(os.fsencode(path), mask)
        except OSError as error:
            raise ModuleFailed(f"{path} cannot be watched: {error.strerror}") from None

    def _entries(self, folder: str, part: str) -> list[str]:
        """The paths in *folder* that *part* names; from now on it is told when one comes or goes."""
        # The watch comes first: what comes after the look is told.
        watch = self._watch(folder, inotify.FOLDER)
        if watch is None:
            return []
        self._folders.setdefault(watch, set()).add(part)
        if not set(part) & set("*?["):
            path = os.path.join(folder, part)  # noqa: PTH118 - texts all the way, which is quicker
            return [path] if os.path.lexists(path) else []
        try:
            names = os.listdir(folder)  # noqa: PTH208
        except OSError:
            return []
        hidden = part.startswith(".")
        return [
            os.path.join(folder, name)  # noqa: PTH118
            for name in names
            if fnmatchcase(name, part) and (hidden or not name.startswith("."))
        ]

    def _follow(self, path: str, *, new: bool) -> None:
        known = self._named.get(path)
        if known is not None:
            if self._files[known].is_at(path):
                return
            self._drop(known, path)
        if path in self._lost:
            new = True
        if len(self._files) >= MAX_FILES:
            self.refused[path] = f"more than {MAX_FILES} files"
            return
        try:
            descriptor, size = _opened(path)
        except FileNotFoundError:
            return  # it has gone again
        except OSError as error:
            self.refused[path] = error.strerror or str(error)
            return
        self.refused.pop(path, None)
        # Through the descriptor, so that it is this file whatever has the name by now.
        watch = self._watch(f"/proc/self/fd/{descriptor}", inotify.FILE)
        if watch is None or watch in self._files:  # another name of a file that is followed
            os.close(descriptor)
            if watch is not None:
                self._named[path] = watch
                self._files[watch].path = path
            return
        self._files[watch] = LogFile(path, descriptor, 0 if new else size)
        self._named[path] = watch
        self.rotated += path in self._lost
        self._lost.discard(path)
        self._read(watch)

    def _drop(self, watch: int, path: str) -> None:
        """The file has lost its name. Who has it open may still write: it is followed until the next one goes."""
        self._read(watch)
        self._lost.add(path)
        for old in [each for each, file in self._files.items() if file.path == path and each != watch]:
            if old not in self._named.values():
                file = self._files.pop(old)
                self._took(file.path, file.lines.end())
                self._gone_cut += file.lines.cut
                self._queue.remove(old)
                file.close()


def _opened(path: str) -> tuple[int, int]:
    """A descriptor and the size of a file.

    Raises:
        OSError: it is no file that one can follow, or may not be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a plain file")
