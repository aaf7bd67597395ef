"""On an agent: importing the Python modules that a controller shipped, and nothing else of it.

A child that runs a test module serves one order, so shipped modules are imported under the names they
have on the controller. They win over anything of that name on the host.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, Final

from shakeout.errors import JobError, ProtocolError
from shakeout.modules import digest
from shakeout.modules.order import Provided, SourceRef

#: Packages of shakeout that a controller needs; on an agent, their names are placeholders.
CONTROLLER_LAYERS: Final = frozenset(
    {
        "cli", "config", "controller", "hosts", "journal", "labs", "load", "matching", "measure",
        "pytest_plugin", "recipe", "report", "service", "suites", "testing",
    }
)  # fmt: skip


class CodeCache:
    """Compiled sources by hash.

    Filled in the resident zygote: compiling executes nothing. Children inherit what is there, and
    import by executing it.
    """

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}
        self._codes: dict[tuple[str, str], CodeType | Exception] = {}

    def add(self, sha256: str, filename: str, text: bytes) -> None:
        """Keep *text* and compile it.

        A text that has another hash, or does not compile, is an error when it is imported, not now.
        """
        if digest.sha256(text).hexdigest() != sha256:
            self._codes[sha256, filename] = ProtocolError(f"{filename} did not arrive as it was sent")
            return
        self._texts[sha256] = text
        self._compile(sha256, filename)

    def missing(self, sources: Iterable[SourceRef]) -> list[str]:
        """The hashes of those *sources* whose text is not here."""
        return [source.sha256 for source in sources if source.sha256 not in self._texts]

    def prepare(self, sources: Iterable[SourceRef]) -> None:
        """Compile what is not compiled yet (one text may have come from several files)."""
        for source in sources:
            if source.sha256 in self._texts and (source.sha256, source.filename) not in self._codes:
                self._compile(source.sha256, source.filename)

    def code(self, source: SourceRef) -> CodeType:
        """The compiled *source*.

        Raises:
            JobError: it never came.
            ProtocolError: it did not come as it was sent.
            SyntaxError: it is no Python of this host's version.
        """
        self.prepare((source,))
        code = self._codes.get((source.sha256, source.filename))
        if code is None:
            raise JobError(f"the source of {source.name} ({source.filename}) was not sent to this host")
        if isinstance(code, Exception):
            raise code
        return code

    def text(self, source: SourceRef) -> str:
        """The text of *source*, for tracebacks; "" if it is no text."""
        import io
        import tokenize

        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(self._texts[source.sha256]).readline)
            return self._texts[source.sha256].decode(encoding)
        except (KeyError, SyntaxError, UnicodeDecodeError):
            return ""

    def _compile(self, sha256: str, filename: str) -> None:
        code: CodeType | Exception
        try:
            # dont_inherit: or this file's own __future__ imports would hold for the shipped one, too.
            code = compile(self._texts[sha256], filename, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            code = error
        self._codes[sha256, filename] = code


class ShippedFinder:
    """Imports the shipped modules (a meta-path finder and their loader)."""

    def __init__(self, sources: Iterable[SourceRef], codes: CodeCache) -> None:
        self._sources = {source.name: source for source in sources}
        self._codes = codes

    def install(self) -> None:
        """From now on the shipped modules are imported, before anything else of their names.

        What was imported from the very same sources before stays.
        """
        for name, source in self._sources.items():
            if name in sys.modules:
                loader = getattr(sys.modules[name], "__loader__", None)
                if not (isinstance(loader, ShippedFinder) and loader._sources.get(name) == source):
                    del sys.modules[name]
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        source = self._sources.get(name)
        if source is None:
            return None
        spec = ModuleSpec(name, self, origin=source.filename, is_package=source.is_package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def load(self, name: str) -> ModuleType:
        """Import module *name*; for a shipped one at top level without the import system's detours."""
        spec = None if "." in name else self.find_spec(name)
        if spec is None or spec.submodule_search_locations is not None:
            __import__(name)
            return sys.modules[name]
        module = ModuleType(name)
        module.__spec__, module.__loader__, module.__package__ = spec, spec.loader, ""
        module.__file__ = spec.origin
        sys.modules[name] = module
        try:
            self.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        code = self._codes.code(self._sources[module.__name__])
        before, ControllerOnly.importing = ControllerOnly.importing, True
        try:
            exec(code, module.__dict__)
        finally:
            ControllerOnly.importing = before

    def is_package(self, name: str) -> bool:
        return self._sources[name].is_package

    def get_code(self, name: str) -> CodeType:
        return self._codes.code(self._sources[name])

    def get_source(self, name: str) -> str:
        return self._codes.text(self._sources[name])

    def reveal_lines(self) -> None:
        """Give `linecache` the text of every shipped file, so that tracebacks have source lines."""
        for source in self._sources.values():
            text = self._codes.text(source)
            lines = text.splitlines(keepends=True)
            linecache.cache[source.filename] = (len(text), None, lines, source.filename)


