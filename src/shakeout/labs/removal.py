"""Removing a laboratory that is not one's own: one that was kept, or one whose controller is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from pathlib import Path

import msgspec

from shakeout.errors import HostError, UsageError
from shakeout.labs.folders import LabFolder, runtime_root
from shakeout.labs.orders import RemoveLab
from shakeout.wire.framing import frame

#: Seconds that a laboratory may take to go.
PATIENCE = 30.0


def remove_lab(folder: Path) -> bool:
    """Remove the laboratory of *folder* with all its hosts, and wait until it is gone; whether it was there.

    Raises:
        UsageError: *folder* is not a laboratory of this user's.
        HostError: it does not go.
    """
    if folder.parent != runtime_root() or folder.is_symlink():
        raise UsageError(f"{folder} is no laboratory: those of this user are folders in {runtime_root()}")
    if not folder.is_dir():
        return False
    deadline = time.monotonic() + PATIENCE
    _ask_to_go(folder, deadline)
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        lock = -1  # it has removed its folder itself, or never had a lock
    try:
        while lock >= 0 and not _free(lock):
            if time.monotonic() > deadline:
                raise HostError(f"the laboratory {folder} was told to end, and did not within {PATIENCE:g} s")
            time.sleep(0.002)  # a lock can be waited for, but not for a limited time
        LabFolder(folder, lock).remove()
    finally:
        if lock >= 0:
            os.close(lock)
    return True


def _ask_to_go(folder: Path, deadline: float) -> None:
    """Say so to its spawner, and wait until that has ended; harmless if it has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door, contextlib.suppress(OSError):
        door.settimeout(max(0.1, deadline - time.monotonic()))
        door.connect(str(folder / "lab.sock"))
        door.sendall(frame(msgspec.msgpack.encode(RemoveLab())))
        while door.recv(1):
            pass


def _free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
