"""The search for a path's MTU, on paths made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.modules.packets.mtusearch import FLOOR, MtuSearch


def find(search: MtuSearch, mtu: int, *, says: int | None = None) -> int:
    """The rounds that it takes on a path of *mtu*, where routers say *says* of larger packets (None: nothing)."""
    for number in range(200):
        if search.done:
            return number
        sizes = search.next_sizes()
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) <= 60
        silent = []
        for size in sizes:
            if size <= mtu:
                search.fits(size)
            elif says is not None:
                search.too_big(size, says)
            else:
                silent.append(size)
        if silent:
            search.silent([size for size in silent if search.good < size < search.bad])
    raise AssertionError(f"not found after {number} rounds: {search.good}, {search.bad}")


@given(st.sampled_from((4, 6)), st.data())
def test_whatever_routers_say_it_is_found_to_the_byte(version: int, data: st.DataObject) -> None:
    high = data.draw(st.integers(FLOOR[version], 65535))
    mtu = data.draw(st.integers(FLOOR[version], high))
    says = data.draw(st.one_of(st.none(), st.just(mtu), st.integers(0, 70000)))
    search = MtuSearch(version, high)
    rounds = find(search, mtu, says=says)
    assert search.good == (says if says is not None and FLOOR[version] <= says < mtu < high else mtu)
    assert rounds <= 9


@pytest.mark.parametrize(("high", "mtu", "says", "rounds"), [
    (1500, 1500, None, 1), (1500, 1400, 1400, 2), (65535, 1500, 1500, 2),
    (1500, 1400, None, 4), (1500, 1492, None, 4), (9000, 1500, None, 4), (1500, 1333, None, 6), (65535, 5000, None, 9),
])  # fmt: skip
def test_how_long_it_takes(high: int, mtu: int, says: int | None, rounds: int) -> None:
    search = MtuSearch(4, high)
    assert find(search, mtu, says=says) <= rounds
    assert search.good == mtu


def test_a_size_that_was_lost_by_chance_is_tried_again() -> None:
    search = MtuSearch(4, 1500)
    search.silent([1500])
    search.fits(68)
    search.silent([1400])
    search.fits(1450)  # late
    assert search.bad == 1501
    find(search, 1500)
    assert search.good == 1500
