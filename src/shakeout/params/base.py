"""What every parameter has: a name, a default, a description, and the way from any input to a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Self, TypedDict

    class Described(TypedDict, total=False):
        """Options that every parameter class takes besides *mandatory* and *default*."""

        desc: str
        secret: bool


#: What reading the parameter gives: the value's type, with ``| None`` if there may be no value.
V_co = TypeVar("V_co", covariant=True)
#: The type of a list's items or of a dict's values.
E = TypeVar("E")

#: What ``convert`` may raise to reject a value; its text becomes part of the error message.
REJECTED = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)

_LONGEST_QUOTE = 80


class Param(Generic[V_co]):
    """A parameter that takes any value; base of all parameter classes.

    A parameter is declared as a class attribute and is named by it. On the class the attribute is the
    parameter itself, on an instance its value, the same as ``self.params.<name>``.

    To make an own kind of parameter, derive from this class (or from one with the wanted limits),
    override ``convert`` to return the value or raise ValueError, and ``accepts`` to say what is
    accepted; ``json_schema`` too, if the set's JSON Schema shall know it.

    Args:
        mandatory: a value must be given; there is no default then.
        default: value if none is given; converted and checked like any other. None: no default, and
            None is what reading the parameter gives.
        desc: one line for ``shakeout plugins show`` and the JSON Schema.
        secret: wherever values are shown, this one is shown as ***.
    """

    def __init__(
        self: Param[Any],
        *,
        mandatory: bool = False,
        default: object = None,
        desc: str = "",
        secret: bool = False,
    ) -> None:
        self.name = ""
        self.mandatory = mandatory
        self.desc = desc
        self.secret = secret
        self.default: Any = None
        #: What is wrong with the declaration itself, "" if nothing is.
        self.problem = ""
        try:
            self.check_limits()
            if mandatory and default is not None:
                self.problem = "is mandatory, and so cannot have a default"
            elif default is not None:
                self.default = self.convert(default)
        except REJECTED as error:
            shown = "" if default is None else f"default {self.shown(default)}: "
            self.problem = f"{shown}{error}"

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name and self.name != name:
            self.problem = f"is the same object as {self.name!r}; declare one for each name"
        self.name = self.name or name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> V_co: ...

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        try:
            params = instance.__dict__["params"]
        except (AttributeError, KeyError):
            raise AttributeError(
                f"{owner.__name__}.{self.name} has no value yet: the parameters are set by "
                "super().__init__(**kwargs), which must come first"
            ) from None
        return params[self.name]

    def __set__(self, instance: Any, value: object) -> None:
        setattr(instance.params, self.name, value)

    def convert(self, value: object) -> Any:
        """The value that *value* stands for.

        Must accept what it returned itself, and what ``plain`` makes of that.

        Raises:
            ValueError: *value* is not accepted; the text says what is.
        """
        return value

    def accepts(self) -> str:
        """What is accepted, as it stands after "expected": "a whole number from 68 to 9000"."""
        return "any value"

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the plain form of a value (see ``plain``), without default and description."""
        return {}

    def plain(self, value: Any) -> Any:
        """*value* as JSON and MessagePack know it; ``convert`` brings it back."""
        return value

    def check_limits(self) -> None:
        """Raise ValueError if the declared limits contradict each other."""

    def expected(self) -> ValueError:
        """The usual reason to reject a value."""
        return ValueError(f"expected {self.accepts()}")

    def shown(self, value: object) -> str:
        """*value* as messages show it."""
        return "***" if self.secret else quoted(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or '(unnamed)'}: {self.accepts()}>"


def quoted(value: object) -> str:
    """*value* as error messages show it: its repr, cut after 80 characters."""
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"


def fresh(value: Any) -> Any:
    """A copy of *value* that shares no list, dict or set with it, so that instances are independent."""
    if type(value) is list:
        return [fresh(item) for item in value]
    if type(value) is dict:
        return {key: fresh(item) for key, item in value.items()}
    if type(value) is set:
        return set(value)
    return value


def check_range(minimum: float | None, maximum: float | None, what: str = "") -> None:
    """Raise ValueError if no value can lie between *minimum* and *maximum*."""
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"minimum{what} {minimum} is above maximum{what} {maximum}")


def range_text(minimum: object, maximum: object) -> str:
    """ " from 1 to 9", " of at least 1", " of at most 9" or ""."""
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return f" of at most {maximum}" if maximum is not None else ""


def choices_text(choices: Collection[object]) -> str:
    """ "one of 'a', 'b'"."""
    return "one of " + ", ".join(repr(choice) for choice in choices)


def text_of(value: str) -> str:
    """*value* as a plain str that can be encoded.

    Raises:
        ValueError: it holds bytes that are no text (as an argument of a command line may).
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("expected text that can be encoded as UTF-8") from None
    return str(value)
