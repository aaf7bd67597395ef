"""Parameters: what each kind accepts, and what one is told when it does not."""

from __future__ import annotations

import enum
import ipaddress
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.params import (
    BoolParam,
    ChoiceParam,
    DeviceParam,
    DictParam,
    DurationParam,
    FloatParam,
    HostnameOrIpParam,
    HostnameParam,
    IntParam,
    IpParam,
    ListParam,
    NetworkParam,
    Param,
    PathParam,
    StrParam,
)


class Colour(enum.IntEnum):
    RED = 3


class Ethernet:
    if_index = 1
    hwaddr = "52:54:00:00:00:01"


ETHERNET = Ethernet()

ACCEPTED = [
    (IntParam(), "5000", 5000),
    (IntParam(), " -7 ", -7),
    (IntParam(), "0x10", 16),
    (IntParam(), Colour.RED, 3),
    (IntParam(maximum=2**64), 2**64 - 1, 2**64 - 1),
    (FloatParam(), "1e3", 1000.0),
    (FloatParam(), 2, 2.0),
    (FloatParam(finite=False), "inf", math.inf),
    (BoolParam(), "Yes", True),
    (BoolParam(), "off", False),
    (BoolParam(), 1, True),
    (StrParam(), "", ""),
    (StrParam(pattern="[a-z]+"), "abc", "abc"),
    (ChoiceParam(["a", "b"]), "b", "b"),
    (ChoiceParam([1, 10]), "10", 10),
    (ChoiceParam([1, True]), True, True),
    (ListParam(IntParam()), "1, 2,3", [1, 2, 3]),
    (ListParam(IntParam()), '[1, "2"]', [1, 2]),
    (ListParam(IntParam()), "", []),
    (ListParam(), "a,b", ["a", "b"]),
    (ListParam(ListParam(IntParam())), "[[1],[2,3]]", [[1], [2, 3]]),
    (DictParam(), "a=1,b=x=y", {"a": "1", "b": "x=y"}),
    (DictParam(FloatParam()), '{"a": 1}', {"a": 1.0}),
    (IpParam(), "192.0.2.1", ipaddress.ip_address("192.0.2.1")),
    (IpParam(), "2001:db8::1", ipaddress.ip_address("2001:db8::1")),
    (IpParam(), ipaddress.ip_interface("192.0.2.1/24"), ipaddress.ip_address("192.0.2.1")),
    (NetworkParam(), "192.0.2.0/24", ipaddress.ip_network("192.0.2.0/24")),
    (NetworkParam(), "2001:db8::/32", ipaddress.ip_network("2001:db8::/32")),
    (NetworkParam(), "192.0.2.1", ipaddress.ip_network("192.0.2.1/32")),
    (HostnameParam(), "dut-1.lab", "dut-1.lab"),
    (HostnameOrIpParam(), "dut1", "dut1"),
    (HostnameOrIpParam(), "::1", ipaddress.ip_address("::1")),
    (PathParam(), "a/b", Path("a/b")),
    (DurationParam(), "1m30s", 90.0),
    (DurationParam(), "250ms", 0.25),
    (DurationParam(), "1.5h", 5400.0),
    (DurationParam(), "1d 2h", 93600.0),
    (DurationParam(), "5µs", 5e-6),
    (DurationParam(), "90", 90.0),
    (DurationParam(), 3, 3.0),
    (DeviceParam(), ETHERNET, ETHERNET),
    (Param(), object, object),
]


@pytest.mark.parametrize(("param", "given_value", "value"), ACCEPTED)
def test_accepted_values_are_converted(param: Param[object], given_value: object, value: object) -> None:
    converted = param.convert(given_value)
    assert converted == value
    assert type(converted) is type(value)
    assert param.convert(converted) == value, "a converted value is accepted again"
    if not isinstance(param, DeviceParam):
        assert param.convert(param.plain(converted)) == value, "and so is its plain form"


