"""On the controller: which source files a class needs on a host, found without executing anything.

A class's own file is sent, and what its import statements (also those inside functions) lead to,
transitively, as far as it is the user's: files next to it, the package it is in, folders on the
import path. The standard library, installed packages and shakeout itself are expected on the host.
A class of an installed package is sent with that package.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shakeout.errors import CannotTravel, UnknownName
from shakeout.modules.devicefacts import without_devices
from shakeout.modules.imports import Imports, imports_of
from shakeout.modules.order import ModuleOrder, Provided, SourceRef
from shakeout.wire.plain import pack

if TYPE_CHECKING:
    from shakeout.modules.base import BaseTestModule

#: The executed script goes under this name, so that its `if __name__ == "__main__"` guard stays off.
MAIN: Final = "shakeout_main"


class Source(msgspec.Struct, frozen=True):
    """One Python module to be sent; `text` is the file's content."""

    name: str
    filename: str
    is_package: bool
    sha256: str
    text: bytes

    @property
    def ref(self) -> SourceRef:
        """The part of it that goes into every order."""
        return SourceRef(self.name, self.filename, self.sha256, self.is_package)


class Manifest(msgspec.Struct, frozen=True):
    """All that a host needs to import one class.

    Attributes:
        entry_module: the dotted name that the class's file is imported under there.
        qualname: the class in it.
        sources: what is to be sent; empty for what comes with shakeout.
        provided: test modules from configured folders that the sources import from `shakeout.modules`.
    """

    entry_module: str
    qualname: str
    sources: tuple[Source, ...] = ()
    provided: tuple[Provided, ...] = ()


class _File(msgspec.Struct, frozen=True):
    """A source file as it was read, and what it imports."""

    stamp: tuple[int, int]
    text: bytes
    sha256: str
    imports: Imports


_files: dict[str, _File] = {}
_manifests: dict[type, tuple[Manifest, dict[str, tuple[int, int]]]] = {}


def manifest_of(cls: type) -> Manifest:
    """What has to be sent so that *cls* can be imported on a host.

    The answer is kept until one of the files changes.

    Raises:
        CannotTravel: the class is in no file (interactive, exec), or inside a function.
    """
    known = _manifests.get(cls)
    if known is not None and all(_stamp(path) == stamp for path, stamp in known[1].items()):
        return known[0]
    manifest = _builtin_manifest(cls) or _Gathering(cls).manifest()
    paths = {source.filename for source in manifest.sources if source.filename}
    _manifests[cls] = manifest, {path: _stamp(path) for path in paths}
    return manifest


def order_for(instance: BaseTestModule, host: str) -> tuple[ModuleOrder, Manifest]:
    """The order to run *instance* on *host*, and the manifest whose sources must be there first.

    Raises:
        CannotTravel: its class has no file, or an attribute is no plain data.
        DeviceError: a device among its parameters is gone.
    """
    manifest = manifest_of(type(instance))
    refs = tuple(source.ref for source in manifest.sources)
    facts: list[dict[str, Any]] = []
    state = instance.state(lambda parts: without_devices(parts, facts))
    packed = pack(facts, where="what a device says of itself") if facts else b""
    order = ModuleOrder(host, manifest.entry_module, manifest.qualname, refs, manifest.provided, state, packed)
    return order, manifest


class _Gathering:
    """Collects the sources of one class."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._sources: dict[str, Source] = {}
        self._provided: dict[str, Provided] = {}
        #: Top-level names that are sent although they are installed: the packages of the classes themselves.
        self._own: set[str] = set()

    def manifest(self) -> Manifest:
        entry = self._add_class(self._cls)
        sources = tuple(self._sources[name] for name in sorted(self._sources))
        provided = tuple(self._provided[name] for name in sorted(self._provided))
        return Manifest(entry, self._cls.__qualname__, sources, provided)

    def _add_class(self, cls: type) -> str:
        """Add the file that *cls* is in, and what it imports; returns the name it goes under."""
        path, name = _place(cls)
        self._own.add(name.partition(".")[0])
        self._add_parents(name)
        self._add(name, path)
        if cls.__name__.encode() not in self._sources[name].text:
            raise CannotTravel(
                f"the test module {cls.__qualname__} cannot be sent to a host: it is not in {path}, "
                "where Python says it was defined; define it by a class statement at top level there"
            )
        return name

    def _add_parents(self, name: str) -> None:
        parts = name.split(".")
        for end in range(1, len(parts)):
            parent = ".".join(parts[:end])
            if parent not in self._sources:
                self._add(parent, _file_of_module(parent), is_package=True)

    def _add(self, name: str, path: str, *, is_package: bool = False) -> None:
        """Add one module, and what it imports. *path* is "" for a package without an `__init__.py`."""
        if name in self._sources:
            return
        if not path:
            self._sources[name] = Source(name, "", True, _sha256(b""), b"")
            return
        file = _read(path)
        is_package = is_package or Path(path).name == "__init__.py"
        self._sources[name] = Source(name, path, is_package, file.sha256, file.text)
        package = name if is_package else name.rpartition(".")[0]
        root = _root(name, path)
        for wanted in file.imports.absolute_names(package):
            self._add_import(wanted, root)
        for module in file.imports.test_modules:
            self._provide(module)

    def _add_import(self, name: str, root: str) -> None:
        """Add module *name*, and the packages that it lies in, as far as they are the user's."""
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names or parts[0] == "shakeout":
            return
        folders: list[str] | None = None
        for end in range(1, len(parts) + 1):
            inner = ".".join(parts[:end])
            found = _find(inner, folders, root)
            if found is None or (parts[0] not in self._own and _is_installed(found[0] or found[1][0])):
                return
            self._add(inner, found[0], is_package=bool(found[1]))
            folders = found[1]

    def _provide(self, name: str) -> None:
        from shakeout import modules

        if name in self._provided:
            return
        try:
            cls = getattr(modules, name)
        except (AttributeError, UnknownName):
            return  # it fails where it is imported, with a better message
        if isinstance(cls, type) and not _is_builtin(cls):
            self._provided[name] = Provided(name, "", "")  # two folders may import each other's
            self._provided[name] = Provided(name, self._add_class(cls), cls.__qualname__)


