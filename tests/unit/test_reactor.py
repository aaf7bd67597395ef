"""The loop calls what is ready and what is due, and can be woken from other threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from shakeout.wire.reactor import READ, WRITE, Reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    loop = Reactor()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield ends
    for fd in ends:
        os.close(fd)


def test_a_readable_descriptor_calls_its_watcher(reactor: Reactor, pipe: tuple[int, int]) -> None:
    read, write = pipe
    seen: list[bytes] = []
    reactor.watch(read, READ, lambda events: seen.append(os.read(read, 10)))
    os.write(write, b"hello")
    reactor.turn(5)
    assert seen == [b"hello"]


def test_what_is_forgotten_is_not_called(reactor: Reactor, pipe: tuple[int, int]) -> None:
    read, write = pipe
    reactor.watch(read, READ, lambda events: pytest.fail("called"))
    reactor.forget(read)
    reactor.forget(read)  # harmless
    os.write(write, b"x")
    reactor.turn(0)


def test_a_watcher_can_forget_another_that_is_ready_in_the_same_turn(reactor: Reactor, pipe: tuple[int, int]) -> None:
    read, write = pipe
    called: list[str] = []
    os.write(write, b"x")

    def first(name: str, other: int) -> None:
        called.append(name)
        reactor.forget(other)

    reactor.watch(read, READ, lambda events: first("read", write))
    reactor.watch(write, WRITE, lambda events: first("write", read))
    reactor.turn(1)
    assert len(called) == 1


def test_timers_fire_in_order_and_not_early(reactor: Reactor) -> None:
    began = time.monotonic()
    fired: list[tuple[str, float]] = []
    reactor.call_later(0.02, lambda: fired.append(("late", time.monotonic() - began)))
    reactor.call_later(0.01, lambda: fired.append(("early", time.monotonic() - began)))
    reactor.call_later(0.001, lambda: pytest.fail("it was cancelled")).cancel()
    while len(fired) < 2:
        reactor.turn(5)
    assert [name for name, _ in fired] == ["early", "late"]
    assert fired[0][1] >= 0.01
    assert fired[1][1] >= 0.02


@pytest.mark.parametrize("seconds", [60 * 86400.0, 1e300, float("inf")])
def test_a_timer_in_the_far_future_does_not_end_the_loop(seconds: float, reactor: Reactor) -> None:
    called: list[int] = []
    reactor.call_later(seconds, lambda: pytest.fail("it is not due"))
    reactor.turn(0)
    threading.Timer(0.01, lambda: reactor.call_soon_threadsafe(lambda: called.append(1))).start()
    while not called:
        reactor.turn(seconds)


def test_another_thread_wakes_the_loop(reactor: Reactor) -> None:
    called: list[int] = []

    def from_outside() -> None:
        called.append(threading.get_ident())
        reactor.stop()

    thread = threading.Thread(target=lambda: reactor.call_soon_threadsafe(from_outside))
    thread.start()
    reactor.run()
    thread.join()
    assert called == [threading.get_ident()]


def test_calls_made_by_calls_wait_for_the_next_turn(reactor: Reactor) -> None:
    order: list[str] = []
    reactor.call_soon(lambda: (order.append("one"), reactor.call_soon(lambda: order.append("two"))))  # type: ignore[func-returns-value]
    reactor.turn(0)
    assert order == ["one"]
    reactor.turn(0)
    assert order == ["one", "two"]
