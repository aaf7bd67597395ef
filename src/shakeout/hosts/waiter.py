"""One-shot hand-over from the loop's thread to the thread that waits: a bare lock, the cheapest there is."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiter(Generic[T]):
    """Somebody waits for a value, or an exception, that another thread will bring."""

    __slots__ = ("_error", "_lock", "_value", "done")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._value: T | None = None
        self._error: BaseException | None = None
        self.done = False

    def set(self, value: T) -> None:
        """Bring the value; later calls change nothing."""
        if not self.done:
            self._value = value
            self.done = True
            self._let_pass()

    def fail(self, error: BaseException) -> None:
        """Bring an exception instead."""
        if not self.done:
            self._error = error
            self.done = True
            self._let_pass()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most *timeout* seconds; whether it has come."""
        if self.done:
            return True
        if self._lock.acquire(timeout=-1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)):
            self._let_pass()
        return self.done

    def _let_pass(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # two threads brought it at the same moment: it is open already

    def get(self) -> T:
        """The value, once it has come; raises the exception if that came."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]
