"""What may be written down of parameters: everything but the values of secret ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .binding import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .container import Params

#: Stands in the place of a secret value.
MASK = "***"


def masked(params: Params) -> dict[str, Any]:
    """The values as `plain` gives them, secret ones as ***."""
    return {name: MASK if params._declared[name].secret else value for name, value in plain(params).items()}


def mask_words(words: Sequence[str], owners: Iterable[Params]) -> tuple[str, ...]:
    """The *words* of a command line without the secrets of *owners*: in ``name=value`` and wherever a value stands.

    A script of the user's own may take a secret in a form of its own (``--password VALUE``); so values count, too.
    """
    names: set[str] = set()
    values: set[str] = set()
    for params in owners:
        given = plain(params)
        for name, param in params._declared.items():
            if param.secret:
                names.add(name)
                values.add(str(given.get(name) or ""))
    values.discard("")
    return tuple(_masked_word(word, names, values) for word in words)


def _masked_word(word: str, names: set[str], values: set[str]) -> str:
    name, equals, value = word.partition("=")
    if equals and (name in names or value in values):
        return f"{name}={MASK}"
    return MASK if word in values else word
