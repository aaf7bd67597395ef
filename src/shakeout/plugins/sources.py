"""Where plugins come from: modules of a package, files of a folder, entry points; each loaded on its own."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint
    from types import ModuleType

ENTRY_POINT_GROUP = "shakeout.plugins"


class BrokenPlugin(msgspec.Struct, frozen=True):
    """A source of plugins that could not be loaded.

    Attributes:
        origin: where it comes from, as PluginInfo's.
        file: the file, or whatever names the source best.
        line: the line (from 1) of the fault, 0 if there is none.
        reason: what is wrong, in one line.
    """

    origin: str
    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


class SourceFile(msgspec.Struct, frozen=True):
    """A Python file that may define plugins.

    Attributes:
        origin: "built in" or "folder PATH".
        module: name under which it is imported.
        path: the file.
    """

    origin: str
    module: str
    path: Path

    def text(self) -> str:
        """Its text, with whatever is no UTF-8 replaced; "" if it cannot be read."""
        try:
            return self.path.read_text(errors="replace")
        except OSError:
            return ""

    def defines(self, name: str) -> bool:
        """Whether a class *name* stands at the top level of the file."""
        return class_line(self.text(), name) > 0

    def load(self) -> ModuleType | BrokenPlugin:
        """Import the file; what it raises becomes the reason of a BrokenPlugin."""
        known = sys.modules.get(self.module)
        if known is not None:
            return known
        try:
            if self.origin == "built in":
                return importlib.import_module(self.module)
            return _import_file(self.module, self.path)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything
            sys.modules.pop(self.module, None)
            return _broken(self.origin, str(self.path), error)


class InstalledSource(msgspec.Struct, frozen=True):
    """An entry point of an installed distribution; it names a class, or a module with classes."""

    origin: str
    point: Any  # an EntryPoint, whose import costs 15 ms where none is used

    def load(self) -> Any | BrokenPlugin:
        """The object that the entry point names; what it raises becomes the reason of a BrokenPlugin."""
        point: EntryPoint = self.point
        try:
            return point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything
            return _broken(self.origin, point.value, error)


def package_files(package: str) -> Iterator[SourceFile]:
    """The files of the package *package*, sorted; the package itself is not imported."""
    from importlib.util import find_spec

    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.py")):
            if not path.name.startswith("_"):
                yield SourceFile("built in", f"{package}.{path.stem}", path)


def folder_files(folder: Path) -> Iterator[SourceFile | BrokenPlugin]:
    """The files and packages directly in *folder*, sorted; names that begin with "_" or "." are left out."""
    import hashlib

    origin = f"folder {folder}"
    if not folder.is_dir():
        yield BrokenPlugin(origin, str(folder), 0, "no such folder")
        return
    private = "shakeout_plugins_" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    for entry in sorted(folder.iterdir()):
        path = entry / "__init__.py" if entry.is_dir() else entry
        if entry.name.startswith(("_", ".")) or path.suffix != ".py" or not path.is_file():
            continue
        stem = entry.name if entry.is_dir() else entry.stem
        yield SourceFile(origin, f"{private}.{re.sub(r'[^A-Za-z0-9_]', '_', stem)}", path)


def installed() -> list[InstalledSource]:
    """The entry points of installed distributions, sorted."""
    from importlib.metadata import entry_points

    points = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda one: (one.name, one.value))
    return [InstalledSource(f"entry point {p.name}{f' of {p.dist.name}' if p.dist else ''}", p) for p in points]


def class_line(text: str, name: str) -> int:
    """The line (from 1) where a class *name* is defined at the top level of *text*, 0 if nowhere."""
    match = re.search(rf"^class[ \t]+{re.escape(name)}\b", text, re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else 0


def _import_file(name: str, path: Path) -> ModuleType:
    """Import *path* as *name*, in a package of its folder, so that `from .sibling import X` works there."""
    from importlib.util import module_from_spec, spec_from_file_location

    parent, _, _ = name.rpartition(".")
    top = path.parent.parent if path.name == "__init__.py" else path.parent
    if parent not in sys.modules:
        package = type(sys)(parent, f"plugins of the folder {top}")
        package.__path__ = [str(top)]
        sys.modules[parent] = package
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"Python cannot import {path}")
    module = module_from_spec(spec)
    sys.modules[name] = module  # before it runs, as Python does: its classes look themselves up there
    spec.loader.exec_module(module)
    return module


def _broken(origin: str, file: str, error: BaseException) -> BrokenPlugin:
    if isinstance(error, SyntaxError) and error.filename:
        return BrokenPlugin(origin, error.filename, error.lineno or 0, f"syntax error: {error.msg}")
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    reason = str(error).strip().partition("\n")[0]
    return BrokenPlugin(origin, file, line, f"{type(error).__name__}: {reason}" if reason else type(error).__name__)
