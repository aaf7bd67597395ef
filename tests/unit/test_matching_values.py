"""Which values a predicate accepts, and how it reads."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadRequirement
from shakeout.matching.comparison import ABSENT
from shakeout.matching.values import (
    Absent,
    AnyOf,
    AtLeast,
    AtMost,
    Between,
    Exact,
    Match,
    Not,
    Predicate,
    Present,
    as_predicate,
)

MAC = "52:54:00:AB:cd:01"


@pytest.mark.parametrize(
    ("wanted", "accepted", "refused"),
    [
        ("x86_64", ["x86_64", ["arm64", "x86_64"]], ["X86_64", "x86", ABSENT, 8, True]),
        (8, ["8", 8, 8.0, "8.0", "08"], ["9", "8a", "", True, ABSENT, "nan"]),
        ("8", [8, "8", 8.0], ["08", "8.0", True]),
        (1, [1, "1"], [True]),
        (True, [True, "true", "True"], [1, "yes", False, ABSENT]),
        (MAC, [MAC, MAC.lower(), MAC.replace(":", "-")], ["52:54:00:ab:cd:02"]),
        (Match("mlx.*"), ["mlx5_core"], ["xmlx5", ABSENT, "MLX5"]),
        (Match("mlx"), ["mlx"], ["mlx5_core"]),
        (Match("52:54:00:ab:.*"), [MAC], []),
        (Match("[0-9]+"), [7, "7"], [True, "x"]),
        (re.compile("(?i)MLX.*"), ["mlx5"], []),
        (AnyOf("a", Match("b.*"), 3), ["a", "bc", "3", 3], ["c", ABSENT]),
        (["a", "b"], ["a", "b"], ["c"]),
        ({"a", "b"}, ["a", "b"], ["c"]),
        (AtLeast(9), ["16", 9, 9.5, [3, 12]], ["8", "x", ABSENT, 8.99, True]),
        (AtMost("9"), ["9", 3], ["16", "x", ABSENT]),
        (Between(4, 8), [4, "8", 6.5], [3, "16", ABSENT]),
        (AtLeast("6.1"), ["6.18.2-amd64", "6.1.0-18-amd64", 7], ["5.10.0-8", "abc"]),
        (AtMost("6.1"), ["6.1.5", "5.10.0"], ["6.2.0-rc1"]),
        (Present(), ["", 0, "x", False], [ABSENT]),
        (Absent(), [ABSENT], ["", 0]),
        (Not("a"), ["b", ABSENT], ["a", ["a", "b"]]),
        (~AtLeast(4), [3, ABSENT], [4]),
        (~Present(), [ABSENT], ["x"]),
        (~AnyOf("a", "b"), ["c", ABSENT], ["a", "b"]),
    ],
)
def test_accepts(wanted: object, accepted: list[object], refused: list[object]) -> None:
    predicate = as_predicate(wanted, "x")
    for value in accepted:
        assert predicate.accepts(value), value
        assert not (~predicate).accepts(value), value
    for value in refused:
        assert not predicate.accepts(value), value
        assert (~predicate).accepts(value), value


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        (Exact("mlx5_core"), "d=mlx5_core"),
        (Exact("two words"), "d='two words'"),
        (Exact(""), "d=''"),
        (Exact(True), "d=true"),
        (AtLeast(4), "d >= 4"),
        (AtMost(4), "d <= 4"),
        (Between(4, 8), "d between 4 and 8"),
        (AnyOf("a", "b"), "d one of a, b"),
        (AnyOf("a", AtLeast(3), Match("x.*")), "d one of a, >= 3, matching x.*"),
        (Not(AnyOf("a", "b")), "d not one of a, b"),
        (Not("a"), "d not a"),
        (~Match("a.*"), "d not matching a.*"),
        (~AtLeast(4), "d not >= 4"),
        (~~Exact("a"), "d=a"),
        (Not(Not("a")), "d=a"),
        (Present(), "d present"),
        (~Present(), "d absent"),
        (Absent(), "d absent"),
    ],
)
def test_text(predicate: Predicate, text: str) -> None:
    assert predicate.text("d") == text


def test_bad_ones_are_refused_at_construction() -> None:
    for build, said in [
        (lambda: Match("a(b"), r"position 1"),
        (lambda: Match(3), "regular expression"),
        (lambda: Between(8, 4), "above"),
        (lambda: Between(float("nan"), 4), "nan"),
        (AnyOf, "no members"),
        (lambda: AnyOf(None), "None"),
        (lambda: AtLeast("much"), "much"),
        (lambda: AtMost(True), "True"),
        (lambda: Not(None), "None"),
        (lambda: as_predicate([], "x"), "no members"),
        (lambda: as_predicate(print, "arch"), "arch"),
    ]:
        with pytest.raises(BadRequirement, match=said):
            build()


def test_predicates_compare_by_value_and_do_not_change() -> None:
    assert AnyOf("a", [1]) == AnyOf("a", [1]) != AnyOf("a", (1,))
    assert hash(Exact({"a": [1]})) == hash(Exact({"a": [1]}))
    assert Exact(1) != Exact(True) != Exact("1")
    with pytest.raises(AttributeError):
        Exact(1).args = (2,)


numbers = st.one_of(st.integers(-20, 20), st.floats(-9, 9))
values = st.one_of(st.text(max_size=5), numbers, st.booleans(), st.just(ABSENT))


@given(a=st.integers(-20, 20), b=st.integers(-20, 20), value=values)
def test_limits_are_the_complements_of_each_other(a: int, b: int, value: object) -> None:
    low, high = min(a, b), max(a, b)
    assert Between(low, high).accepts(value) == (AtLeast(low).accepts(value) and AtMost(high).accepts(value))
    assert AnyOf(a, b).accepts(value) == (Exact(a).accepts(value) or Exact(b).accepts(value))