class ControllerOnly:
    """Stands, on an agent, for a name that only a controller has.

    A recipe file is imported here for the sake of a test module in it, so what it declares on the way
    (``m1 = HostReq(arch="x86_64")``, ``class MyRecipe(BaseRecipe)``) must go through: while shipped
    files are imported, a placeholder takes anything and gives placeholders. Afterwards, when the test
    module runs, using one is an error that says so.
    """

    #: True while shipped files are imported.
    importing = False

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _use(self, inner: str) -> ControllerOnly:
        name: str = object.__getattribute__(self, "_name")
        if not ControllerOnly.importing:
            raise JobError(
                f"{name} exists on the controller only, and this code runs on a host's agent; "
                "do this in the recipe's test() and give the test module what it needs as a parameter"
            )
        if name == "Controller" and inner == "()":
            raise JobError(
                "a shipped file makes a Controller while it is imported on a host's agent; put what "
                'starts the run under: if __name__ == "__main__":'
            )
        return ControllerOnly(f"{name}{inner}")

    def __call__(self, *args: object, **kwargs: object) -> ControllerOnly:
        return self._use("()")

    def __getattr__(self, name: str) -> ControllerOnly:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._use(f".{name}")

    def __setattr__(self, name: str, value: object) -> None:
        self._use(f".{name}")

    def __getitem__(self, key: object) -> ControllerOnly:
        return self._use("[]")

    def __or__(self, other: object) -> ControllerOnly:
        return self._use("")

    __ror__ = __and__ = __rand__ = __sub__ = __add__ = __or__

    def __invert__(self) -> ControllerOnly:
        return self._use("")

    def __iter__(self) -> Iterable[Any]:
        self._use("")
        return iter(())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        # Several placeholders among the bases become one.
        first = next(base for base in bases if isinstance(base, ControllerOnly))
        return (ControllerOnlyBase,) if first is self else ()

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_name')}: on the controller only>"


class ControllerOnlyBase:
    """Base, on an agent, of every class that is derived from a placeholder."""

    def __new__(cls, *args: object, **kwargs: object) -> Any:
        return ControllerOnly(cls.__name__)._use("()")


class _PlaceholderModule(ModuleType):
    """A module of shakeout of which, on an agent, every name is a placeholder."""

    def __getattr__(self, name: str) -> ControllerOnly:
        if name.startswith("__"):
            raise AttributeError(name)
        return ControllerOnly(name)


class ControllerLayerFinder:
    """Imports `shakeout.recipe` and its like as placeholders (a meta-path finder and their loader)."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, inner = name.partition(".")
        if package != "shakeout" or inner.partition(".")[0] not in CONTROLLER_LAYERS:
            return None
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _PlaceholderModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        return None


#: Where the test modules are that came along, for `shakeout.modules`.
provided: dict[str, Provided] = {}


def on_agent() -> bool:
    """Whether this process runs shipped code."""
    return "on_agent" in sys.modules["shakeout"].__dict__


@contextmanager
def for_once() -> Iterator[None]:
    """Take back, at the end, that shipped code was imported here: for rehearsals."""
    finders, modules = sys.meta_path[:], set(sys.modules)
    try:
        yield
    finally:
        sys.meta_path[:] = finders
        sys.modules["shakeout"].__dict__.pop("on_agent", None)
        for name in set(sys.modules) - modules:
            del sys.modules[name]


def mark_agent() -> None:
    """Say that this process runs shipped code: names of the controller are placeholders from now on.

    Not for the agent itself, which may need those layers.
    """
    if not on_agent():
        sys.modules["shakeout"].__dict__["on_agent"] = True
        sys.meta_path.insert(0, ControllerLayerFinder())
