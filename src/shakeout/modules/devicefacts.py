"""Devices in the parameters of test modules: a module gets what they were when it was started.

It runs in a process of its own, possibly as another user, in another namespace, or on another host than the device's;
so what travels is a picture of the device, with all its attributes, and not the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from shakeout.errors import did_you_mean
from shakeout.wire.plain import DeviceRef

_CONTAINERS = (list, tuple, set, frozenset)


class DeviceFacts:
    """A device as it was when the job was started: ``dev.name``, ``dev.hwaddr``, ``dev.if_index``, ``dev.ips`` …

    ``str(dev)`` is its name. Other devices in it (``dev.master``) are names.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._facts[name]
        except KeyError:
            near = did_you_mean(name, self._facts)
            raise AttributeError(f"the device {self} has no attribute {name!r}{near}") from None

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._facts.items())

    def __str__(self) -> str:
        return str(self._facts.get("name", ""))

    def __repr__(self) -> str:
        return f"<device {self}>"


def is_device(value: object) -> bool:
    """Whether *value* is a device on the controller. (Asked of its class: asking the device would ask its host.)"""
    return hasattr(type(value), "_shakeout_ref") and hasattr(type(value), "if_index")


def without_devices(value: Any, facts: list[dict[str, Any]]) -> Any:
    """*value* with each device in it replaced by a DeviceRef with the number of its facts, which are appended.

    Raises:
        DeviceError: a device is gone, or was never assigned to a host.
    """

    def numbered(device: Any) -> DeviceRef:
        facts.append({name: replaced(each, is_device, lambda other: other.name) for name, each in device})
        return DeviceRef(len(facts) - 1)

    try:
        return replaced(value, is_device, numbered)
    except RecursionError:
        return value  # it contains itself: packing it says so, and where


def with_facts(value: Any, facts: list[dict[str, Any]]) -> Any:
    """The reverse of `without_devices`, on the host."""
    return replaced(value, lambda each: type(each) is DeviceRef, lambda ref: DeviceFacts(facts[ref.id]))


def replaced(value: Any, wanted: Callable[[Any], bool], replace: Callable[[Any], Any]) -> Any:
    """*value* with what is *wanted* in it replaced; itself if there is nothing to replace."""
    if wanted(value):
        return replace(value)
    if type(value) is dict:
        return {replaced(k, wanted, replace): replaced(v, wanted, replace) for k, v in value.items()}
    if type(value) in _CONTAINERS:
        return type(value)(replaced(item, wanted, replace) for item in value)
    return value
