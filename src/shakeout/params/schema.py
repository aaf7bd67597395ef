"""JSON Schema of a set of parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .container import declared

if TYPE_CHECKING:
    from .base import Param

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(cls: type) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the parameters that *cls* declares.

    It describes plain values, as ``plain`` gives them and as one writes them in YAML: text that ``bind``
    would convert ("5000" for 5000) is not part of it.
    """
    params = declared(cls)
    result: dict[str, Any] = {
        "$schema": DIALECT,
        "title": cls.__name__,
        "type": "object",
        "properties": {name: _property(param) for name, param in params.items()},
        "additionalProperties": False,
    }
    mandatory = [name for name, param in params.items() if param.mandatory]
    if mandatory:
        result["required"] = mandatory
    return result


def _property(param: Param[Any]) -> dict[str, Any]:
    described = param.json_schema()
    if param.desc:
        described["description"] = param.desc
    if param.secret:
        described["writeOnly"] = True
    default = None if param.default is None else param.plain(param.default)
    if default is not None and not (isinstance(default, float) and not math.isfinite(default)):
        described["default"] = default
    return described
