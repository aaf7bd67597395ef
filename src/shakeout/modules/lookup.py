"""Test modules that do not come with shakeout, by name: from plugins here, from the order on an agent."""

from __future__ import annotations

import sys
from typing import Any

from shakeout.errors import UnknownName
from shakeout.modules import BUILTIN, shipped


class _NoAttribute(UnknownName, AttributeError):  # type: ignore[misc]  # name is Any there
    """For `shakeout.modules.X`: what hasattr() and getattr() expect."""


class _NoImport(UnknownName, ImportError):  # type: ignore[misc]  # name is Any there
    """For `from shakeout.modules import X`, where Python would drop the message of an AttributeError."""


def find_test_module(name: str) -> Any:
    """The class of the test module *name*.

    Raises:
        UnknownName: nobody has it; also an AttributeError, or in a `from … import` an ImportError.
        BadPlugin: two have that name, or the file that defines it cannot be loaded.
    """
    if shipped.on_agent():
        return _shipped(name)
    from shakeout.modules.base import BaseTestModule
    from shakeout.plugins import registry

    plugins = registry()
    found = plugins.get(BaseTestModule, name)
    if found is not None:
        return found
    kind = _NoImport if _importing() else _NoAttribute
    raise kind("test module", name, plugins.names(BaseTestModule), plugins.hint())


def _shipped(name: str) -> Any:
    provided = shipped.provided.get(name)
    if provided is None:
        kind = _NoImport if _importing() else _NoAttribute
        raise kind("test module", name, [*BUILTIN, *shipped.provided], "it was not sent to this host")
    __import__(provided.module)
    found: Any = sys.modules[provided.module]
    for part in provided.qualname.split("."):
        found = getattr(found, part)
    return found


def _importing() -> bool:
    """Whether the name is wanted by a `from shakeout.modules import …` statement."""
    import opcode

    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__package__") == "shakeout.modules":
        frame = frame.f_back
    return frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_FROM"]
