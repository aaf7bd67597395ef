"""The runtime folders of laboratories: one each, locked while the laboratory lives."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from shakeout.errors import LabLacks

#: The longest path that a unix socket can have is 107 bytes; what is left for a host's name.
_ROOM = 107 - len("/0123456789ab/.sock")


def runtime_root() -> Path:
    """The folder of all laboratories of this user, made if need be.

    Raises:
        LabLacks: it belongs to somebody else.
    """
    uid = os.geteuid()
    if uid == 0 and Path("/run").stat().st_uid == 0:  # not so for the root of a user namespace
        root = Path("/run/shakeout")
    else:
        base = os.environ.get("XDG_RUNTIME_DIR")
        root = Path(base) / "shakeout" if base and len(base) < 60 else Path(f"/tmp/shakeout-{uid}")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = root.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != uid or info.st_mode & 0o077:
        raise LabLacks(f"{root} must be a directory of your own that nobody else can enter; remove it and try again")
    return root


class LabFolder:
    """The folder of one laboratory; whoever has it locked is alive."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls) -> LabFolder:
        """A fresh folder, locked by this process."""
        while True:
            path = runtime_root() / os.urandom(6).hex()
            path.mkdir(mode=0o700)
            try:
                lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # taken for a leftover and removed, before it was locked
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (path / "lock").exists():
                return cls(path, lock)
            os.close(lock)

    def socket_path(self, host: str) -> str:
        """Where the host's agent listens.

        Raises:
            LabLacks: the name is too long for the path of a unix socket.
        """
        path = str(self.path / f"{host}.sock")
        if len(os.fsencode(path)) > 107:
            raise LabLacks(f"the host name {host!r} is too long for this laboratory; {_ROOM} characters are possible")
        return path

    def remove(self) -> None:
        """Remove the folder."""
        import shutil

        shutil.rmtree(self.path, ignore_errors=True)


def leftovers() -> list[Path]:
    """Folders of laboratories that nobody holds any more (their hosts are gone: a reboot, or a kill)."""
    return [folder for folder in _folders() if not _locked(folder)]


def living() -> list[Path]:
    """Folders of laboratories that exist now."""
    return [folder for folder in _folders() if _locked(folder)]


def _folders() -> list[Path]:
    root = runtime_root()
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def _locked(folder: Path) -> bool:
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
