"""shakeout: a laboratory for systems that live on several machines.

The public names are loaded when they are first used (PEP 562), so that importing this package costs nothing, and so
that a recipe file imports on an agent, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shakeout.controller.controller import Controller as Controller
    from shakeout.devices.base import Device as Device
    from shakeout.devices.bridge import BridgeDevice as BridgeDevice
    from shakeout.devices.macvlan import MacvlanDevice as MacvlanDevice
    from shakeout.devices.soft import LoopbackDevice as LoopbackDevice
    from shakeout.devices.soft import SoftDevice as SoftDevice
    from shakeout.devices.soft import VirtualDevice as VirtualDevice
    from shakeout.devices.veth import VethDevice as VethDevice
    from shakeout.devices.veth import VethPair as VethPair
    from shakeout.errors import ShakeoutError as ShakeoutError
    from shakeout.evaluation.baseline import Baseline as Baseline
    from shakeout.evaluation.measured import Measured as Measured
    from shakeout.evaluation.threshold import Threshold as Threshold
    from shakeout.hosts.host import PIPE as PIPE
    from shakeout.hosts.host import Host as Host
    from shakeout.hosts.job import Job as Job
    from shakeout.hosts.waiting import wait_all as wait_all
    from shakeout.hosts.waiting import wait_any as wait_any
    from shakeout.matching.predicate import RecipeParam as RecipeParam
    from shakeout.matching.requirements import DeviceReq as DeviceReq
    from shakeout.matching.requirements import HostReq as HostReq
    from shakeout.matching.values import AnyOf as AnyOf
    from shakeout.matching.values import AtLeast as AtLeast
    from shakeout.matching.values import AtMost as AtMost
    from shakeout.matching.values import Between as Between
    from shakeout.matching.values import Match as Match
    from shakeout.matching.values import Not as Not
    from shakeout.matching.values import Present as Present
    from shakeout.modules.base import BaseTestModule as BaseTestModule
    from shakeout.modules.base import ModuleFailed as ModuleFailed
    from shakeout.params import BoolParam as BoolParam
    from shakeout.params import ChoiceParam as ChoiceParam
    from shakeout.params import DeviceParam as DeviceParam
    from shakeout.params import DictParam as DictParam
    from shakeout.params import DurationParam as DurationParam
    from shakeout.params import FloatParam as FloatParam
    from shakeout.params import HostnameOrIpParam as HostnameOrIpParam
    from shakeout.params import HostnameParam as HostnameParam
    from shakeout.params import IntParam as IntParam
    from shakeout.params import IpParam as IpParam
    from shakeout.params import ListParam as ListParam
    from shakeout.params import NetworkParam as NetworkParam
    from shakeout.params import Param as Param
    from shakeout.params import PathParam as PathParam
    from shakeout.params import StrParam as StrParam
    from shakeout.recipe.base import BaseRecipe as BaseRecipe

__version__ = "0.1.0"

_PLACES = {
    "controller.controller": "Controller",
    "devices.base": "Device",
    "devices.bridge": "BridgeDevice",
    "devices.macvlan": "MacvlanDevice",
    "devices.soft": "LoopbackDevice SoftDevice VirtualDevice",
    "devices.veth": "VethDevice VethPair",
    "errors": "ShakeoutError",
    "evaluation.baseline": "Baseline",
    "evaluation.measured": "Measured",
    "evaluation.threshold": "Threshold",
    "hosts.host": "PIPE Host",
    "hosts.job": "Job",
    "hosts.waiting": "wait_all wait_any",
    "matching.predicate": "RecipeParam",
    "matching.requirements": "DeviceReq HostReq",
    "matching.values": "AnyOf AtLeast AtMost Between Match Not Present",
    "modules.base": "BaseTestModule ModuleFailed",
    "params": "BoolParam ChoiceParam DeviceParam DictParam DurationParam FloatParam HostnameOrIpParam HostnameParam "
    "IntParam IpParam ListParam NetworkParam Param PathParam StrParam",
    "recipe.base": "BaseRecipe",
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}

__all__ = list(_PLACE_OF)


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PLACE_OF:
        value = getattr(importlib.import_module(f"shakeout.{_PLACE_OF[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and name[:1].isupper():
        aliases = importlib.import_module("shakeout.aliases")
        if name in aliases.__all__:
            return getattr(aliases, name)
        from shakeout.errors import did_you_mean

        near = did_you_mean(name, [*_PLACE_OF, *aliases.__all__])
        raise AttributeError(f"module 'shakeout' has no attribute {name!r}{near}")
    raise AttributeError(f"module 'shakeout' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_PLACE_OF]
