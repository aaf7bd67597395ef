"""Earlier names of the same things, so that a recipe written from the older texts runs unchanged."""

from __future__ import annotations

from shakeout.matching.requirements import DeviceReq
from shakeout.params import (
    BoolParam,
    ChoiceParam,
    DeviceParam,
    DictParam,
    FloatParam,
    HostnameOrIpParam,
    HostnameParam,
    IntParam,
    IpParam,
    ListParam,
    Param,
    PathParam,
    StrParam,
)

BaseType = Param
ParamType = Param
IntType = IntParam
FloatType = FloatParam
StrType = StrParam
BoolType = BoolParam
ChoiceType = ChoiceParam
ListType = ListParam
Multiparam = ListParam
DictType = DictParam
IpType = IpParam
HostnameType = HostnameParam
HostnameOrIpType = HostnameOrIpParam
PathType = PathParam
DeviceType = DeviceParam
IfaceReq = DeviceReq
InterfaceReq = DeviceReq

__all__ = [
    "BaseType",
    "BoolType",
    "ChoiceType",
    "DeviceType",
    "DictType",
    "FloatType",
    "HostnameOrIpType",
    "HostnameType",
    "IfaceReq",
    "IntType",
    "InterfaceReq",
    "IpType",
    "ListType",
    "Multiparam",
    "ParamType",
    "PathType",
    "StrType",
]
