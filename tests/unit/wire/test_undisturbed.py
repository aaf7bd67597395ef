"""Work in which a signal does not raise, but later."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from shakeout.wire.undisturbed import Undisturbed


class Told(BaseException):
    """What the handler raises."""


@pytest.fixture
def guard() -> Iterator[Undisturbed]:
    """One that a signal handler uses."""
    guard = Undisturbed()
    before = signal.signal(signal.SIGUSR1, lambda *_: guard.raise_now(Told()))
    yield guard
    signal.signal(signal.SIGUSR1, before)


def tell() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def test_outside_it_is_raised_at_once(guard: Undisturbed) -> None:
    with pytest.raises(Told):
        tell()


def test_inside_it_waits_for_the_end_of_the_outermost_block(guard: Undisturbed) -> None:
    done = []
    with pytest.raises(Told), guard:
        with guard:
            tell()
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
    with guard:
        done.append("later blocks know nothing of it")


def test_an_exception_of_the_work_itself_is_not_lost(guard: Undisturbed) -> None:
    with pytest.raises(Told) as caught, guard:
        tell()
        raise ValueError("mine")
    assert isinstance(caught.value.__context__, ValueError)


def test_other_threads_neither_hold_up_nor_are_held_up(guard: Undisturbed) -> None:
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with guard:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    try:
        with pytest.raises(Told):
            tell()
    finally:
        leave.set()
        thread.join()
