"""YAML 1.2 with the core schema: `on` is a key, `no` and 52:54:00:00:00:11 are text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .places import Fault, Path, Places, sound_text

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Largest text that is read (the parser takes seconds for a megabyte; JSON is read a hundred times faster).
MAX_BYTES = 2 * 2**20
#: Deepest nesting, and most values after all aliases are replaced by what they stand for.
MAX_DEPTH = 100
MAX_VALUES = 200_000

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_TAG = "tag:yaml.org,2002:"


class _Frame:
    """A list or dict that is being read."""

    __slots__ = ("anchor", "before", "container", "key", "line", "path")

    def __init__(self, container: Any, path: Path, anchor: str | None, before: int) -> None:
        self.container, self.path, self.anchor, self.before = container, path, anchor, before
        self.key: str | None = None
        self.line = 0  # of the key


class _Builder:
    """Puts values together; one instance a document."""

    def __init__(self) -> None:
        self.places: Places = {}
        self.data: Any = None
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0

    def scalar(self, event: Any, line: int) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.container) is dict and frame.key is None:
            self._key(frame, event, line)
            return
        value = resolve(event, line)
        self._note(1, line)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        self._add(value, line)

    def begin(self, event: Any, container: Any, line: int) -> None:
        if event.tag not in (None, "!", f"{_TAG}{'map' if type(container) is dict else 'seq'}"):
            raise Fault(line, f"tag {event.tag} is not accepted here")
        if len(self.stack) >= MAX_DEPTH:
            raise Fault(line, f"nested deeper than {MAX_DEPTH} levels")
        path = self._add(container, line)
        if event.anchor:
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Frame(container, path, event.anchor, self.count))
        self._note(1, line)

    def end(self) -> None:
        frame = self.stack.pop()
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.container, self.count - frame.before)

    def alias(self, event: Any, line: int) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.container) is dict and frame.key is None:
            raise Fault(line, f"alias *{event.anchor} as a key; a key is text")
        if any(outer.anchor == event.anchor for outer in self.stack) and event.anchor not in self.anchors:
            raise Fault(line, f"alias *{event.anchor} stands inside of what it names")
        if event.anchor not in self.anchors:
            raise Fault(line, f"alias *{event.anchor} names no anchor before it")
        value, size = self.anchors[event.anchor]
        self._note(size, line)
        self._add(_copied(value), line)

    def _key(self, frame: _Frame, event: Any, line: int) -> None:
        key = sound_text(event.value, line)
        if event.tag not in (None, "!", _TAG + "str"):
            raise Fault(line, f"tag {event.tag} is not accepted for a key; a key is text")
        if key == "<<" and not event.style:
            raise Fault(line, "merge key <<: that is YAML 1.1; write the keys out")
        if key in frame.container:
            first = self.places.get((*frame.path, key), line)
            raise Fault(line, f"key {key!r} is given twice (first in line {first})", frame.path)
        if event.anchor:
            self.anchors[event.anchor] = (key, 1)
        frame.key, frame.line = key, line

    def _add(self, value: Any, line: int) -> Path:
        if not self.stack:
            self.data = value
            self.places[()] = line
            return ()
        frame = self.stack[-1]
        if type(frame.container) is list:
            path: Path = (*frame.path, len(frame.container))
            frame.container.append(value)
        else:
            assert frame.key is not None
            path = (*frame.path, frame.key)
            frame.container[frame.key] = value
            frame.key, line = None, frame.line
        self.places[path] = line
        return path

    def _note(self, values: int, line: int) -> None:
        self.count += values
        if self.count > MAX_VALUES:
            raise Fault(line, f"more than {MAX_VALUES} values, counting what each alias stands for")


def read_yaml(text: str) -> tuple[Any, Places]:
    """The data of *text* and the line of each of its values; raises Fault with what is wrong where."""
    if len(text) > MAX_BYTES:
        raise Fault(1, f"larger than {MAX_BYTES // 2**20} MiB; write large documents as JSON (*.json)")
    builder = _Builder()
    documents = 0
    for event in _events(text):
        line = event.start_mark.line + 1
        kind = type(event).__name__
        if kind == "ScalarEvent":
            builder.scalar(event, line)
        elif kind == "MappingStartEvent":
            _no_complex_key(builder, line)
            builder.begin(event, {}, line)
        elif kind == "SequenceStartEvent":
            _no_complex_key(builder, line)
            builder.begin(event, [], line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            builder.end()
        elif kind == "AliasEvent":
            builder.alias(event, line)
        elif kind == "DocumentStartEvent":
            documents += 1
            if documents > 1:
                raise Fault(line, "a second document begins; a file holds one")
    return builder.data, builder.places


def _no_complex_key(builder: _Builder, line: int) -> None:
    frame = builder.stack[-1] if builder.stack else None
    if frame is not None and type(frame.container) is dict and frame.key is None:
        raise Fault(line, "a list or mapping as a key; a key is text")


def _events(text: str) -> Iterator[Any]:
    """The parser's events; whatever it raises on strange input becomes a Fault."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    parser = YAML(typ="safe", pure=True)
    try:
        yield from parser.parse(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise Fault(mark.line + 1 if mark else 1, f"not valid YAML: {' '.join(what.split())}") from None
    except Fault:
        raise
    except Exception as error:  # the parser's own faults on malformed input
        first = str(error).strip().partition("\n")[0]
        raise Fault(1, f"not valid YAML: {first or type(error).__name__}") from error


def resolve(event: Any, line: int) -> Any:
    """The value of a scalar event by the core schema."""
    value: str = event.value
    if event.tag == _TAG + "str" or (event.tag is None and event.style) or event.tag == "!":
        return sound_text(value, line)
    if event.tag is None:
        plain = plain_value(value, line)
        return sound_text(plain, line) if isinstance(plain, str) else plain
    kinds = {"int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)}
    wanted = kinds.get(event.tag.removeprefix(_TAG)) if event.tag.startswith(_TAG) else None
    if wanted is None:
        raise Fault(line, f"tag {event.tag} is not accepted (only !!str, !!int, !!float, !!bool, !!null)")
    plain = plain_value(value, line)
    if type(plain) not in wanted:
        raise Fault(line, f"{value!r} is no value for the tag {event.tag}")
    return float(plain) if float in wanted else plain


def plain_value(text: str, line: int = 1) -> Any:
    """What unquoted *text* stands for: null, a truth value, a number, or itself."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    try:
        if _INT.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
    except ValueError:
        raise Fault(line, f"a number of {len(text)} digits is too long") from None
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _copied(value: Any) -> Any:
    """*value* without anything shared; its depth is bounded by MAX_DEPTH each time it was read."""
    if type(value) is list:
        return [_copied(item) for item in value]
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return value
