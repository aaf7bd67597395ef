"""What many of these tests need."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shakeout.hosts.loop import LoopThread


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """The loop that all hosts share; whatever a test does, it goes on."""
    thread = LoopThread()
    yield thread
    alive = threading.Event()
    thread.reactor.call_soon_threadsafe(alive.set)
    assert alive.wait(30), "the loop that all hosts share has ended"
    thread.close()
