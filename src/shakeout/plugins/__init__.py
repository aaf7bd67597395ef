"""Plugins: test modules, devices, hooks … that come with shakeout, lie in folders, or are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import PluginInfo, Registry
from .sources import BrokenPlugin

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

__all__ = ["BrokenPlugin", "PluginInfo", "Registry", "configure", "registry"]

_current: Registry | None = None


def configure(folders: Iterable[str | PathLike[str]] = (), *, entry_points: bool = True) -> Registry:
    """Say where this process looks for plugins from now on; called by the command or the Controller.

    It is what ``from shakeout.modules import MyOwn`` goes by, which cannot be given a registry.
    """
    global _current
    wanted = Registry(folders, entry_points=entry_points)
    if _current is None or (wanted.folders, entry_points) != (_current.folders, _current.entry_points):
        _current = wanted
    return _current


def registry() -> Registry:
    """What ``configure`` made; without it, shakeout's own plugins and those that are installed."""
    return _current if _current is not None else configure()
