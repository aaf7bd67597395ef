"""From what was given (keywords, arguments of a command line) to checked parameters, and to plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shakeout.errors import BadParameters

from .base import REJECTED, Param, fresh, quoted
from .container import Params, check_declarations, declared, optional, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TAKES_KEYWORDS = 0x08  # CO_VARKEYWORDS of a code object's flags; importing inspect costs milliseconds


class _Constructor(NamedTuple):
    """What an ``__init__`` takes: keywords by name, and whether any others."""

    names: frozenset[str]
    takes_any: bool


def bind(cls: type, kwargs: Mapping[str, object], *, owner: str | None = None) -> Params:
    """The parameters that *cls* declares, with the values of *kwargs*, or else their defaults.

    None for a parameter that is neither mandatory nor has a default is the same as not giving it.

    Args:
        owner: who the error message is about; the class's name by default.

    Raises:
        BadParameters: everything that is missing, unknown or not accepted, in one message.
    """
    params = declared(cls)
    _check_quickly(cls, params)
    values: dict[str, Any] = {}
    missing, rejected = [], []
    for name, param in params.items():
        given = kwargs.get(name)
        if name not in kwargs or (given is None and optional(param)):
            if param.mandatory:
                missing.append(f"mandatory parameter {name!r} is missing (expected {param.accepts()})")
            elif param.default is not None:
                values[name] = fresh(param.default)
            continue
        try:
            values[name] = fresh(param.convert(given))
        except REJECTED as error:
            rejected.append(f"{name}={param.shown(given)}: {error}")
    strange = [name for name in kwargs if name not in params]
    problems = missing + [unknown(name, params, number) for number, name in enumerate(strange)] + rejected
    if problems:
        raise BadParameters(owner or cls.__name__, problems)
    return Params(owner or cls.__name__, params, values)


def plain(params: Params) -> dict[str, Any]:
    """The values as JSON and MessagePack know them; ``bind`` makes equal parameters of it.

    Addresses, networks and paths become text; device objects stay what they are.
    """
    return {name: params._declared[name].plain(value) for name, value in params}


def from_cli(cls: type, arguments: Iterable[str], *, base: type | None = None) -> dict[str, str]:
    """The keywords for ``cls(...)`` from "name=value" arguments; values are not converted yet.

    A name that is no parameter is let through if the class's own ``__init__`` takes it.

    Args:
        base: the class (BaseRecipe …) whose ``__init__`` does nothing with keywords but ``bind`` them.

    Raises:
        BadParameters: an argument without "=" or without a name, a name given twice, a name that
            neither the parameters nor ``__init__`` know; all of them in one message.
    """
    params = declared(cls)
    own = None if cls.__init__ in (object.__init__, getattr(base, "__init__", None)) else _constructor(cls)  # type: ignore[misc]
    given: dict[str, str] = {}
    problems = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.strip():
            problems.append(f"{quoted(argument)} is not of the form name=value")
        elif name in given:
            shown = params[name].shown if name in params else quoted
            problems.append(f"{name!r} is given twice ({shown(given[name])} and {shown(value)})")
        elif (name in params) if own is None else (own.takes_any or name in own.names):
            given[name] = value
        elif name in params:
            problems.append(f"{name!r} is a parameter, but __init__ does not take it")
        else:
            problems.append(unknown(name, [*params, *(own.names if own else ())], len(problems)))
    if problems:
        raise BadParameters(cls.__name__, problems)
    return given


def _check_quickly(cls: type, params: Mapping[str, Param[Any]]) -> None:
    """Refuse faulty declarations of a class whose base did not do so when the class was made."""
    for name, param in params.items():
        if param.problem or param.name != name:
            check_declarations(cls)


def _constructor(cls: type) -> _Constructor:
    """What the class's ``__init__`` takes, seen through decorators."""
    init: Any = cls.__init__  # type: ignore[misc]
    while hasattr(init, "__wrapped__"):
        init = init.__wrapped__
    code = getattr(init, "__code__", None)
    if code is None:
        return _Constructor(frozenset(), True)
    first, end = max(code.co_posonlyargcount, 1), code.co_argcount + code.co_kwonlyargcount
    return _Constructor(frozenset(code.co_varnames[first:end]), bool(code.co_flags & _TAKES_KEYWORDS))
