"""Predicates of all kinds of values, and references to a recipe's parameters, which become some later."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from shakeout.errors import BadRequirement, did_you_mean
from shakeout.matching.comparison import ABSENT, normal, same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shakeout.params import Params


class Predicate:
    """A condition on one value; immutable, equal to another one with the same arguments.

    A subclass says :meth:`accepts` and :meth:`phrase`, and refuses bad arguments in :meth:`check`;
    recipes may define their own.
    """

    __slots__ = ("args",)
    args: tuple[Any, ...]

    def __init__(self, *args: Any) -> None:
        object.__setattr__(self, "args", args)
        if not any(True for _ in self.references()):
            self.check()

    def accepts(self, value: object) -> bool:
        """Whether *value* (``ABSENT`` for a property that is not there) meets this."""
        raise NotImplementedError

    def phrase(self) -> str:
        """What follows the property's name in a sentence: "=x", " >= 4", " one of a, b"."""
        raise NotImplementedError

    def denial(self) -> str:
        """The same for the negation."""
        return f" not{self.phrase()}"

    def check(self) -> None:
        """Refuse arguments that make no sense with BadRequirement; not called while one is a reference."""

    def text(self, name: str) -> str:
        """This condition on the property *name*: "driver=mlx5_core", "cpus >= 4"."""
        return name + self.phrase()

    def references(self) -> Iterator[RecipeParam]:
        """The recipe parameters that this refers to."""
        for arg in self.args:
            if isinstance(arg, Predicate):
                yield from arg.references()
            elif is_param(arg):
                yield RecipeParam(arg)

    def resolve(self, params: Mapping[str, object] | Params) -> Predicate | None:
        """This with the parameters' values in place of the references; None if a needed one has no value."""
        args: list[object] = []
        for arg in self.args:
            resolved = resolved_argument(arg, params)
            if resolved is None and arg is not None:
                return None
            args.append(resolved)
        return type(self)(*args)

    def __invert__(self) -> Predicate:
        return Not(self)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Predicate) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def key(self) -> tuple[object, ...]:
        """Something hashable that is equal exactly for equal predicates."""
        return (type(self).__qualname__, *(_frozen(arg) for arg in self.args))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed; make a new one")

    def __deepcopy__(self, memo: object) -> Predicate:
        return self

    def __copy__(self) -> Predicate:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(repr(arg) for arg in self.args)})"


class Exact(Predicate):
    """Equal to a plain value; what a plain value in a requirement becomes."""

    __slots__ = ()

    def __init__(self, value: object) -> None:
        super().__init__(value)

    def accepts(self, value: object) -> bool:
        return same(self.args[0], value)

    def phrase(self) -> str:
        return f"={shown(self.args[0])}"

    def denial(self) -> str:
        return f" not {shown(self.args[0])}"


class Match(Predicate):
    """The whole text of the value matches a regular expression (as ``re.fullmatch``).

    Upper and lower case differ, unless the pattern begins with ``(?i)``; numbers match as they are written,
    hardware addresses in lower case with colons. ``Match("mlx")`` does not accept "mlx5_core",
    ``Match("mlx.*")`` does.
    """

    __slots__ = ("_compiled",)
    _compiled: re.Pattern[str]

    def __init__(self, pattern: object) -> None:
        super().__init__(pattern)

    def check(self) -> None:
        pattern = self.args[0]
        if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
            object.__setattr__(self, "_compiled", pattern)
            return
        if not isinstance(pattern, str):
            raise BadRequirement(f"Match() takes a regular expression as text, not {pattern!r}")
        try:
            object.__setattr__(self, "_compiled", re.compile(pattern))
        except re.error as error:
            at = f" at position {error.pos}" if error.pos is not None else ""
            raise BadRequirement(
                f"Match({pattern!r}) is no regular expression: {error.msg}{at}; "
                "for a text with special characters as it stands give the text itself, without Match"
            ) from error

    def accepts(self, value: object) -> bool:
        if value is ABSENT:
            return False
        if isinstance(value, list | tuple):
            return any(self.accepts(member) for member in value)
        return self._compiled.fullmatch(normal(value)) is not None

    def phrase(self) -> str:
        pattern = self.args[0]
        return f" matching {pattern.pattern if isinstance(pattern, re.Pattern) else pattern}"


class AnyOf(Predicate):
    """One of several values or predicates."""

    __slots__ = ()

    def __init__(self, *members: object) -> None:
        super().__init__(*members)

    def check(self) -> None:
        if not self.args:
            raise BadRequirement("AnyOf() has no members, so that nothing could meet it; name at least one")
        if any(member is None for member in self.args):
            raise BadRequirement("AnyOf() has a member None; write Absent() for a property that is not there")

    def accepts(self, value: object) -> bool:
        return any(
            member.accepts(value) if isinstance(member, Predicate) else same(member, value) for member in self.args
        )

    def phrase(self) -> str:
        return f" one of {', '.join(_member(member) for member in self.args)}"

    def resolve(self, params: Mapping[str, object] | Params) -> Predicate | None:
        kept = [value for value in (resolved_argument(arg, params) for arg in self.args) if value is not None]
        flat: list[object] = []
        for value in kept:
            flat.extend(value if isinstance(value, list | tuple | set | frozenset) else (value,))
        return AnyOf(*flat) if flat else None


