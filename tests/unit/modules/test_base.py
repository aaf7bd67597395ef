"""What a test module is on the controller: its parameters, its description, the state that travels."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from shakeout.errors import BadParameters, BadRecipe, CannotTravel
from shakeout.modules.base import BaseTestModule, format_plain
from shakeout.params import DictParam, FloatParam, IntParam, IpParam, ListParam, StrParam, schema


class Case(BaseTestModule):
    dst = IpParam(mandatory=True)
    count = IntParam(default=5)
    note = StrParam()
    sizes = ListParam(IntParam())
    options = DictParam()
    password = StrParam(default="", secret=True)

    def run(self) -> None: ...


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(BadParameters) as caught:
        Case(cuont=1, sizes=["x"])
    assert "'dst' is missing" in str(caught.value)
    assert "'cuont' is no parameter (did you mean 'count'?)" in str(caught.value)
    assert "sizes=['x']" in str(caught.value)


def test_a_class_without_run_is_told_to_have_one() -> None:
    class Lazy(BaseTestModule):
        pass

    with pytest.raises(BadRecipe, match=r"Lazy does not override run\(\)"):
        Lazy()
    with pytest.raises(BadRecipe, match=r"does not override run\(\)"):
        BaseTestModule()
    with pytest.raises(BadRecipe, match=r"does not override run\(\)"):
        Case.mro()[1].run(Case(dst="::1"))


def test_a_wrong_declaration_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(BadParameters, match="run: the name is taken"):

        class Wrong(BaseTestModule):
            run = IntParam()  # type: ignore[assignment]


def test_a_description_has_what_differs_from_the_defaults() -> None:
    assert str(Case(dst="10.0.0.2")) == "Case(dst=10.0.0.2)"
    case = Case(dst="10.0.0.2", count=5, note="a, b", sizes=[1], options={"a": "b"}, password="pass")
    assert str(case) == "Case(dst=10.0.0.2, note='a, b', sizes=[1], options={'a': 'b'}, password=***)"
    assert str(Case(dst="::1", note="x" * 100)) == f"Case(dst=::1, note={'x' * 59}…)"
    assert repr(Case(dst="::1", note="")) == "<Case(dst=::1, note='')>"


def test_a_secret_is_not_in_messages() -> None:
    class Login(Case):
        password = StrParam(mandatory=True, min_length=8, secret=True)
        pin = FloatParam(secret=True)

    with pytest.raises(BadParameters) as caught:
        Login(dst="::1", password="hunter2", pin="hunter3")
    assert "password=***: expected" in str(caught.value)
    assert "hunter" not in str(caught.value)
    login = Login(dst="::1", password="long enough")
    assert "long enough" not in f"{login} {login!r} {login.params!r}"
    assert schema(Login)["properties"]["password"]["writeOnly"] is True


def test_an_attribute_that_cannot_travel_is_named() -> None:
    case: Any = Case(dst="::1")
    with socket.socket() as sock:
        case.conn = {"x": [1, sock]}
        with pytest.raises(CannotTravel, match=r"attribute 'conn' of Case\['x'\]\[1\] is a socket; only plain"):
            case.state()


def test_an_init_that_forgets_its_base_is_told_so() -> None:
    class Forgetful(Case):
        def __init__(self) -> None:
            self.x = 1

    with pytest.raises(BadRecipe, match=r"__init__ must call super\(\).__init__"):
        Forgetful().state()
    assert str(Forgetful()) == "Forgetful(…)"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, ""),
        (5, "5"),
        ("two\nlines", "two\nlines"),
        ("a\x1b[31mb", "'a\\x1b[31mb'"),
        ({"a": 1, "b": [1, 2]}, "a: 1\nb: [1, 2]"),
        ([1, "x"], "1\nx"),
        ([], "[]"),
        pytest.param(10**5000, "<int>", id="int that Python does not print"),
        pytest.param({"n": [10**5000]}, "n: <list>", id="the same in a list"),
    ],
)
def test_results_are_shown_in_a_readable_form(result: Any, text: str) -> None:
    assert Case(dst="::1").format_result(result) == text
    assert format_plain(result) == text
