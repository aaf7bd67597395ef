"""Parameters whose values are lists and dicts of other parameters' values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from .base import REJECTED, E, Param, V_co, check_range, fresh, quoted
from .text import length_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal, Unpack

    from .base import Described

    class ListLimits(Described, total=False):
        min_length: int | None
        max_length: int | None


class ListParam(Param[V_co]):
    """A list whose items are all as *item* says; from text: "1,2,3" or a JSON array.

    Args:
        item: parameter that describes one item; without it any items are accepted, text from text.
        min_length, max_length: limits of the number of items.
    """

    @overload
    def __init__(
        self: ListParam[list[E]],
        item: Param[E | None],
        *,
        mandatory: Literal[True],
        default: None = ...,
        **limits: Unpack[ListLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: ListParam[list[E]],
        item: Param[E | None],
        *,
        default: Iterable[object] | str,
        mandatory: bool = ...,
        **limits: Unpack[ListLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: ListParam[list[E] | None],
        item: Param[E | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **limits: Unpack[ListLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: ListParam[list[Any]],
        item: None = ...,
        *,
        mandatory: Literal[True],
        default: None = ...,
        **limits: Unpack[ListLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: ListParam[list[Any]],
        item: None = ...,
        *,
        mandatory: bool = ...,
        default: Iterable[object] | str,
        **limits: Unpack[ListLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: ListParam[list[Any] | None],
        item: None = ...,
        *,
        mandatory: bool = ...,
        default: None = ...,
        **limits: Unpack[ListLimits],
    ) -> None: ...

    def __init__(
        self: ListParam[Any],
        item: Param[Any] | None = None,
        *,
        mandatory: bool = False,
        default: Iterable[object] | str | None = None,
        desc: str = "",
        secret: bool = False,
        min_length: int | None = None,
        max_length: int | None = None,
    ) -> None:
        self.item = Param() if item is None else item
        self.min_length, self.max_length = min_length, max_length
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        check_range(self.min_length, self.max_length, " length")
        check_part(self.item, "items")

    def convert(self, value: object) -> Any:
        if isinstance(value, str):
            value = self._from_text(value.strip())
        if not isinstance(value, (list, tuple, range)):
            raise self.expected()
        if len(value) < (self.min_length or 0):
            raise self.expected()
        if self.max_length is not None and len(value) > self.max_length:
            raise self.expected()
        return [convert_part(self.item, item, f"item {n}") for n, item in enumerate(value)]

    def _from_text(self, text: str) -> object:
        if text.startswith("["):
            return from_json(text, self.expected())
        return [part.strip() for part in text.split(",")] if text else []

    def accepts(self) -> str:
        length = length_text(self.min_length, self.max_length, "item")
        items = "" if type(self.item) is Param else f", each {self.item.accepts()}"
        return f"a list{length}{items} (as text: a,b,c or JSON)"

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.item.json_schema()}
        if self.min_length is not None:
            schema["minItems"] = self.min_length
        if self.max_length is not None:
            schema["maxItems"] = self.max_length
        return schema

    def plain(self, value: Any) -> Any:
        return [self.item.plain(item) for item in value]


class DictParam(Param[V_co]):
    """A dict with text as keys; from text: "k=v,k2=v2" or a JSON object.

    Args:
        value: parameter that describes the values; without it any are accepted, text from k=v.
    """

    @overload
    def __init__(
        self: DictParam[dict[str, E]],
        value: Param[E | None],
        *,
        mandatory: Literal[True],
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: DictParam[dict[str, E]],
        value: Param[E | None],
        *,
        default: Mapping[str, object] | str,
        mandatory: bool = ...,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: DictParam[dict[str, E] | None],
        value: Param[E | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: DictParam[dict[str, Any]],
        value: None = ...,
        *,
        mandatory: Literal[True],
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: DictParam[dict[str, Any]],
        value: None = ...,
        *,
        mandatory: bool = ...,
        default: Mapping[str, object] | str,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: DictParam[dict[str, Any] | None],
        value: None = ...,
        *,
        mandatory: bool = ...,
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    def __init__(
        self: DictParam[Any],
        value: Param[Any] | None = None,
        *,
        mandatory: bool = False,
        default: Mapping[str, object] | str | None = None,
        desc: str = "",
        secret: bool = False,
    ) -> None:
        self.value = Param() if value is None else value
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        check_part(self.value, "values")

    def convert(self, value: object) -> Any:
        if isinstance(value, str):
            value = self._from_text(value.strip())
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self.expected()
        return {key: convert_part(self.value, part, f"key {key!r}") for key, part in value.items()}

    def _from_text(self, text: str) -> object:
        if text.startswith("{"):
            return from_json(text, self.expected())
        parts: dict[str, str] = {}
        for pair in text.split(",") if text else ():
            key, equals, part = pair.partition("=")
            key = key.strip()
            if not equals or not key:
                raise ValueError(f"{quoted(pair)} is no k=v; expected {self.accepts()}")
            if key in parts:
                raise ValueError(f"key {key!r} is given twice; expected {self.accepts()}")
            parts[key] = part.strip()
        return parts

    def accepts(self) -> str:
        values = "" if type(self.value) is Param else f" with values each {self.value.accepts()}"
        return f"a dict{values} (as text: k=v,k2=v2 or JSON)"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.value.json_schema()}

    def plain(self, value: Any) -> Any:
        return {key: self.value.plain(part) for key, part in value.items()}


def check_part(part: object, what: str) -> None:
    """Raise ValueError unless *part* is a sound parameter, which may describe items or values."""
    if not isinstance(part, Param):
        raise ValueError(f"its {what} are described by a parameter (as IntParam()), not by {quoted(part)}")
    if part.problem:
        raise ValueError(f"the parameter of its {what}: {part.problem}")


def convert_part(part: Param[Any], value: object, where: str) -> Any:
    """*value* converted by *part*; the reason of a rejection begins with *where* it stands."""
    try:
        return fresh(part.convert(value))
    except REJECTED as error:
        raise ValueError(f"{where}, {quoted(value)}: {error}") from None


def from_json(text: str, expected: ValueError) -> object:
    """The value of the JSON *text*; raises *expected*, with the parser's reason, if it is none."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(f"{expected}; not valid JSON: {error}") from None
