"""Parameters whose values are text, one of several choices, or a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from .base import Param, V_co, check_range, choices_text, text_of

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from os import PathLike
    from pathlib import Path
    from typing import Literal, Unpack

    from .base import Described

    class StrLimits(Described, total=False):
        min_length: int | None
        max_length: int | None
        pattern: str | None
        choices: Iterable[str] | None

    class PathLimits(Described, total=False):
        absolute: bool


C = TypeVar("C")


class StrParam(Param[V_co]):
    """Text, and nothing but text: a number is not converted, since 1.0 and 1 would differ.

    Args:
        min_length, max_length: limits in characters.
        pattern: regular expression that the whole text must match.
        choices: the allowed values, if only some are.
    """

    @overload
    def __init__(
        self: StrParam[str], *, mandatory: Literal[True], default: None = ..., **limits: Unpack[StrLimits]
    ) -> None: ...

    @overload
    def __init__(self: StrParam[str], *, default: str, mandatory: bool = ..., **limits: Unpack[StrLimits]) -> None: ...

    @overload
    def __init__(
        self: StrParam[str | None], *, mandatory: bool = ..., default: None = ..., **limits: Unpack[StrLimits]
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: str | None = None,
        desc: str = "",
        secret: bool = False,
        min_length: int | None = None,
        max_length: int | None = None,
        pattern: str | None = None,
        choices: Iterable[str] | None = None,
    ) -> None:
        self.min_length, self.max_length, self.pattern = min_length, max_length, pattern
        self.choices = None if choices is None else tuple(choices)
        self._compiled: re.Pattern[str] | None = None
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        check_range(self.min_length, self.max_length, " length")
        if self.pattern is not None:
            import re

            try:
                self._compiled = re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from None

    def convert(self, value: object) -> Any:
        if not isinstance(value, str):
            raise self.expected()
        value = text_of(value)
        if self.choices is not None and value not in self.choices:
            raise self.expected()
        if self.min_length is not None and len(value) < self.min_length:
            raise self.expected()
        if self.max_length is not None and len(value) > self.max_length:
            raise self.expected()
        if self._compiled is not None and not self._compiled.fullmatch(value):
            raise self.expected()
        return value

    def accepts(self) -> str:
        if self.choices is not None:
            return choices_text(self.choices)
        text = "text" + length_text(self.min_length, self.max_length, "character")
        return text if self.pattern is None else f"{text} matching {self.pattern!r}"

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        if self.min_length is not None:
            schema["minLength"] = self.min_length
        if self.max_length is not None:
            schema["maxLength"] = self.max_length
        if self.pattern is not None:
            schema["pattern"] = f"^(?:{self.pattern})$"
        if self.choices is not None:
            schema["enum"] = list(self.choices)
        return schema


class ChoiceParam(Param[V_co]):
    """One of *choices*, which are plain values; from text: the only choice that is spelt so.

    A truth value and the number 1 or 0 are different choices.
    """

    @overload
    def __init__(
        self: ChoiceParam[C],
        choices: Iterable[C],
        *,
        mandatory: Literal[True],
        default: None = ...,
        desc: str = ...,
        secret: bool = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: ChoiceParam[C],
        choices: Iterable[C],
        *,
        default: C,
        mandatory: bool = ...,
        desc: str = ...,
        secret: bool = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: ChoiceParam[C | None],
        choices: Iterable[C],
        *,
        mandatory: bool = ...,
        default: None = ...,
        desc: str = ...,
        secret: bool = ...,
    ) -> None: ...

    def __init__(
        self: ChoiceParam[Any],
        choices: Iterable[object],
        *,
        mandatory: bool = False,
        default: object = None,
        desc: str = "",
        secret: bool = False,
    ) -> None:
        self.choices = tuple(sorted(choices, key=repr) if isinstance(choices, (set, frozenset)) else choices)
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        if not self.choices:
            raise ValueError("there is nothing to choose from")

    def convert(self, value: object) -> Any:
        for choice in self.choices:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        if isinstance(value, str):
            spelt = [choice for choice in self.choices if str(choice) == value.strip()]
            if len(spelt) == 1:
                return spelt[0]
        raise self.expected()

    def accepts(self) -> str:
        return choices_text(self.choices)

    def json_schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices)}


class PathParam(Param[V_co]):
    """A path; the value is a ``pathlib.Path``. Nothing is looked up: it may be meant for another host.

    Args:
        absolute: only absolute paths are accepted.
    """

    @overload
    def __init__(
        self: PathParam[Path], *, mandatory: Literal[True], default: None = ..., **limits: Unpack[PathLimits]
    ) -> None: ...

    @overload
    def __init__(
        self: PathParam[Path],
        *,
        default: str | PathLike[str],
        mandatory: bool = ...,
        **limits: Unpack[PathLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: PathParam[Path | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **limits: Unpack[PathLimits],
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: str | PathLike[str] | None = None,
        desc: str = "",
        secret: bool = False,
        absolute: bool = False,
    ) -> None:
        self.absolute = absolute
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def convert(self, value: object) -> Any:
        from pathlib import Path

        path = value.__fspath__() if hasattr(type(value), "__fspath__") else value  # type: ignore[attr-defined]
        if not isinstance(path, str) or not path or "\0" in path:
            raise self.expected()
        if self.absolute and not path.startswith("/"):
            raise self.expected()
        return Path(text_of(path))

    def accepts(self) -> str:
        return "an absolute path" if self.absolute else "a path"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1} | ({"pattern": "^/"} if self.absolute else {})

    def plain(self, value: Any) -> Any:
        return str(value)


def length_text(minimum: int | None, maximum: int | None, unit: str) -> str:
    """ " of 1 to 9 characters", " of at least 1 character" or ""."""
    if minimum is not None and maximum is not None:
        lengths = f"{minimum}" if minimum == maximum else f"{minimum} to {maximum}"
        last = maximum
    elif minimum is not None:
        lengths, last = f"at least {minimum}", minimum
    elif maximum is not None:
        lengths, last = f"at most {maximum}", maximum
    else:
        return ""
    return f" of {lengths} {unit}{'' if last == 1 else 's'}"
