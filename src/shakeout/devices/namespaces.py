"""Entering network namespaces for a moment, and their names under /run/netns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from shakeout.errors import DeviceError

#: Where ``ip netns`` keeps namespaces by name.
FOLDER = "/run/netns"


def enter(fd: int) -> None:
    """Move the calling thread into the network namespace of *fd*.

    Raises:
        OSError: not allowed, or *fd* is no network namespace.
    """
    from shakeout.processes.namespaces import NEWNET, setns  # ctypes costs milliseconds, and is rarely needed

    setns(fd, NEWNET)


@contextmanager
def inside(fd: int) -> Iterator[None]:
    """The calling thread is in the network namespace of *fd* for the length of the block."""
    # thread-self, as threads may be in different namespaces
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(fd)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)


@contextmanager
def named(name: str) -> Iterator[int]:
    """A descriptor of the namespace called *name* under /run/netns, closed afterwards.

    Raises:
        DeviceError: there is none of that name.
    """
    if not name or "/" in name or name in (".", ".."):
        raise DeviceError(f"{name!r} cannot be the name of a network namespace")
    try:
        fd = os.open(f"{FOLDER}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(
            f"no network namespace {name!r} under {FOLDER}: {error.strerror}", error.errno or 0
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def inside_named(name: str) -> Iterator[None]:
    """The calling thread is in the namespace *name* for the length of the block; "" leaves it where it is.

    Raises:
        DeviceError: there is none of that name.
    """
    if not name:
        yield
        return
    with named(name) as fd, inside(fd):
        yield


def own_inode() -> int:
    """Inode of the calling thread's network namespace: equal for two threads in the same one."""
    return os.stat("/proc/thread-self/ns/net").st_ino  # noqa: PTH116 - pathlib costs an agent milliseconds
