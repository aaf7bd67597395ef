"""What another machine says, made fit for people: a terminal would do what an escape sequence in it says."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

#: Characters of one text that are kept: more is nothing that people read.
LONGEST = 4000


def harmless(value: T, *, lines: bool = False, longest: int = LONGEST) -> T:
    """*value* with every text in it harmless: what is not printable is a question mark, what is too long is cut.

    Args:
        value: text, a message, or plain data; other values are returned as they are.
        lines: line feeds and tabs are kept; otherwise every text becomes one line.
        longest: characters of each text.
    """
    made: Any = value
    if isinstance(value, str):
        made = _text(value, lines, longest)
    elif isinstance(value, msgspec.Struct):
        fields = {
            name: harmless(getattr(value, name), lines=lines, longest=longest) for name in value.__struct_fields__
        }
        made = msgspec.structs.replace(value, **fields)
    elif isinstance(value, dict):
        made = {harmless(key): harmless(each, lines=lines, longest=longest) for key, each in value.items()}
    elif isinstance(value, list | tuple):
        made = type(value)([harmless(each, lines=lines, longest=longest) for each in value])
    result: T = made
    return result


def one_line(text: str, longest: int) -> str:
    """*text* as one line of at most *longest* characters that does nothing to a terminal."""
    return _text(text[:longest].strip(), False, longest)


def _text(text: str, lines: bool, longest: int) -> str:
    if len(text) > longest:
        text = text[:longest] + "…"
    if text.isprintable():
        return text
    if lines:
        text = text.replace("\r\n", "\n")
        return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
