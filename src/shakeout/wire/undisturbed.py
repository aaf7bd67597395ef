"""Short pieces of work in which a signal must not raise an exception, because half of them would be worse than none."""

from __future__ import annotations

import threading


class Undisturbed:
    """A context manager; an exception that a signal handler raises by `raise_now` waits for the end of the block.

    A message of which half was sent would end the connection, and a job that was noted but not sent would be waited for
    in vain. Handlers run in the main thread: in others this does nothing.
    """

    __slots__ = ("_depth", "_main", "_waiting")

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._depth = 0
        self._waiting: BaseException | None = None

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        if threading.get_ident() != self._main:
            return
        self._depth -= 1
        if self._waiting is not None and not self._depth:
            error, self._waiting = self._waiting, None
            raise error

    def raise_now(self, error: BaseException) -> None:
        """Raise *error* in the main thread, where a signal handler has been called: at once, or at the block's end."""
        if not self._depth:
            raise error
        self._waiting = error


#: The one of this process.
undisturbed = Undisturbed()
