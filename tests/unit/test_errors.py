"""The tree of errors: as it is drawn, as it is, and what each means for the exit status."""

from __future__ import annotations

import re

from shakeout import errors
from shakeout.errors import HostError, LeaseHeld, ShakeoutError


def drawn() -> list[tuple[int, str, int | None]]:
    """Depth, name and exit status (None: its parent's) of each line of the tree in the docstring."""
    assert errors.__doc__ is not None
    lines = re.findall(r"^    ([│├└─ ]*)([A-Z]\w+) +(?:(\d): )?\S", errors.__doc__, re.MULTILINE)
    return [(len(branch) // 4, name, int(status) if status else None) for branch, name, status in lines]


def test_the_tree_is_drawn_as_it_is() -> None:
    path: list[type] = []
    for depth, name, status in drawn():
        cls = getattr(errors, name)
        del path[depth:]
        assert depth == 0 or issubclass(cls, path[-1]), name
        if depth:
            expected = path[-1].exit_status if status is None else status  # type: ignore[attr-defined]
            assert cls.exit_status == expected, name
        path.append(cls)
    known = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert known == {name for _, name, _ in drawn()}


def test_an_error_names_its_host_once() -> None:
    error = LeaseHeld("held by somebody", "m1", "somebody")
    assert str(error) == "m1: held by somebody"
    again = HostError(error.reason, "dut1")
    assert str(again) == "dut1: held by somebody"
    assert isinstance(again, ShakeoutError)
