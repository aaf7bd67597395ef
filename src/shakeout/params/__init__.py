"""Parameters: one class tree for recipes, test modules, and everything else that takes options."""

from __future__ import annotations

from .addresses import DeviceParam, HostnameOrIpParam, HostnameParam, IpParam, NetworkParam
from .base import Param
from .binding import bind, from_cli, plain
from .compound import DictParam, ListParam
from .container import Params, check_declarations, declared
from .numeric import BoolParam, DurationParam, FloatParam, IntParam
from .schema import schema
from .text import ChoiceParam, PathParam, StrParam

__all__ = [
    "BoolParam",
    "ChoiceParam",
    "DeviceParam",
    "DictParam",
    "DurationParam",
    "FloatParam",
    "HostnameOrIpParam",
    "HostnameParam",
    "IntParam",
    "IpParam",
    "ListParam",
    "NetworkParam",
    "Param",
    "Params",
    "PathParam",
    "StrParam",
    "bind",
    "check_declarations",
    "declared",
    "from_cli",
    "plain",
    "schema",
]
