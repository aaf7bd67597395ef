"""What is written down of connections that break, and of those that are silent for a while."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.modules import KeepConnections
from shakeout.modules.connection_book import MAX_NAMED, Book, Entry


def test_an_answer_in_time_is_no_gap() -> None:
    book = Book(100.0, 1.0)
    entry = Entry(book, 0)
    entry.opened(100.0)
    for at in (100.0, 101.0):
        entry.sent(at)
        entry.answered(at, at + 0.25)
    entry.sent(102.0)
    entry.ended(102.5)
    assert (book.up, book.heartbeats, book.answered, book.gaps, book.breaks) == (1, 3, 2, [], [])
    assert book.longest_gap == 0.5
    assert book.rtt() == {"min": 250.0, "avg": 250.0, "max": 250.0}


def test_a_break_ends_when_something_comes_through_again() -> None:
    book = Book(100.0, 1.0)
    entry = Entry(book, 7)
    entry.opened(100.0)
    entry.sent(110.0)
    entry.broke("Connection reset by peer", 112.0)
    entry.opened(114.0)
    entry.sent(114.0)
    entry.answered(114.0, 115.0)
    entry.sent(120.0)
    entry.answered(120.0, 121.5)
    [broken] = book.breaks
    assert broken == {
        "connection": 7, "at_s": 12.0, "reason": "Connection reset by peer", "lasted_s": 12.0, "restored_s": 5.0,
    }  # fmt: skip
    assert book.gaps == [
        {"connection": 7, "at_s": 10.0, "seconds": 5.0, "broke": True},
        {"connection": 7, "at_s": 20.0, "seconds": 1.5, "broke": False},
    ]
    assert (book.longest_gap, book.reasons, book.up, entry.breaks) == (5.0, {"Connection reset by peer": 1}, 1, 1)


def test_what_never_comes_back_is_a_gap_until_the_end() -> None:
    book = Book(0.0, 1.0)
    entry = Entry(book, 0)
    entry.opened(0.0)
    entry.broke("the peer closed it", 3.0)
    entry.ended(10.0)
    assert book.breaks[0]["restored_s"] is None
    assert (book.longest_gap, book.gap_count, book.up) == (7.0, 1, 0)


EVENTS = st.lists(st.sampled_from(["sent", "answered", "broke", "opened"]), max_size=60)


@given(EVENTS, st.floats(0, 5))
def test_the_book_agrees_with_itself(events: list[str], threshold: float) -> None:
    book = Book(0.0, threshold)
    entry = Entry(book, 0)
    entry.opened(0.0)
    for now, event in enumerate(events, 1):
        if event == "opened" and not entry.up:
            entry.opened(now)
        elif event == "sent" and entry.up:
            entry.sent(now)
        elif event == "answered" and entry.up and entry.waiting_since is not None:
            entry.answered(now - 0.5, now)
        elif event == "broke" and entry.up:
            entry.broke("x", now)
    entry.ended(len(events) + 1)
    assert len(book.breaks) == book.broken == entry.breaks == sum(book.reasons.values())
    assert len(book.gaps) == book.gap_count
    assert all(threshold < gap["seconds"] <= book.longest_gap for gap in book.gaps)
    assert book.up == entry.up
    assert all(
        later["at_s"] >= gap["at_s"] + gap["seconds"] for gap, later in zip(book.gaps, book.gaps[1:], strict=False)
    )


def test_the_lists_end_but_the_counts_do_not() -> None:
    book = Book(0.0, 0.5)
    entry = Entry(book, 0)
    for at in range(MAX_NAMED + 5):
        entry.opened(at)
        entry.broke("x", at)
        entry.opened(at)
        entry.sent(at)
        entry.answered(at, at + 1)
        entry.broke("x", at + 1)
    assert (len(book.breaks), book.broken) == (MAX_NAMED, 2 * (MAX_NAMED + 5))
    assert len(book.gaps) == MAX_NAMED < book.gap_count


@pytest.mark.parametrize("params", [{"dead_after": 0.1}, {"count": 0}, {"interval": 0}, {"port": 0}])
def test_bad_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(BadParameters):
        KeepConnections(**{"dst": "10.0.0.2", "port": 1, **params})
