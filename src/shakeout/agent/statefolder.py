"""The folder of an agent's lease and undo log: where it is, and its removal when there is nothing worth keeping."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shakeout.agent.lease import Lease
from shakeout.errors import LeaseHeld

_DOOR = "door"
_SOCKET = "agent.sock"
#: Folders above that nobody else has.
_OURS = ("shakeout", "agent")


def default_state() -> Path:
    """The folder of the agent's lease and undo log: one for each user, however many agents are started.

    Not below /run, because changed files have to be put back after a crash of the machine, too. A user's home may be
    on several machines, so the machine's name is part of it.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/shakeout/agent")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "shakeout/agent" / os.uname().nodename


def make_folder(path: Path) -> None:
    """Make the folder *path*, if it is not there.

    Raises:
        OSError: it cannot be made; or somebody else can write there, and so have the agent "undo" whatever they like.
    """
    while True:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            found = path.stat()
            break
        except FileNotFoundError:
            continue  # an agent that leaves has removed it at this moment
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        text = "it belongs to, or can be written by, another user, and what it says is done at the next start"
        raise PermissionError(errno.EPERM, text, str(path))


class StateFolder:
    """The folder of an agent that comes with a controller's ssh connection and goes when it is not needed any more.

    A resident agent may use the same one; what it holds is not touched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = path / _SOCKET
        #: Folders above that were not there before; they go, too, if nobody else has put something in.
        self._made = [folder for folder in path.parents if not folder.exists()]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Decide, with nobody else doing so meanwhile, whether there is an agent.

        Raises:
            OSError: the folder cannot be made.
        """
        fd = _lock(self.path / _DOOR)
        try:
            yield
        finally:
            os.close(fd)

    @contextmanager
    def short_socket(self) -> Iterator[str]:
        """The path of the socket for connect and bind, however long the folder's own path is; while it is there."""
        place = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{place}/{_SOCKET}"
        finally:
            os.close(place)

    def remove(self) -> None:
        """Remove what says nothing any more; to be called `alone`."""
        self.socket.unlink(missing_ok=True)
        lease = Lease(str(self.path / "lease"))
        try:
            lease.take("an agent that leaves")
        except (LeaseHeld, OSError):
            return  # a resident agent is at work
        try:
            _drop(self.path / "lease")
            for name in ("undo.log", "mark"):
                _drop_empty(self.path / name)
            for name in ("undo.log.files", "line"):
                with suppress(OSError):
                    (self.path / name).rmdir()
        finally:
            lease.release()
        _drop(self.path / _DOOR)
        with suppress(OSError):  # there is something else in one of them
            self.path.rmdir()
            for folder in self.path.parents:
                if folder.name not in _OURS and folder not in self._made:
                    break
                folder.rmdir()


def _lock(path: Path) -> int:
    """A descriptor of the file *path*, locked; made, with its folder, if need be."""
    while True:
        make_folder(path.parent)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the folder was removed at this moment
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)  # whoever had it has removed it


def _drop(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _drop_empty(path: Path) -> None:
    with suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()
