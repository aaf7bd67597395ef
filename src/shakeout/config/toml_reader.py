"""TOML with positions, as far as the headers of tables and the keys before "=" tell them."""

from __future__ import annotations

import re
from typing import Any

from .places import Fault, Path, Places

#: Largest text that is read.
MAX_BYTES = 2 * 2**20

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_.\- ]|"[^"]*"|'[^']*')+?)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_\-]+|"[^"]*"|'[^']*'""")
_WHERE = re.compile(r"\(at line (\d+), column \d+\)")


def read_toml(text: str) -> tuple[dict[str, Any], Places]:
    """The data of *text* and the line of its keys; raises Fault with what is wrong where."""
    import tomllib

    if len(text) > MAX_BYTES:
        raise Fault(1, f"larger than {MAX_BYTES // 2**20} MiB")
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise Fault(1, "nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number that is too long
        where = _WHERE.search(str(error))
        line = int(where[1]) if where else max(1, text.count("\n"))
        raise Fault(line, f"not valid TOML: {error}") from None
    return data, _places(text)


def _places(text: str) -> Places:
    places: Places = {(): 1}
    table: Path = ()
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADER.match(line):
            table = _steps(match[1])
            places.setdefault(table, number)
        elif match := _KEY.match(line):
            places.setdefault((*table, *_steps(match[1])), number)
    return places


def _steps(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
