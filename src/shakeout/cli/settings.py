"""The settings of a command: files, environment, flags; read once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shakeout.config.settings import Settings, load_settings

if TYPE_CHECKING:
    from shakeout.hosts.dialing import Access


def settings_for(**flags: object) -> Settings:
    """The settings, with *flags* over them (None: not given); the plugin folders are in force afterwards."""
    settings = load_settings(Path.cwd(), os.environ, flags)
    if settings.plugin_path:
        from shakeout import plugins

        plugins.configure(settings.plugin_path)
    return settings


def access_of(settings: Settings) -> Access:
    """What hosts of pools are reached with."""
    from shakeout.hosts.dialing import Access

    return Access(settings.certs, settings.ssh, settings.cache)


def use_colour(stream: object) -> bool:
    """Whether to write colours to *stream*: a terminal, unless NO_COLOR; FORCE_COLOR decides elsewhere."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty()) and os.environ.get("TERM") != "dumb"
