"""The values of one object's parameters, and which parameters a class declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shakeout.errors import BadParameters, did_you_mean

from .base import REJECTED, Param, fresh

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


class Params:
    """The parameters of one object, as ``self.params``.

    ``params.mtu`` and ``params["mtu"]`` read a value; iterating yields (name, value), so ``dict(params)``
    is a dict of them; ``"mtu" in params`` tells whether there is a value. A declared parameter without a
    value reads as None, is not "in", and is not iterated over. Assigning to a declared name converts and
    checks the value; None takes it away where that is allowed. It has no public methods, so every name is
    free for parameters.
    """

    __slots__ = ("_declared", "_owner", "_values")
    _declared: Mapping[str, Param[Any]]
    _owner: str
    _values: dict[str, Any]

    def __init__(self, owner: str, declared: Mapping[str, Param[Any]], values: dict[str, Any]) -> None:
        """Hold *values*, which are converted already; ``bind`` is the way in for all others."""
        object.__setattr__(self, "_owner", owner)
        object.__setattr__(self, "_declared", declared)
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also while a copy is being made, when nothing is there yet
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            if name in self._declared:
                return None
        near = did_you_mean(name, self._declared)
        raise AttributeError(f"{self._owner} has no parameter {name!r}{near}", name=name, obj=self)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        param = self._declared.get(name)
        if param is None:
            raise BadParameters(self._owner, [unknown(name, self._declared)])
        if value is None and optional(param):
            self._values.pop(name, None)
            return
        try:
            self._values[name] = fresh(param.convert(value))
        except REJECTED as error:
            raise BadParameters(self._owner, [f"{name}={param.shown(value)}: {error}"]) from None

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self._owner}: parameter {name!r} cannot be deleted; assign None instead")

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter([(name, self._values[name]) for name in self._declared if name in self._values])

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, Params) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # values may change

    def __copy__(self) -> Params:
        return Params(self._owner, self._declared, fresh(self._values))

    def __deepcopy__(self, memo: object) -> Params:
        return self.__copy__()

    def __repr__(self) -> str:
        parts = (f"{k}={'***' if self._declared[k].secret else repr(v)}" for k, v in self)
        return f"Params({', '.join(parts)})"

    def __dir__(self) -> list[str]:
        return list(self._declared)


def declared(cls: type) -> dict[str, Param[Any]]:
    """The parameters of *cls* by name, those of base classes first, each class's in definition order.

    A derived class that declares a name again replaces the parameter, in its place; one that binds the
    name to anything else (None, by custom) takes the parameter away.
    """
    found: dict[str, Param[Any]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, Param):
                found[name] = value
            elif name in found:
                del found[name]
    return found


def check_declarations(cls: type, *, reserved: Collection[str] = ()) -> None:
    """Check what *cls* declares; for ``__init_subclass__`` of classes that take parameters.

    Args:
        reserved: names that no parameter may have, besides "params", names of methods and properties
            of a base class, and names that begin with an underscore.

    Raises:
        BadParameters: a default that its own parameter does not accept, contradictory limits, or a name
            that is taken; all of them in one message.
    """
    problems = []
    for name, param in declared(cls).items():
        if not param.name:
            param.__set_name__(cls, name)  # was set on the class after it had been made
        if param.name != name:
            problems.append(f"{name}: is the same object as {param.name!r}; declare one for each name")
        elif param.problem:
            problems.append(f"{name}: {param.problem}")
        elif name.startswith("_"):
            problems.append(f"{name}: a parameter's name cannot begin with an underscore")
        elif name == "params" or name in reserved or _hides(cls, name):
            problems.append(f"{name}: the name is taken by {cls.__name__} itself; choose another")
    if problems:
        raise BadParameters(cls.__name__, problems)


def unknown(name: str, known: Collection[str], so_far: int = 0) -> str:
    """What is wrong with *name*, which names no parameter; after *so_far* others, the nearest is looked for no more."""
    if so_far >= BadParameters.SHOWN:
        return f"{name!r} is no parameter"
    return f"{name!r} is no parameter{did_you_mean(name, known) or ('' if known else ' (it takes none)')}"


def optional(param: Param[Any]) -> bool:
    """Whether None may be given, for "no value"."""
    return not param.mandatory and param.default is None


def _hides(cls: type, name: str) -> bool:
    """Whether parameter *name* hides a method or property of a base class."""
    for base in cls.__mro__:
        value = vars(base).get(name)
        if value is not None and not isinstance(value, Param) and hasattr(type(value), "__get__"):
            return True
    return False
