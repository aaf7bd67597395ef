"""Descriptors that are closed when nobody holds them any more."""

from __future__ import annotations

from typing import Protocol


class Owned(Protocol):
    """A descriptor, closed with the last reference to this."""

    def fileno(self) -> int:
        """Its number."""


def owned(fd: int) -> Owned:
    """An owner for *fd* that has no destructor in Python.

    The exception of a signal handler that runs in one (a time that is up, an interrupt) would be lost there. An epoll
    object closes whatever descriptor it was given, in C and without a word.
    """
    import select

    return select.epoll.fromfd(fd)
