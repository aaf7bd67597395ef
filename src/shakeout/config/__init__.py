"""Configuration: the one loader for documents that people write, their schemas, and the settings."""

from __future__ import annotations

from .documents import Document, load, parse, refuse
from .schemas import schema_names, schema_of
from .settings import Settings, load_settings

__all__ = ["Document", "Settings", "load", "load_settings", "parse", "refuse", "schema_names", "schema_of"]