class Not(Predicate):
    """The opposite of a value or predicate; accepts an absent property (unless it is Not(Absent()))."""

    __slots__ = ()

    def __init__(self, inner: object) -> None:
        super().__init__(inner if isinstance(inner, Predicate) else as_predicate(inner, "Not()"))

    def check(self) -> None:
        if self.args[0] is None:
            raise BadRequirement("Not(None) means nothing; write Present() for a property that must be there")

    def accepts(self, value: object) -> bool:
        inner: Predicate = self.args[0]
        return not inner.accepts(value)

    def phrase(self) -> str:
        inner: Predicate = self.args[0]
        return inner.denial()

    def denial(self) -> str:
        inner: Predicate = self.args[0]
        return inner.phrase()

    def __invert__(self) -> Predicate:
        inner: Predicate = self.args[0]
        return inner


class RecipeParam(Predicate):
    """Whatever the recipe's parameter of that name is when the recipe is made.

    If the parameter is optional and has no value, the requirement is dropped. A list means one of its
    members. The parameter object itself, declared in the same class, may stand wherever this may.
    """

    __slots__ = ()

    def __init__(self, param: object) -> None:
        if not (isinstance(param, str) and param.isidentifier()) and not is_param(param):
            raise BadRequirement(f"RecipeParam() takes the name of a recipe's parameter, not {param!r}")
        object.__setattr__(self, "args", (param,))

    @property
    def param(self) -> str:
        """The parameter's name; "" for a parameter object that belongs to no class."""
        param = self.args[0]
        return param if isinstance(param, str) else str(getattr(param, "name", "") or "")

    def references(self) -> Iterator[RecipeParam]:
        yield self

    def resolve(self, params: Mapping[str, object] | Params) -> Predicate | None:
        value = self.value(params)
        return None if value is None else as_predicate(value, self.param)

    def value(self, params: Mapping[str, object] | Params) -> object:
        """The parameter's value, None if it has none.

        Raises:
            BadRequirement: the recipe has no parameter of that name.
        """
        if not self.param:
            raise BadRequirement(
                "a requirement refers to a parameter object that is no attribute of the recipe's class; "
                "declare it there (driver = StrParam()), or write RecipeParam('driver')"
            )
        try:
            return params[self.param]
        except KeyError:
            raise BadRequirement(
                f"a requirement refers to the recipe's parameter {self.param!r}, which the recipe does not "
                f"have{did_you_mean(self.param, dict(params))}"
            ) from None
        except AttributeError as error:  # from Params, with the nearest name
            raise BadRequirement(f"a requirement refers to a parameter that is not there: {error}") from None

    def accepts(self, value: object) -> bool:
        raise BadRequirement(f"the requirement on the recipe's parameter {self.param!r} has no value yet")

    def phrase(self) -> str:
        return f"=<parameter {self.param}>"


def as_predicate(value: object, where: str) -> Predicate:
    """What a requirement's *value* means, as a predicate; *where* names it in the error.

    Raises:
        BadRequirement: a value that cannot be compared with a property.
    """
    if isinstance(value, Predicate):
        return value
    if isinstance(value, type) and issubclass(value, Predicate):
        raise BadRequirement(f"{where}: {value.__name__} lacks its parentheses; write {value.__name__}(…)")
    if is_param(value):
        return RecipeParam(value)
    if isinstance(value, re.Pattern):
        return Match(value)
    if isinstance(value, set | frozenset):
        return AnyOf(*sorted(value, key=repr))  # a set's own order differs from run to run
    if isinstance(value, list | tuple):
        return AnyOf(*value)
    if value is None:
        raise BadRequirement(f"{where}: None says nothing; write Absent() for a property that is not there")
    if callable(value):
        raise BadRequirement(
            f"{where}: {value!r} is no value; give text, a number, a bool, or one of "
            "Match, AnyOf, Not, AtLeast, AtMost, Between, Present, Absent, RecipeParam"
        )
    return Exact(value)


def shown(value: object) -> str:
    """*value* as it stands in messages: bare where that is readable, quoted where not."""
    text = normal(value)
    return text if text and not any(c.isspace() or c in ",;='\"" for c in text) else repr(text)


def _member(member: object) -> str:
    if not isinstance(member, Predicate):
        return shown(member)
    return member.phrase().strip().removeprefix("=")


def is_param(value: object) -> bool:
    """Whether *value* is a parameter object as recipes declare them."""
    params = sys.modules.get("shakeout.params")  # not loaded: then nobody can have made one
    return params is not None and isinstance(value, params.Param)


def resolved_argument(arg: object, params: Mapping[str, object] | Params) -> object:
    """*arg* of a predicate with references replaced by values; None if one has none."""
    if is_param(arg):
        arg = RecipeParam(arg)
    if isinstance(arg, RecipeParam):
        return arg.value(params)
    return arg.resolve(params) if isinstance(arg, Predicate) else arg


def _frozen(value: object) -> object:
    if isinstance(value, Predicate):
        return value.key()
    if isinstance(value, list | tuple):
        return (type(value).__name__, *(_frozen(member) for member in value))
    if isinstance(value, dict):
        return ("dict", *((key, _frozen(member)) for key, member in sorted(value.items(), key=repr)))
    if isinstance(value, str | bytes | int | float | bool | re.Pattern):
        return (type(value).__name__, value)
    return (type(value).__name__, id(value) if type(value).__hash__ is None else value)
