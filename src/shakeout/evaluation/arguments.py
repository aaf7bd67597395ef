"""Arguments that nobody knows, refused with the nearest one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec

from shakeout.errors import BadParameters, did_you_mean

P = ParamSpec("P")


def by_name(initialise: Callable[P, None]) -> Callable[P, None]:
    """Have an ``__init__`` refuse arguments that it does not take with BadParameters, which says what it takes."""
    signature = inspect.signature(initialise)
    _, *takes = signature.parameters.values()
    names = [one.name for one in takes]
    needed = [one.name for one in takes if one.default is one.empty]
    places = sum(one.kind is one.POSITIONAL_OR_KEYWORD for one in takes)

    @functools.wraps(initialise)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        given = args[1:]
        problems = [
            f"no argument is called {name!r}{did_you_mean(name, names)}" for name in kwargs if name not in names
        ]
        if len(given) > places:
            problems.append(f"{given[places]!r:.60} has no name; it takes {', '.join(f'{n}=' for n in names[places:])}")
        problems += [f"{name}= is missing" for name in needed[len(given) :] if name not in kwargs]
        problems += [f"{name} is given twice" for name in names[: len(given)] if name in kwargs]
        if problems:
            raise BadParameters(type(args[0]).__name__, problems)
        initialise(*args, **kwargs)

    return checked
