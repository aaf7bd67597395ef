"""The published JSON Schemas of what people write: `shakeout schema NAME`, and for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shakeout.errors import UnknownName

_FOLDER = Path(__file__).parent / "schemas"


def schema_names() -> list[str]:
    """The names that ``schema_of`` knows, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.json"))


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema *name* (draft 2020-12).

    Raises:
        UnknownName: there is none of that name.
    """
    import json

    if name not in schema_names():
        raise UnknownName("schema", name, schema_names())
    schema: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return schema
