"""The base of all predicates, and references to a recipe's parameters, which become predicates later."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from shakeout.errors import BadRequirement, did_you_mean

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
        from shakeout.matching.values import Not

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
        from shakeout.matching.values import as_predicate

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
