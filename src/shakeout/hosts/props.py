"""A host's properties, as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shakeout.errors import UnknownName


class Props:
    """``m1.props.arch``; iterating gives (name, value). An unknown property is an error with the nearest name."""

    __slots__ = ("_host", "_values")

    def __init__(self, host: str, values: Mapping[str, Any]) -> None:
        self._host = host
        self._values = dict(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise UnknownProperty(self._host, name, self._values) from None

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._values.items())

    def __len__(self) -> int:
        return len(self._values)

    def __dir__(self) -> list[str]:
        return [*self._values, *super().__dir__()]

    def __repr__(self) -> str:
        return f"<properties of {self._host}: {', '.join(f'{name}={value!r}' for name, value in self)}>"


class UnknownProperty(UnknownName, AttributeError):
    """A property that hosts do not have; an AttributeError, too, so that `hasattr` works."""

    name: str

    def __init__(self, host: str, name: str, known: Mapping[str, Any]) -> None:
        UnknownName.__init__(self, f"property of host {host}", name, known)
