"""Short pieces of work in which a signal must not raise an exception, because half of them would be worse than none."""

from __future__ import annotations

import sys
from _thread import get_ident  # not `threading`: agents are forked, and that does much after a fork


class Undisturbed:
    """A context manager; an exception that a signal handler raises by `raise_now` waits for the end of the block.

    A message of which half was sent would end the connection, and a job that was noted but not sent would be waited for
    in vain. Handlers run in the main thread: in others this does nothing.
    """

    __slots__ = ("_depth", "_main", "_waiting")

    def __init__(self) -> None:
        self._main = _main_thread()
        self._depth = 0
        self._waiting: BaseException | None = None

    def __enter__(self) -> None:
        if get_ident() == self._main:
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        if get_ident() != self._main:
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


def _main_thread() -> int | None:
    threading = sys.modules.get("threading")
    return threading.main_thread().ident if threading is not None else get_ident()  # nobody has made another thread yet


#: The one of this process.
undisturbed = Undisturbed()
