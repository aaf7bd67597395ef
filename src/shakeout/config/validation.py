"""What JSON Schema finds wrong with data, in sentences for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from jsonschema import Draft202012Validator

from shakeout.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .places import Path

#: A jsonschema.ValidationError, whose own types call every field possibly unset.
_Error: TypeAlias = Any

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing (null)",
}

_LONGEST_QUOTE = 60

#: keyword of a schema -> what its value says is accepted
_LIMITS = {
    "minimum": "a number of at least {}",
    "maximum": "a number of at most {}",
    "exclusiveMinimum": "a number above {}",
    "exclusiveMaximum": "a number below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "text of at least {} characters",
    "maxLength": "text of at most {} characters",
    "pattern": "text matching {!r}",
    "format": "text of the format {}",
    "minItems": "a list of at least {} items",
    "maxItems": "a list of at most {} items",
    "minProperties": "a mapping of at least {} keys",
    "maxProperties": "a mapping of at most {} keys",
    "const": "{!r}",
}


def violations(data: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Path and description of everything in which *data* is not as *schema* says."""
    yield from _described(Draft202012Validator(schema).iter_errors(data))


def _described(errors: Iterable[_Error]) -> Iterator[tuple[Path, str]]:
    for error in sorted(errors, key=lambda one: ([str(step) for step in one.absolute_path], str(one.validator))):
        path = tuple(error.absolute_path)
        keyword = str(error.validator)
        if keyword == "additionalProperties" and error.validator_value is False:
            yield from _unknown_keys(error, path)
        elif keyword == "required":
            missing = next(name for name in error.validator_value if repr(name) in error.message)
            yield path, f"the key {missing!r} is missing{_meaning(error.schema, missing)}"
        elif keyword in ("anyOf", "oneOf"):
            yield from _alternatives(error, path)
        elif keyword == "dependentRequired":
            yield path, error.message
        else:
            yield path, f"{quoted(error.instance)} is not accepted; expected {_expected(error)}"


def _unknown_keys(error: _Error, path: Path) -> Iterator[tuple[Path, str]]:
    import re

    known = list(error.schema.get("properties", {}))
    patterns = error.schema.get("patternProperties", {})
    for key in error.instance:
        if key not in known and not any(re.search(pattern, key) for pattern in patterns):
            yield (*path, key), f"{key!r} is no known key{did_you_mean(key, known)}"


def _alternatives(error: _Error, path: Path) -> Iterator[tuple[Path, str]]:
    """The errors of the alternative that was meant, if that can be told; else what the alternatives are."""
    branches: dict[int, list[_Error]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    if not branches:
        yield path, f"{quoted(error.instance)} fits several of the accepted forms; only one may fit"
        return
    at_root = ("type", "const", "enum")
    meant = [
        inner
        for inner in branches.values()
        if not any(not one.path and one.validator in at_root for one in inner)
        and not any(len(one.path) == 1 and one.validator == "const" for one in inner)
    ]
    if len(meant) > 1 and isinstance(error.instance, dict):
        fewest = min(len(inner) for inner in meant)
        meant = [inner for inner in meant if len(inner) == fewest]
    if len(meant) == 1:
        yield from _described(meant[0])
        return
    forms = dict.fromkeys(form(branch) for branch in error.validator_value)
    yield path, f"{quoted(error.instance)} is not accepted; expected {' or '.join(forms)}"


def _expected(error: _Error) -> str:
    keyword, value = str(error.validator), error.validator_value
    if (
        isinstance(error.schema, dict)
        and keyword in ("pattern", "type", "format", "not")
        and (description := error.schema.get("description"))
    ):
        return str(description)
    if keyword == "enum":
        near = did_you_mean(error.instance, map(str, value)) if isinstance(error.instance, str) else ""
        hint = near if near.startswith(" (did") else ""
        return "one of " + ", ".join(repr(one) for one in value) + hint
    if keyword == "type":
        return _type_text(value)
    if keyword == "uniqueItems":
        return "a list without repetitions"
    if keyword in _LIMITS:
        return _LIMITS[keyword].format(value)
    return f"what the schema's {keyword!r} says ({quoted(value)})"


def _type_text(value: str | list[str]) -> str:
    names = [value] if isinstance(value, str) else value
    return " or ".join(_TYPES.get(name, name) for name in names)


def form(schema: Any) -> str:
    """What a schema accepts, in a few words."""
    if not isinstance(schema, dict):
        return "anything"
    if title := schema.get("title") or schema.get("description"):
        return str(title)
    if "enum" in schema:
        return "one of " + ", ".join(repr(one) for one in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if "type" in schema:
        required = schema.get("required")
        keys = f" with {', '.join(map(repr, required))}" if required else ""
        return _type_text(schema["type"]) + keys
    return "another form"


def _meaning(schema: Any, name: str) -> str:
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    meaning = properties.get(name, {})
    description = meaning.get("description") if isinstance(meaning, dict) else None
    return f" ({description})" if description else ""


def quoted(value: Any) -> str:
    """A value as error messages show it: as JSON would, cut after 60 characters."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
