"""JSON with positions, without duplicate keys, without NaN and Infinity."""

from __future__ import annotations

import json
import re
from typing import Any

from .places import Fault, Path, Places, sound_text

#: Largest text that is read.
MAX_BYTES = 64 * 2**20
#: Deepest nesting.
MAX_DEPTH = 100

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:\n]|[^\s"{}\[\],:]+')


def read_json(text: str) -> tuple[Any, Places]:
    """The data of *text* and the line of each of its values; raises Fault with what is wrong where."""
    if len(text) > MAX_BYTES:
        raise Fault(1, f"larger than {MAX_BYTES // 2**20} MiB")
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Fault(error.lineno, f"not valid JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise Fault(1, f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # a constant that is not JSON, or a number of too many digits
        raise Fault(1, f"not valid JSON: {error}") from None
    return data, _places(text)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON; write a number, or null")


def _places(text: str) -> Places:
    """The lines of all values of *text*, which is known to be valid JSON.

    Raises:
        Fault: a key stands twice in one object, or the nesting is too deep.
    """
    places: Places = {}
    stack: list[list[Any]] = []  # [path, index of a list or None, key that waits for its value, its line]
    line = 1
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
        elif token in "}]":
            stack.pop()
        elif token == ",":
            if stack[-1][1] is not None:
                stack[-1][1] += 1
        elif token == ":":
            pass
        elif stack and stack[-1][1] is None and stack[-1][2] is None:
            stack[-1][2:] = _key(token, places, stack[-1][0], line), line
        else:
            path = _value_path(stack)
            places[path] = stack[-1][3] if stack and stack[-1][1] is None else line
            if token in "{[":
                if len(stack) >= MAX_DEPTH:
                    raise Fault(line, f"nested deeper than {MAX_DEPTH} levels")
                stack.append([path, 0 if token == "[" else None, None, 0])
            elif "\\u" in token:
                _whole(token, line)
    return places


def _key(token: str, places: Places, path: Path, line: int) -> str:
    key = _whole(token, line) if "\\" in token else token[1:-1]
    if (*path, key) in places:
        raise Fault(line, f"key {key!r} is given twice (first in line {places[(*path, key)]})", path)
    return key


def _value_path(stack: list[list[Any]]) -> Path:
    if not stack:
        return ()
    path, index, key, _ = stack[-1]
    stack[-1][2] = None
    return (*path, key if index is None else index)


def _whole(token: str, line: int) -> str:
    """The text of a string token; halves of characters are refused."""
    text: str = json.loads(token)
    if sound_text(text, line) != text:
        raise Fault(line, "a \\u escape that is half a character")
    return text
