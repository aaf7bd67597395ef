"""Plugins by kind and name; a kind is a base class that the caller gives: nothing above is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from shakeout.errors import BadPlugin, UnknownName

from .sources import BrokenPlugin, SourceFile, class_line, folder_files, installed, package_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from .sources import InstalledSource

T = TypeVar("T")

#: Packages of shakeout itself that hold plugins.
BUILTIN_PACKAGES = ("shakeout.modules",)


class PluginInfo(msgspec.Struct, frozen=True):
    """A plugin class that was found.

    Attributes:
        name: the class's name, by which it is looked up.
        cls: the class.
        origin: "built in", "folder PATH" or "entry point NAME of DISTRIBUTION".
        file: where it is defined.
        line: the line (from 1) there, 0 if unknown.
        summary: first line of its docstring, "" without one.
    """

    name: str
    cls: Any
    origin: str
    file: str
    line: int
    summary: str

    @property
    def place(self) -> str:
        """ "FILE:LINE"."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Registry:
    """Finds plugin classes in packages of shakeout, in folders, and among entry points, in this order.

    Nothing is imported before it is asked for; ``find`` imports only files that define the name. A source
    that cannot be loaded does not hinder the others: see ``broken``.

    Args:
        folders: folders whose ``*.py`` files and packages are plugins; imported under private names,
            with ``from .sibling import X`` working among them.
        entry_points: whether installed distributions are asked (group ``shakeout.plugins``).
        builtin_packages: packages whose modules are plugins.
    """

    def __init__(
        self,
        folders: Iterable[str | PathLike[str]] = (),
        *,
        entry_points: bool = True,
        builtin_packages: Iterable[str] = BUILTIN_PACKAGES,
    ) -> None:
        self.folders = tuple(dict.fromkeys(Path(folder).absolute() for folder in folders))
        self.builtin_packages = tuple(builtin_packages)
        self.entry_points = entry_points
        self._files: list[SourceFile] | None = None
        self._installed: list[InstalledSource] | None = None
        self._loaded: dict[str, Any] = {}
        self._broken: dict[str, BrokenPlugin] = {}

    def find(self, kind: type[T], name: str, *, what: str = "plugin") -> type[T]:
        """The plugin *name* that derives from *kind*.

        Args:
            what: what error messages call the kind ("test module").

        Raises:
            UnknownName: nobody has it; names the nearest, and what could not be loaded.
            BadPlugin: two have that name, or the file that defines it cannot be loaded.
        """
        found = self.get(kind, name)
        if found is None:
            raise UnknownName(what, name, self.names(kind), self.hint())
        return found

    def get(self, kind: type[T], name: str) -> type[T] | None:
        """As ``find``, but None if nobody has it. Entry points are asked only if no file has the name.

        Raises:
            BadPlugin: two have that name, or the file that defines it cannot be loaded.
        """
        files = [file for file in self._sources() if file.defines(name)]
        found = [info for file in files for info in self._of(file, kind) if info.name == name]
        broken = [self._broken[str(file.path)] for file in files if str(file.path) in self._broken]
        if not found and broken:
            raise BadPlugin(f"{name} cannot be used: {broken[0]}")
        if not found:  # perhaps made by a call or imported from elsewhere, so that no text tells
            found = [info for info in self._everything(kind) if info.name == name]
        if len(found) > 1:
            places = ", ".join(f"{info.place} ({info.origin})" for info in found)
            raise BadPlugin(f"{len(found)} plugins are called {name!r}: {places}; rename all but one")
        return found[0].cls if found else None

    def all(self, kind: type[Any]) -> list[PluginInfo]:
        """All plugins that derive from *kind*, by name, then in order of search; broken ones are left out."""
        return sorted(self._everything(kind), key=lambda info: info.name)

    def names(self, kind: type[Any]) -> list[str]:
        """The names of all plugins that derive from *kind*, sorted, each once."""
        return sorted({info.name for info in self._everything(kind)})

    def broken(self) -> list[BrokenPlugin]:
        """All sources that cannot be loaded, in order of search."""
        self._everything(object)
        return list(self._broken.values())

    def duplicates(self, kind: type[Any]) -> dict[str, list[PluginInfo]]:
        """The plugins that share a name, by name."""
        by_name: dict[str, list[PluginInfo]] = {}
        for info in self.all(kind):
            by_name.setdefault(info.name, []).append(info)
        return {name: infos for name, infos in by_name.items() if len(infos) > 1}

    def hint(self) -> str:
        """Where plugins were looked for, and what could not be loaded; for the end of an error message."""
        if self.folders:
            hint = "looked in " + ", ".join(str(folder) for folder in self.folders)
        else:
            hint = "own ones are found in folders that --plugin-path or plugin_path in shakeout.toml names"
        broken = self.broken()
        return hint + (f"; could not be loaded: {', '.join(map(str, broken))}" if broken else "")

    def _sources(self) -> list[SourceFile]:
        if self._files is None:
            self._files = [file for package in self.builtin_packages for file in package_files(package)]
            for folder in self.folders:
                for entry in folder_files(folder):
                    if isinstance(entry, BrokenPlugin):
                        self._broken[entry.file] = entry
                    else:
                        self._files.append(entry)
        return self._files

    def _everything(self, kind: type[Any]) -> list[PluginInfo]:
        found = [info for file in self._sources() for info in self._of(file, kind)]
        if self.entry_points and self._installed is None:
            self._installed = installed()
        for source in self._installed or ():
            found += self._of(source, kind)
        first: dict[int, PluginInfo] = {}
        for info in found:
            first.setdefault(id(info.cls), info)
        return list(first.values())

    def _of(self, source: SourceFile | InstalledSource, kind: type[Any]) -> list[PluginInfo]:
        key = str(source.path) if isinstance(source, SourceFile) else source.origin
        if key not in self._loaded and key not in self._broken:
            loaded = source.load()
            if isinstance(loaded, BrokenPlugin):
                self._broken[key] = loaded
            else:
                self._loaded[key] = loaded
        loaded = self._loaded.get(key)
        if loaded is None:
            return []
        classes = [loaded] if isinstance(loaded, type) else _own_classes(loaded)
        wanted = [cls for cls in classes if issubclass(cls, kind) and cls is not kind]
        return [_info(cls, source.origin) for cls in wanted]


def _own_classes(module: Any) -> list[type]:
    """The public classes that *module* (or a part of it, if it is a package) defines itself, in order."""
    inside = (module.__name__, module.__name__ + ".")
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and not name.startswith("_")
        and (value.__module__ == inside[0] or value.__module__.startswith(inside[1]))
    ]


def _info(cls: type, origin: str) -> PluginInfo:
    import sys

    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or f"<{cls.__module__}>"
    line = 0
    if Path(file).is_file():
        line = class_line(Path(file).read_text(errors="replace"), cls.__name__)
    summary = (cls.__doc__ or "").strip().partition("\n")[0]
    return PluginInfo(cls.__name__, cls, origin, file, line, summary)
