"""pyroute2's message codecs, without the rest of pyroute2.

``import pyroute2`` costs 114 ms and 33 MB, as its ``__init__`` loads every client it has, and asyncio;
the one codec that is needed here costs 24 ms. So if nobody has imported pyroute2 yet, its package
module is put in place without running ``__init__``, which runs when somebody asks for a name that is
missing, for instance a recipe's ``from pyroute2 import IPRoute``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shakeout.devices.attributes import pairs
from shakeout.errors import DeviceError, LabLacks, did_you_mean

if TYPE_CHECKING:
    from types import ModuleType

_PACKAGE = "pyroute2"


def pack_link_options(kind: str, options: Mapping[str, int | str | bytes]) -> bytes:
    """Options of any kind of link that pyroute2 knows, packed as the content of IFLA_INFO_DATA.

    Args:
        options: by the kernel's names, with or without prefix: ``{"id": 7}`` is IFLA_VLAN_ID of a vlan.

    Raises:
        DeviceError: no such option, or the value does not fit.
        LabLacks: pyroute2 does not know the kind.
    """
    message = _link_message_class()
    data_class = message.ifinfo.data_map.get(kind)
    if data_class is None:
        raise LabLacks(f"the options of devices of kind {kind!r} are not known here: {', '.join(options)}")
    known = {_plain(kind, row[-2]): row[-2] for row in data_class.nla_map}
    attributes = []
    for name, value in options.items():
        plain = _plain(kind, name)
        if plain not in known:
            raise DeviceError(f"{kind} devices have no option {name!r}{did_you_mean(plain, known)}")
        attributes.append([known[plain], value])
    return _info_data(message, kind, attributes)


def _plain(kind: str, name: str) -> str:
    return name.lower().removeprefix("ifla_").removeprefix(f"{kind}_")


def _info_data(message: Any, kind: str, attributes: list[list[Any]]) -> bytes:
    encoded = message()
    info = {"attrs": [["IFLA_INFO_KIND", kind], ["IFLA_INFO_DATA", {"attrs": attributes}]]}
    encoded["attrs"] = [["IFLA_LINKINFO", info]]
    log = sys.modules["pyroute2.netlink"].log
    silent, log.disabled = log.disabled, True  # it would log a whole stack for a bad value
    try:
        encoded.encode()
    except Exception as error:
        raise DeviceError(f"options of a {kind}: {error} in {dict(attributes)}") from error
    finally:
        log.disabled = silent
    for number, content in pairs(bytes(encoded.data), 32):
        if number == 18:
            return dict(pairs(content)).get(2, b"")
    return b""


def _link_message_class() -> Any:
    prepare()
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    return ifinfmsg


def prepare() -> None:
    """Make ``pyroute2.…`` submodules importable without running the package's ``__init__``."""
    if _PACKAGE in sys.modules:
        return
    from importlib.util import find_spec, module_from_spec

    spec = find_spec(_PACKAGE)
    if spec is None or spec.loader is None:
        raise LabLacks("this kind of device needs the Python package pyroute2, which is not installed on this host")
    module = module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    _complete_when_asked(module)


def _complete_when_asked(module: ModuleType) -> None:
    """Let *module* run its ``__init__`` when a name is asked for that is none of its submodules."""
    from importlib import import_module
    from importlib.util import find_spec

    def __getattr__(name: str) -> Any:
        # the import system asks for these of every package
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        if find_spec(f"{_PACKAGE}.{name}") is not None:
            return import_module(f"{_PACKAGE}.{name}")
        del module.__dict__["__getattr__"]
        spec = module.__spec__
        assert spec is not None and spec.loader is not None
        spec.loader.exec_module(module)
        try:
            return module.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}") from None

    module.__dict__["__getattr__"] = __getattr__
