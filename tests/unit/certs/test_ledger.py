"""What the CA has signed stays known, whatever ends the process that writes it down."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.certs.ledger import Issued, Ledger, Record, Revoked
from shakeout.errors import UsageError

ONE, TWO = Issued("1a", "dut1", "host", 10, 20, ("192.0.2.7",)), Issued("2b", "desk", "controller", 10, 20)


def test_what_is_added_is_there(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.records() == []
    ledger.add(ONE)
    ledger.add(TWO, Revoked("1a", 15))
    assert ledger.records() == [Record(ONE, 15), Record(TWO)]
    ledger.add(Revoked("1a", 17))
    assert ledger.records()[0].revoked_at == 15


@given(st.integers(1, 60))
def test_half_a_last_line_tells_of_nothing_and_does_not_stay(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    ledger = Ledger(path)
    ledger.add(ONE)
    before = path.stat().st_size
    ledger.add(TWO)
    with path.open("rb+") as file:
        file.truncate(before + cut)
    assert ledger.records() == [Record(ONE)]
    ledger.add(TWO)
    assert ledger.records() == [Record(ONE), Record(TWO)]


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"event": "issued"}\n', b'{"event":"revoked","serial":"9","at":1}\n']
)
def test_damage_is_said_with_its_place(tmp_path: Path, line: bytes) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.add(ONE)
    with (tmp_path / "ledger").open("ab") as file:
        file.write(line)
    with pytest.raises(UsageError, match=r"ledger:2 is damaged .*restore the CA's folder"):
        ledger.records()


@pytest.mark.parametrize(("now", "state"), [(5, "not yet"), (15, "valid"), (25, "expired")])
def test_states(now: int, state: str) -> None:
    assert Record(ONE).state(now) == state
    assert Record(ONE, 12).state(now) == "revoked"
