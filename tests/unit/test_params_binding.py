"""Sets of parameters: declaring, binding, the container, command-line arguments, JSON Schema."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shakeout.errors import BadParameters
from shakeout.params import (
    BoolParam,
    ChoiceParam,
    DictParam,
    DurationParam,
    FloatParam,
    HostnameOrIpParam,
    HostnameParam,
    IntParam,
    IpParam,
    ListParam,
    NetworkParam,
    Params,
    PathParam,
    StrParam,
    bind,
    check_declarations,
    declared,
    from_cli,
    plain,
    schema,
)


class Recipe:
    def __init__(self, **kwargs: Any) -> None:
        self.params = bind(type(self), kwargs)

    def __init_subclass__(cls) -> None:
        check_declarations(cls, reserved={"matched"})

    def test(self) -> None: ...


class Throughput(Recipe):
    mtu = IntParam(default=1500, minimum=68, maximum=9000, desc="bytes of a frame")
    dst = IpParam(mandatory=True)
    sizes = ListParam(IntParam(), default=[64])
    note = StrParam()


def test_values_defaults_and_no_value() -> None:
    recipe = Throughput(dst="192.0.2.1", mtu="9000")
    assert (recipe.mtu, recipe.params.mtu, recipe.params["mtu"]) == (9000, 9000, 9000)
    assert recipe.sizes == [64]
    assert recipe.note is None
    assert recipe.params.note is None
    assert "note" not in recipe.params
    assert list(dict(recipe.params)) == ["mtu", "dst", "sizes"], "in the order of declaration"
    assert repr(recipe.params).startswith("Params(mtu=9000, dst=IPv4Address(")


def test_all_that_is_wrong_stands_in_one_message() -> None:
    with pytest.raises(BadParameters) as caught:
        Throughput(mtuu=1, mtu=67, sizes="1,x", nothing_like_it=2)
    message = str(caught.value)
    for part in (
        "Throughput: ",
        "mandatory parameter 'dst' is missing (expected an IPv4 or IPv6 address)",
        "'mtuu' is no parameter (did you mean 'mtu'?)",
        "'nothing_like_it' is no parameter",
        "mtu=67: expected a whole number from 68 to 9000",
        "sizes='1,x': item 1, 'x': expected a whole number",
    ):
        assert part in message
    assert len(caught.value.problems) == 5


def test_none_means_not_given_only_where_there_may_be_no_value() -> None:
    assert "note" not in Throughput(dst="::1", note=None).params
    with pytest.raises(BadParameters, match=r"dst=None.*|mtu=None"):
        Throughput(dst=None, mtu=None)


def test_instances_share_no_default_and_no_argument() -> None:
    sizes = [1]
    one, other = Throughput(dst="::1"), Throughput(dst="::1", sizes=sizes)
    one.sizes.append(2)
    other.sizes.append(3)
    assert Throughput(dst="::1").sizes == [64]
    assert sizes == [1]
    copied = copy.deepcopy(one.params)
    copied.sizes.append(4)
    assert one.sizes == [64, 2]


def test_assignment_converts_and_checks() -> None:
    recipe = Throughput(dst="::1")
    recipe.params.mtu = "1280"
    assert recipe.mtu == 1280
    recipe.mtu = 1400
    assert recipe.params.mtu == 1400
    recipe.params.note = "x"
    recipe.params.note = None
    assert "note" not in recipe.params
    with pytest.raises(BadParameters, match="mtu='x': expected a whole number from 68 to 9000"):
        recipe.params.mtu = "x"
    with pytest.raises(BadParameters, match="did you mean 'mtu'"):
        recipe.params.mtuu = 1
    assert recipe.mtu == 1400


def test_reading_an_unknown_name_names_the_nearest() -> None:
    params = Throughput(dst="::1").params
    with pytest.raises(AttributeError, match=r"Throughput has no parameter 'mtuu' .did you mean 'mtu'"):
        _ = params.mtuu
    assert not hasattr(params, "__wrapped__")


def test_reading_before_init_says_what_is_missing() -> None:
    class Early(Recipe):
        mtu = IntParam(default=1)

        def __init__(self) -> None:
            self.seen = self.mtu

    with pytest.raises(AttributeError, match=r"super\(\).__init__"):
        Early()


def test_equality_is_that_of_the_values() -> None:
    assert Throughput(dst="::1").params == Throughput(dst="0::1", mtu=1500).params
    assert Throughput(dst="::1").params != Throughput(dst="::2").params


def test_inheritance_replaces_in_place_and_none_takes_away() -> None:
    class Jumbo(Throughput):
        extra = IntParam()
        mtu = IntParam(default=9000)
        note = None  # type: ignore[assignment]

    assert list(declared(Jumbo)) == ["mtu", "dst", "sizes", "extra"]
    assert Jumbo(dst="::1").mtu == 9000
    assert Throughput(dst="::1").mtu == 1500
    with pytest.raises(BadParameters, match="'note' is no parameter"):
        Jumbo(dst="::1", note="x")


@pytest.mark.parametrize("name", ["test", "params", "matched", "_hidden"])
def test_taken_names_are_refused_when_the_class_is_made(name: str) -> None:
    with pytest.raises(BadParameters, match=f"Clash: {name}: "):
        type("Clash", (Recipe,), {name: IntParam()})


def test_a_bad_default_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(BadParameters, match="Bad: a: default 'x': expected a whole number; b: "):
        type("Bad", (Recipe,), {"a": IntParam(default="x"), "b": StrParam(default=5)})  # type: ignore[call-overload]


def test_one_object_under_two_names_is_refused() -> None:
    shared = IntParam()
    with pytest.raises(BadParameters, match="the same object"):
        type("Twice", (Recipe,), {"a": shared, "b": shared})


def test_arguments_of_a_command_line() -> None:
    assert from_cli(Throughput, ["mtu=8000", "note=a=b", "dst="], base=Recipe) == {
        "mtu": "8000",
        "note": "a=b",
        "dst": "",
    }
    with pytest.raises(BadParameters) as caught:
        from_cli(Throughput, ["mtu", "=1", "note=1", "note=2", "mtuu=1"], base=Recipe)
    message = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "'mtu' is not of the form name=value" in message
    assert "'note' is given twice" in message
    assert "'mtuu' is no parameter (did you mean 'mtu'?)" in message


def test_a_name_that_only_init_takes_is_passed_on() -> None:
    class Own(Recipe):
        mtu = IntParam(default=1500)

        def __init__(self, hosts: str = "2", *, rate: str = "1") -> None:
            super().__init__()

    class Any_(Recipe):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__()

    assert from_cli(Own, ["hosts=3", "rate=2"], base=Recipe) == {"hosts": "3", "rate": "2"}
    assert from_cli(Any_, ["what=ever"], base=Recipe) == {"what": "ever"}
    with pytest.raises(BadParameters, match="'mtu' is a parameter, but __init__ does not take it"):
        from_cli(Own, ["mtu=1"], base=Recipe)
    with pytest.raises(BadParameters, match="did you mean 'hosts'"):
        from_cli(Own, ["host=1"], base=Recipe)


class Everything(Recipe):
    whole = IntParam(minimum=-5, maximum=5)
    number = FloatParam(minimum=-1.5)
    flag = BoolParam(default=False)
    text = StrParam(min_length=1, pattern="[a-z]+")
    choice = ChoiceParam(["a", 1, None, True])
    numbers = ListParam(IntParam(), max_length=3)
    table = DictParam(FloatParam())
    address = IpParam(default="192.0.2.1")
    network = NetworkParam(default="2001:db8::/32")
    host = HostnameParam(default="dut1.lab")
    either = HostnameOrIpParam(default="::1")
    path = PathParam(default="/tmp", absolute=True)
    period = DurationParam(default="1m", maximum="1h")
    must = IntParam(mandatory=True)


@given(
    st.fixed_dictionaries(
        {"must": st.integers(-100, 100).map(str)},
        optional={
            "whole": st.integers(-5, 5).map(str),
            "number": st.floats(-1.5, 1e9),
            "flag": st.sampled_from(["yes", "off", True]),
            "text": st.from_regex(r"[a-z]{1,9}", fullmatch=True),
            "choice": st.sampled_from(["a", 1, True]),
            "numbers": st.lists(st.integers(0, 9), max_size=3).map(lambda n: ",".join(map(str, n))),
            "table": st.dictionaries(st.text(max_size=3), st.floats(0, 1)),
            "address": st.ip_addresses(),
            "either": st.ip_addresses().map(str),
            "period": st.floats(0, 3600),
        },
    )
)
def test_what_bind_accepts_validates_and_comes_back(kwargs: dict[str, Any]) -> None:
    params = Everything(**kwargs).params
    document = schema(Everything)
    Draft202012Validator.check_schema(document)
    Draft202012Validator(document).validate(plain(params))
    assert bind(Everything, plain(params)) == params


def test_the_schema_refuses_what_bind_refuses() -> None:
    validator = Draft202012Validator(schema(Everything))
    for wrong in ({}, {"must": 1, "whole": 6}, {"must": 1, "unknown": 1}, {"must": 1, "text": "A"}):
        assert not validator.is_valid(wrong)
        with pytest.raises(BadParameters):
            Everything(**wrong)
    assert schema(Throughput)["properties"]["mtu"] == {
        "type": "integer",
        "minimum": 68,
        "maximum": 9000,
        "default": 1500,
        "description": "bytes of a frame",
    }


def test_params_can_be_told_from_others() -> None:
    assert isinstance(Throughput(dst="::1").params, Params)


def test_earlier_names_still_work() -> None:
    from shakeout import aliases

    class Old(Recipe):
        mtu = aliases.IntType(default=1500)
        sizes = aliases.Multiparam(aliases.IntType())

    assert Old(sizes="1,2").sizes == [1, 2]
