"""The loader of every YAML, JSON and TOML document: plain data, with the line of each value kept."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import msgspec

from shakeout.errors import BadDocument

from .places import Fault, Path, Places, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

#: A message never lists more problems than this.
MAX_PROBLEMS = 100


class Document(msgspec.Struct, frozen=True):
    """A document that was read.

    Attributes:
        name: the file, or whatever else errors shall call it.
        data: its content: dict (keys are text), list, str, int, float, bool or None.
        places: lines (from 1) by path.
    """

    name: str
    data: Any
    places: Places

    def place(self, path: Path = ()) -> int:
        """The line (from 1) of the value at *path*, or of the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, 1)

    def problem(self, path: Path, text: str) -> str:
        """*text* as the problem of the value at *path*, for a BadDocument."""
        where = shown(path)
        return f"{self.name}:{self.place(path)}: {where + ': ' if where else ''}{text}"

    def problems(self, schema: Mapping[str, Any]) -> list[str]:
        """Everything in which the data is not as the JSON *schema* (draft 2020-12) says, in order of line."""
        from .validation import violations

        found = [(self.place(path), n, path, text) for n, (path, text) in enumerate(violations(self.data, schema))]
        return [self.problem(path, text) for _, _, path, text in sorted(found, key=lambda one: one[:2])]

    def validate(self, schema: Mapping[str, Any]) -> None:
        """Check the data against the JSON *schema*.

        Raises:
            BadDocument: with all problems, each with file, line, path, value, and what is accepted.
        """
        refuse(self.problems(schema))


def load(path: str | PathLike[str], *, schema: Mapping[str, Any] | None = None, name: str | None = None) -> Document:
    """Read the file *path*: JSON or TOML if its name ends so, else YAML (of which JSON is a part).

    Args:
        schema: JSON Schema that the data must meet.
        name: what errors call the document; the path as given by default.

    Raises:
        BadDocument: it cannot be read, is malformed, or does not meet *schema*.
    """
    file = FilePath(path)
    name = str(path) if name is None else name
    try:
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadDocument([f"{name}: cannot be read: {reason}"]) from error
    syntax = {".json": "json", ".toml": "toml"}.get(file.suffix.lower(), "yaml")
    return parse(content, schema=schema, name=name, syntax=syntax)


def parse(
    text: str | bytes, *, schema: Mapping[str, Any] | None = None, name: str = "<text>", syntax: str = "yaml"
) -> Document:
    """Read the document *text*, as ``load`` does a file's.

    Args:
        syntax: "yaml", "json" or "toml".

    Raises:
        BadDocument: it is malformed, or does not meet *schema*.
    """
    try:
        data, places = _read(_decoded(text), syntax)
    except Fault as fault:
        where = shown(fault.path)
        raise BadDocument([f"{name}:{fault.line}: {where + ': ' if where else ''}{fault.text}"]) from None
    document = Document(name, data, places)
    if schema is not None:
        document.validate(schema)
    return document


def refuse(problems: list[str]) -> None:
    """Raise a BadDocument that lists *problems*, if there are any."""
    if len(problems) > MAX_PROBLEMS:
        problems = [*problems[:MAX_PROBLEMS], f"… and {len(problems) - MAX_PROBLEMS} more problems"]
    if problems:
        raise BadDocument(problems)


def _decoded(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise Fault(line, f"not UTF-8 text (byte 0x{text[error.start]:02x})") from None


def _read(text: str, syntax: str) -> tuple[Any, Places]:
    if syntax == "json":
        from .json_reader import read_json

        return read_json(text)
    if syntax == "toml":
        from .toml_reader import read_toml

        return read_toml(text)
    from .yaml_reader import read_yaml

    return read_yaml(text)
