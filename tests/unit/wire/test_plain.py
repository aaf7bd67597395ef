"""What a value is after it has travelled, and what is said of one that cannot."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import ipaddress
import math
import pathlib
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shakeout.errors import CannotTravel, ProtocolError
from shakeout.wire.plain import MAX_DEPTH, MAX_INT_BITS, DeviceRef, pack, unpack

_offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
_zones = st.none() | st.just(UTC) | st.builds(timezone, _offsets) | st.builds(timezone, _offsets, st.text())
_surrogates = st.text(st.characters(codec=None, categories=["Cs", "L"]))
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**600), 2**600),
    st.floats(allow_nan=False),
    st.text(),
    _surrogates,
    st.binary(),
    st.ip_addresses(),
    st.ip_addresses().map(ipaddress.ip_interface),
    st.ip_addresses().map(ipaddress.ip_network),
    st.builds(pathlib.Path, st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
    st.builds(pathlib.PurePosixPath, _surrogates),
    st.datetimes(timezones=_zones),
    st.timedeltas(),
    st.builds(DeviceRef, st.integers(0, 2**62)),
)
_keys = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(_keys, inner, max_size=4)
        | st.sets(_keys, max_size=4)
        | st.frozensets(_keys, max_size=4)
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    if isinstance(a, set | frozenset):
        kinds = {(type(x), x) for x in a}
        return a == b and kinds == {(type(x), x) for x in b}
    if isinstance(a, datetime):
        return a == b and repr(a) == repr(b)
    return bool(a == b)


@given(_values)
@example(ipaddress.ip_interface("fe80::1%eth0/64"))
@example(ipaddress.ip_address("::ffff:1.2.3.4"))
@example(datetime(2026, 10, 25, 2, 30, fold=1))
@example([[True, 1, 1.0], {True: 1}, {(): []}])
def test_a_value_arrives_exactly_as_it_was(value: Any) -> None:
    assert same(unpack(pack(value)), value)


def test_special_floats_survive() -> None:
    nan, minus_zero, *rest = unpack(pack([math.nan, -0.0, math.inf, -math.inf]))
    assert math.isnan(nan)
    assert math.copysign(1, minus_zero) == -1
    assert rest == [math.inf, -math.inf]


def test_a_large_int_travels_as_long_as_it_can_be_printed() -> None:
    largest = -(2**MAX_INT_BITS) + 1
    assert unpack(pack([largest])) == [largest]
    assert str(largest)
    with pytest.raises(CannotTravel, match=r"value\[0\] is an int of more than 14000 bits"):
        pack([2**MAX_INT_BITS])
    with pytest.raises(ProtocolError, match="an int of more than"):
        unpack(b"\xc8\x10\x00\x01" + b"\x7f" * 4096)


class Port:
    def _shakeout_ref(self) -> int:
        return 12


def test_a_device_travels_as_its_number() -> None:
    assert unpack(pack({"to": [Port()]})) == {"to": [DeviceRef(12)]}


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Pair:
    a: int = 1


class Bag(dict[str, int]):
    pass


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"x": [0, 1, 2, object()]}, "state['x'][3] is an object; only plain data travels: None, bool"),
        ([(1, {2: Colour.RED})], "state[0][1][2] is a Colour"),
        (Level.LOW, "state is a Level; only plain data travels"),
        (Level.LOW, "send its .value"),
        ({"p": Pair()}, "dataclasses.asdict"),
        ({Pair: 1}, "a key of state is the class Pair"),
        ({(1, Colour.RED): 1}, "a key of state[1] is a Colour"),
        ({frozenset([Colour.RED])}, "an element of an element of state is a Colour"),
        ({"b": Bag()}, "state['b'] is a Bag; only plain data travels"),
        ({"b": Bag()}, "convert it with dict(…)"),
        (datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), "astimezone(timezone.utc)"),
        (bytearray(b"x"), "state is a bytearray"),
        (len, "state is a builtin_function_or_method"),
    ],
)
def test_what_cannot_travel_is_named_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(CannotTravel) as caught:
        pack(value, where="state")
    assert said in str(caught.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CannotTravel, match="contains itself"):
        pack(loop)


def nested(depth: int, make: Any) -> Any:
    value: Any = make([])
    for _ in range(depth - 1):
        value = make([value])
    return value


@pytest.mark.parametrize("make", [list, tuple, frozenset, lambda items: {1: items[0]} if items else {}])
def test_nesting_is_limited_and_the_limit_itself_travels(make: Any) -> None:
    deepest = nested(MAX_DEPTH, make)
    assert unpack(pack(deepest)) == deepest
    with pytest.raises(CannotTravel, match=f"more than {MAX_DEPTH} containers"):
        pack(nested(MAX_DEPTH + 1, make))


def test_too_large_a_value_is_refused_on_either_side() -> None:
    with pytest.raises(CannotTravel, match=r"result is too large to travel: 104 bytes packed, the limit is 50"):
        pack("x" * 102, where="result", limit=50)
    with pytest.raises(ProtocolError, match="longer than the limit of 50"):
        unpack(b"x" * 51, limit=50)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc0\xc0",
        b"\x91" * 100_000,
        b"\x91" * (MAX_DEPTH + 1) + b"\x90" + b"",
        b"\xdd\xff\xff\xff\xff" + bytes(100_000),
        b"\xdf\xff\xff\xff\xff" + bytes(100_000),
        b"\xc7\x00\x63",
        b"\xd4\x03\x01",
        b"\xd4\x04\x91",
        b"\xc7\x02\x05\x91\x90",
        b"\xc7\x04\x07\x00abc",
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xd4\x0b\xa0",
        b"\xc7\x00\x08",
        b"\x81\x80\x01",
    ],
)
def test_bytes_that_are_no_value_are_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpack(data)


def test_extensions_within_each_other_are_limited() -> None:
    data = b"\x90"
    for _ in range(2000):
        data = b"\xc9" + len(data).to_bytes(4, "big") + b"\x03" + b"\x91" + data
    with pytest.raises(ProtocolError):
        unpack(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_value_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        unpack(data)


@settings(max_examples=300)
@given(_values, st.data())
def test_mutated_bytes_give_a_value_or_a_protocol_error(value: Any, data: st.DataObject) -> None:
    packed = bytearray(pack(value))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(packed) - 1))
        packed[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        unpack(packed)