def _place(cls: type) -> tuple[str, str]:
    """The file that *cls* was defined in, and the name that it goes under.

    Raises:
        CannotTravel: there is none, or it is inside a function.
    """
    name = cls.__qualname__
    if "<locals>" in name:
        raise CannotTravel(
            f"the test module {name} cannot be sent to a host: it is defined inside a function; "
            "move the class statement to the top level of its file"
        )
    module = sys.modules.get(cls.__module__)
    path = _file_of_module(cls.__module__) or next(_files_of_functions(cls), "")
    if not path or not Path(path).is_file():
        raise CannotTravel(
            f"the test module {name} cannot be sent to a host: it is in no file (defined interactively, in a "
            "notebook, or by exec); put it into a .py file and import it from there"
        )
    if cls.__module__ != "__main__":
        return path, cls.__module__
    spec = getattr(module, "__spec__", None)  # set by python -m
    return path, spec.name if spec is not None else MAIN


def _file_of_module(name: str) -> str:
    """The source file of an imported module, "" if it has none."""
    path = getattr(sys.modules.get(name), "__file__", None)
    return os.path.abspath(path) if isinstance(path, str) and path.endswith(".py") else ""  # noqa: PTH100


def _files_of_functions(cls: type) -> Iterator[str]:
    for value in vars(cls).values():
        code = getattr(value, "__code__", None)
        if code is not None:
            yield os.path.abspath(code.co_filename)  # noqa: PTH100 - as tracebacks have it, links unresolved


def _find(name: str, folders: list[str] | None, root: str) -> tuple[str, list[str]] | None:
    """Where module *name* comes from here: its file, and its folders if it is a package.

    Args:
        folders: of the package it lies in, None for a top-level name.
        root: the folder where the importing module's own top-level name is found.
    """
    from importlib.machinery import PathFinder
    from importlib.util import find_spec

    module = sys.modules.get(name)
    if module is not None:
        path, inner = _file_of_module(name), list(getattr(module, "__path__", ()))
        return (path, inner) if path or inner else None
    if folders is not None:
        spec = PathFinder.find_spec(name, folders) if folders else None
    else:
        spec = PathFinder.find_spec(name, [root, *sys.path])
        if spec is None:
            spec = find_spec(name)  # a top-level name: other finders are asked, nothing is imported
    if spec is None:
        return None
    inner = list(spec.submodule_search_locations or ())
    origin = spec.origin if spec.has_location and str(spec.origin).endswith(".py") else ""
    return (os.path.abspath(origin) if origin else "", inner) if origin or inner else None  # noqa: PTH100


def _root(name: str, path: str) -> str:
    """The folder in which the top-level name of module *name* at *path* is found."""
    folder = Path(path).parent
    inner = Path(*name.split("."))
    for suffix in (inner.with_name(inner.name + ".py"), inner / "__init__.py"):
        if Path(path).parts[-len(suffix.parts) :] == suffix.parts:
            return str(Path(*Path(path).parts[: -len(suffix.parts)]))
    return str(folder)


def _read(path: str) -> _File:
    stamp = _stamp(path)
    known = _files.get(path)
    if known is not None and known.stamp == stamp:
        return known
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise CannotTravel(f"the source file {path} cannot be read to be sent to a host: {error.strerror}") from error
    file = _files[path] = _File(stamp, text, _sha256(text), imports_of(text, path))
    return file


def _stamp(path: str) -> tuple[int, int]:
    try:
        stat = os.stat(path)  # noqa: PTH116 - a quarter of the time, and it is done for every job
    except OSError:
        return 0, -1
    return stat.st_mtime_ns, stat.st_size


def _sha256(text: bytes) -> str:
    import hashlib

    return hashlib.sha256(text).hexdigest()


def _is_builtin(cls: type) -> bool:
    """Whether *cls* comes with shakeout: the same version is on the host."""
    return cls.__module__.partition(".")[0] == "shakeout"


def _builtin_manifest(cls: type) -> Manifest | None:
    return Manifest(cls.__module__, cls.__qualname__) if _is_builtin(cls) else None


_installed_folders: tuple[str, ...] = ()


def _is_installed(path: str) -> bool:
    """Whether *path* is below the folders of the standard library or of installed packages."""
    global _installed_folders
    if not _installed_folders:
        import site
        import sysconfig

        named = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
        folders = {*named, *site.getsitepackages(), site.getusersitepackages()}
        _installed_folders = tuple(str(Path(folder)) + os.sep for folder in folders if folder)
    parts = Path(path).parts
    return path.startswith(_installed_folders) or "site-packages" in parts or "dist-packages" in parts