REJECTED: list[tuple[Param[Any], list[Any]]] = [
    (IntParam(), ["1e3", "1.0", 1.0, True, "", "abc", None, "010", 2**64, "٣", b"1", "9" * 5000]),
    (IntParam(minimum=68, maximum=9000), [67, "9001"]),
    (IntParam(choices=[1, 2]), [3]),
    (FloatParam(), ["nan", "inf", math.nan, -math.inf, True, "x", None, 10**400]),
    (FloatParam(minimum=0), [-0.1]),
    (BoolParam(), ["maybe", 2, "", None, 0.5]),
    (StrParam(), [5, None, b"x", "\udcff"]),
    (StrParam(min_length=1, max_length=2, pattern="a*"), ["", "aaa", "b", "a\n"]),
    (ChoiceParam(["a"]), ["b", "", None]),
    (ChoiceParam([True]), [1]),
    (ListParam(IntParam()), [5, "1,x", "[1", {1, 2}, '{"a": 1}', "[" * 5000]),
    (ListParam(min_length=1, max_length=2), [[], "a,b,c"]),
    (DictParam(), ["a", "=1", "a=1,a=2", [1], {1: 2}, '{"a"']),
    (IpParam(), ["192.0.2.256", "192.0.2.1/24", 1, "host", ""]),
    (IpParam(family=4), ["::1"]),
    (IpParam(family=6), ["192.0.2.1"]),
    (NetworkParam(), ["192.0.2.1/24", "192.0.2.0/33", "x", 24]),
    (NetworkParam(family=6), ["192.0.2.0/24"]),
    (HostnameParam(), ["-a", "a-", "a..b", "", "10.0.0.256", "a_b", "ü.de", "a" * 64, "a." * 127 + "a", 5]),
    (HostnameOrIpParam(), ["10.0.0.256", "a b"]),
    (PathParam(), ["", "a\0b", 5]),
    (PathParam(absolute=True), ["a"]),
    (DurationParam(), ["30s1m", "1m1m", "-1", "1x", "inf", "", "s", True, "1h garbage"]),
    (DurationParam(minimum="1s", maximum="1m"), ["999ms", 61]),
    (DeviceParam(), ["eth0", 1, None]),
]


@pytest.mark.parametrize(("param", "value"), [(param, value) for param, values in REJECTED for value in values])
def test_other_values_are_rejected(param: Param[object], value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        param.convert(value)


@given(st.integers(-(2**63), 2**64 - 1))
def test_whole_numbers_survive_every_spelling(number: int) -> None:
    for text in (str(number), hex(number), oct(number), bin(number)):
        assert IntParam().convert(text) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_their_text(number: float) -> None:
    assert FloatParam().convert(str(number)) == number


@given(st.ip_addresses())
def test_addresses_survive_their_text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert IpParam().convert(str(address)) == address
    assert HostnameOrIpParam().convert(str(address)) == address
    assert NetworkParam().convert(f"{address}/{address.max_prefixlen}").network_address == address


@given(st.lists(st.integers(-100, 100)))
def test_lists_survive_both_spellings(numbers: list[int]) -> None:
    assert ListParam(IntParam()).convert(",".join(map(str, numbers))) == numbers
    assert ListParam(IntParam()).convert(str(numbers)) == numbers


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up_their_parts(d: int, h: int, m: int, s: int, ms: int) -> None:
    seconds = DurationParam().convert(f"{d}d{h}h{m}m{s}s{ms}ms")
    assert seconds == pytest.approx(((d * 24 + h) * 60 + m) * 60 + s + ms / 1000)


@pytest.mark.parametrize("param", [param for param, _, _ in ACCEPTED], ids=lambda p: type(p).__name__)
@given(text=st.text(max_size=40))
def test_any_text_is_either_converted_or_rejected(param: Param[object], text: str) -> None:
    try:
        value = param.convert(text)
    except ValueError as error:
        assert "expected" in str(error)
    else:
        again = param.convert(param.plain(value))
        assert again == value or repr(again) == repr(value)  # NaN is not equal to itself


def test_the_message_says_where_in_a_list_and_what_is_accepted() -> None:
    with pytest.raises(ValueError, match=r"item 1, 'x': expected a whole number of at least 1"):
        ListParam(IntParam(minimum=1)).convert("1,x")


@pytest.mark.parametrize(
    ("param", "problem"),
    [
        (IntParam(default="abc"), "default 'abc': expected a whole number"),
        (IntParam(default=5, maximum=4), "default 5: expected a whole number of at most 4"),
        (IntParam(minimum=5, maximum=4), "minimum 5 is above maximum 4"),
        (IntParam(default=1, mandatory=True), "is mandatory, and so cannot have a default"),  # type: ignore[call-overload]
        (StrParam(pattern="("), "is no regular expression"),
        (ChoiceParam([]), "nothing to choose from"),
        (ListParam(IntParam), "described by a parameter"),  # type: ignore[call-overload]
        (ListParam(IntParam(default="x")), "the parameter of its items: default 'x'"),
        (IpParam(family=5), "family is 4 or 6"),  # type: ignore[call-overload]
        (DurationParam(minimum="x"), "expected a duration"),
    ],
)
def test_a_faulty_declaration_is_an_error_once_it_is_used(param: Param[object], problem: str) -> None:
    from shakeout.params import check_declarations

    kind = type("Owner", (), {"size": param})
    with pytest.raises(BadParameters, match="Owner: size: ") as caught:
        check_declarations(kind)
    assert problem in str(caught.value)
