"""Outcomes as they arrive: from an honest host, and from one that lies."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shakeout.errors import ProtocolError
from shakeout.modules.order import decode_order, decode_state
from shakeout.modules.outcome import (
    Frame,
    RemoteError,
    RemoteException,
    decode_outcome,
    encode_outcome,
    render,
)
from shakeout.wire.plain import pack

ERROR = RemoteError("error", (RemoteException("ValueError", "bad", (Frame("x.py", 3, "f", "y()"),)),), "Case")


def record(passed: object, result: object, error: object) -> bytes:
    return msgspec.msgpack.encode([passed, result, error])


def test_an_outcome_arrives_as_it_was() -> None:
    outcome = decode_outcome(encode_outcome(True, {"a": (1, 2)}))
    assert (outcome.passed, outcome.result, outcome.error) == (True, {"a": (1, 2)}, None)
    assert decode_outcome(encode_outcome(False, None, ERROR)).error == ERROR


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        record(True, b"", None),
        record(1, pack(None), None),
        record(True, pack(None), msgspec.to_builtins(ERROR)),
        record(False, pack(None), None),
        record(True, "text", None),
        record(True, b"\xd4\x63\x00", None),
        record(False, pack(None), ["error", [], ""]),
        record(False, pack(None), ["worse", [["E", "m", [], ""]], ""]),
        record(False, pack(None), ["error", [["E", "m", [], ""]] * 17, ""]),
        record(False, pack(None), ["error", [["E", "m" * 200_000, [], ""]], ""]),
        record(False, pack(None), ["error", [["E", "m", [["f", 1, "g", ""]] * 102, ""]], ""]),
        record(False, pack(None), ["error", [["E", "m", [["f" * 9000, 1, "g", ""]], ""]], ""]),
        record(False, pack(None), ["error", [["E" * 9000, "m", [], ""]], ""]),
        record(False, pack(None), ["error", [["E", "m", [], ""]], "x" * 9000]),
    ],
)
def test_an_outcome_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_outcome(data)


@settings(max_examples=300)
@given(st.data())
def test_mutated_outcomes_and_orders_are_values_or_protocol_errors(data: st.DataObject) -> None:
    packed = bytearray(encode_outcome(False, {"a": (1, b"x")}, ERROR))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        outcome = decode_outcome(packed)
        if outcome.error is not None:
            render(outcome.error, "m1")
            _ = outcome.error.message
    with contextlib.suppress(ProtocolError):
        decode_state(decode_order(bytes(packed)))


def test_a_traceback_cannot_write_elsewhere_on_a_terminal() -> None:
    error = RemoteError("error", (RemoteException("E", "\x1b[2J\u202egone", (Frame("x\ry", 1, "f"),)),))
    text = render(error, "m1")
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\\x1b[2J\\u202egone" in text


def test_a_failure_that_a_module_explains_needs_no_traceback() -> None:
    failed = RemoteError("failed", (RemoteException("ModuleFailed", "all lost", (Frame("x.py", 3, "f"),)),), "Case")
    assert render(failed, "m1") == "on host m1 (module Case):\nModuleFailed: all lost"


@pytest.mark.parametrize(("file", "traced"), [("/opt/shakeout/modules/iperf.py", False), ("/srv/tests/my.py", True)])
def test_what_a_host_lacks_needs_no_traceback_of_ours(file: str, traced: bool) -> None:
    lacks = RemoteError("error", (RemoteException("JobError", "no iperf3", (Frame(file, 3, "f"),)),), "Case")
    text = render(lacks, "m1")
    assert text.endswith("JobError: no iperf3")
    assert (file in text) is traced


def test_the_first_line_of_a_traceback_names_host_and_module() -> None:
    assert render(ERROR, "m1").splitlines() == [
        "on host m1 (module Case):",
        "Traceback (most recent call last):",
        '  File "x.py", line 3, in f',
        "    y()",
        "ValueError: bad",
    ]
