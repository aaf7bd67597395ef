"""One class for both sides: how a device's public attributes and methods reach its host.

When a device class is defined, its public functions, properties and values are wrapped once. On an
instance that is bound to a host's agent (``_remote`` is set) each wrapper asks the agent; on any
other it does what the class says. Nothing intercepts attribute access as a whole, and private names
are never sent anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from types import FunctionType
from typing import Any, Protocol

from shakeout.errors import DeviceError, LabLacks


class DeviceRemote(Protocol):
    """A host, as its devices on the controller see it. Each call waits for the host's answer."""

    def get(self, device_id: int, name: str) -> Any:
        """The value of an attribute."""

    def set(self, device_id: int, name: str, value: Any) -> None:
        """Set an attribute."""

    def call(self, device_id: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method; return what it returned."""

    def items(self, device_id: int) -> Iterable[tuple[str, Any]]:
        """All public attributes with their values."""


def forward(cls: type) -> None:
    """Wrap what *cls* itself defines (not what it inherits)."""
    for name, value in list(vars(cls).items()):
        if name == "__init__":
            setattr(cls, name, _counted(value))
        elif not name.startswith("_"):
            wrapped = _wrapped(name, value)
            if wrapped is not None:
                setattr(cls, name, wrapped)


def _wrapped(name: str, value: Any) -> Any:
    if isinstance(value, FunctionType):
        return _method(name, value)
    if isinstance(value, property):
        return _property(name, value)
    # static and class methods, and classes, need no instance: they run where they are called
    if isinstance(value, staticmethod | classmethod | type | ForwardedValue):
        return None
    return ForwardedValue(name, value)


def _method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        remote = self._remote
        if remote is None:
            return function(self, *args, **kwargs)
        return remote.call(self._id, name, args, kwargs)

    return method


def _property(name: str, original: property) -> property:
    def read(self: Any) -> Any:
        remote = self._remote
        if remote is None:
            assert original.fget is not None
            return original.fget(self)
        return remote.get(self._id, name)

    def write(self: Any, value: Any) -> None:
        remote = self._remote
        if original.fset is None:
            raise DeviceError(f"{name} of {self!r} can only be read")
        if remote is None:
            original.fset(self, value)
        else:
            remote.set(self._id, name, value)

    return property(read, write, original.fdel, original.__doc__)


class ForwardedValue:
    """A value in a class body, or a descriptor other than a property.

    Asked of the class, it is the value; of an instance bound to a host, the host's; else the
    instance's own, or the class's.
    """

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value
        self.__doc__ = getattr(value, "__doc__", None)

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self.value
        if instance._remote is not None:
            return instance._remote.get(instance._id, self.name)
        if self.name in instance.__dict__:
            return instance.__dict__[self.name]
        read = getattr(type(self.value), "__get__", None)
        return self.value if read is None else read(self.value, instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        if instance._remote is not None:
            instance._remote.set(instance._id, self.name, value)
            return
        write = getattr(type(self.value), "__set__", None)
        if write is None:
            instance.__dict__[self.name] = value
        else:
            write(self.value, instance, value)


def _counted(init: Callable[..., None]) -> Callable[..., None]:
    """``__init__`` that lets ``__setattr__`` know that it is running: what it sets need not be shipped."""

    @wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        depth = self._building
        object.__setattr__(self, "_building", depth + 1)
        try:
            init(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_building", depth)

    return __init__


def public_attributes(device: Any) -> list[str]:
    """Names of the public attributes of *device* that are no methods, base class first."""
    names: dict[str, None] = {}
    for cls in reversed(type(device).__mro__):
        for name, value in vars(cls).items():
            if not name.startswith("_") and isinstance(value, property | ForwardedValue):
                names[name] = None
    for name in device.__dict__:
        if not name.startswith("_"):
            names[name] = None
    return list(names)


def read_attributes(device: Any) -> list[tuple[str, Any]]:
    """The public attributes with their values, without those that the kernel of this host lacks."""
    found = []
    for name in public_attributes(device):
        try:
            found.append((name, getattr(device, name)))
        except LabLacks:
            continue
    return found
