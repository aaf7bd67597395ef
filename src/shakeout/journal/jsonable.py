"""Any Python value as plain, bounded JSON data.

A journal holds what users' code returned: bytes, addresses, sets, NaN, objects that refer to
themselves, a gigabyte by mistake. None of it may break a line, or a reader.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Mapping
from typing import Any

import msgspec

#: Longest string kept whole, in characters.
MAX_TEXT = 64 * 1024
#: Characters of text kept in one value, all its strings together.
MAX_TOTAL_TEXT = 512 * 1024
#: Most elements kept in one value, at all depths together.
MAX_ITEMS = 20_000
#: Deepest nesting kept.
MAX_DEPTH = 24

#: Types, besides the plain ones, whose ``str()`` is the value that people write.
_WRITTEN_AS_STR = ("ipaddress", "uuid", "decimal", "fractions", "datetime", "zoneinfo")


def jsonable(value: object, *, max_text: int = MAX_TOTAL_TEXT, max_items: int = MAX_ITEMS) -> Any:
    """*value* as None, bool, int, float, str, list and dict with str keys.

    bytes become text (what is not UTF-8 as ``\\xNN``); NaN and infinities the strings "NaN", "Infinity"
    and "-Infinity"; integers beyond 64 bits strings; sets sorted lists; structs and dataclasses dicts;
    paths, addresses, dates and decimals their usual text; anything else its ``repr()``. What is too
    long, too many or too deep is cut, and the place says how much is missing.
    """
    return _Conversion(max_text, max_items).convert(value, 0)


def printable(text: str) -> str:
    """*text* with lone surrogates (bytes that were no UTF-8, in a path) escaped, so that it encodes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


class _Conversion:
    """One conversion, with what is left of its budget."""

    def __init__(self, max_text: int, max_items: int) -> None:
        self.text_left = max_text
        self.items_left = max_items

    def convert(self, value: object, depth: int) -> Any:
        self.items_left -= 1
        if isinstance(value, enum.Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            return _integer(int(value))
        if isinstance(value, float):
            return _real(float(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.bytes(value)
        try:
            return self.compound(value, depth)
        except Exception as error:  # noqa: BLE001 - whatever the user's class raises
            return f"<{type(value).__name__} that cannot be read: {type(error).__name__}>"

    def text(self, value: str) -> str:
        room = max(0, min(MAX_TEXT, self.text_left))
        missing = len(value) - room
        if missing > 0:
            value = f"{value[:room]}… ({missing} characters more)"
        self.text_left -= min(len(value), room)
        return printable(value)

    def bytes(self, value: bytes | bytearray | memoryview) -> str:
        raw = memoryview(value).cast("B") if isinstance(value, memoryview) and value.c_contiguous else value
        head = bytes(raw[: MAX_TEXT + 4])
        text = head.decode("utf-8", "backslashreplace")
        missing = len(raw) - len(head)
        return self.text(text) if missing <= 0 else f"{self.text(text)}… ({missing} bytes more)"

    def compound(self, value: object, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            return "… (nested too deeply)"
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, (set, frozenset)):
            return self.sequence(sorted(value, key=_order), depth)
        if isinstance(value, (list, tuple)):
            return self.sequence(value, depth)
        fields = _fields(value)
        if fields is not None:
            return self.mapping(fields, depth)
        if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
            return self.convert(value.tolist(), depth + 1)
        return self.text(_words(value))

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for done, (key, item) in enumerate(value.items()):
            if self.items_left <= 0 or self.text_left <= 0:
                result["…"] = f"{len(value) - done} more"
                break
            name = self.key(key)
            if name in result:  # 1 and "1" are one key in JSON
                name = self.text(f"{name} ({type(key).__name__})")
            result[name] = self.convert(item, depth + 1)
        return result

    def key(self, value: object) -> str:
        if isinstance(value, (tuple, frozenset)):
            return self.text(_words(value))
        plain = self.convert(value, MAX_DEPTH)
        return plain if isinstance(plain, str) else str(plain)

    def sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        result: list[Any] = []
        for done, item in enumerate(value):
            if self.items_left <= 0 or self.text_left <= 0:
                result.append(f"… ({len(value) - done} more)")
                break
            result.append(self.convert(item, depth + 1))
        return result


def _integer(value: int) -> int | str:
    if -(2**63) <= value < 2**63:
        return value
    if value.bit_length() > 4096:
        return f"… (an integer of {value.bit_length()} bits)"
    return str(value)


def _real(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _order(value: object) -> tuple[str, Any]:
    if isinstance(value, (int, float)) and not math.isnan(value):
        return ("", value)
    return (type(value).__name__, _words(value))


def _fields(value: object) -> dict[str, Any] | None:
    """The fields of a struct or dataclass; None for anything else."""
    declared = "__struct_fields__" if isinstance(value, msgspec.Struct) else "__dataclass_fields__"
    names = getattr(type(value), declared, None)
    if names is None:
        return None
    return {name: getattr(value, name, None) for name in names}


def _words(value: object) -> str:
    """An object in words; a broken ``__repr__`` of the user's must not cost the journal its line."""
    try:
        if isinstance(value, os.PathLike):
            path = os.fspath(value)
            return path if isinstance(path, str) else os.fsdecode(path)
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}"
        if type(value).__module__ in _WRITTEN_AS_STR:
            return str(value)
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever the user's class raises
        return f"<{type(value).__name__} without a repr>"
