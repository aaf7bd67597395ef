"""From a file to its recipe classes."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType

import msgspec

from shakeout.errors import BadParameters, BadRecipe, ShakeoutError, UsageError, did_you_mean
from shakeout.params import bind, declared, from_cli
from shakeout.recipe.base import BaseRecipe


class Target(msgspec.Struct, frozen=True):
    """What a command line names: a file, and perhaps one class in it."""

    path: str
    cls: str = ""


def parse_target(text: str) -> Target:
    """``my.py`` or ``my.py:Class``."""
    path, colon, cls = text.rpartition(":")
    if colon and cls.isidentifier() and path and not Path(text).is_file():
        return Target(path, cls)
    return Target(text)


def load(target: Target) -> list[type[BaseRecipe]]:
    """The recipe classes that *target* names, in the order of the file.

    Raises:
        BadRecipe: no such file, it cannot be imported, it has no such class, or none that can be run.
    """
    module = load_file(target.path)
    if target.cls:
        return [_chosen(module, target)]
    found = list(dict.fromkeys(cls for cls in _classes(module) if cls.__module__ == module.__name__))
    runnable = [cls for cls in found if _why_not(cls) == "" and not cls.__name__.startswith("_")]
    if not runnable:
        if found:
            reasons = "; ".join(f"{cls.__name__}: {_why_not(cls) or 'its name begins with _'}" for cls in found)
            raise BadRecipe(f"{target.path} has no recipe class that can be run ({reasons})")
        raise BadRecipe(
            f"{target.path} has no recipe class: define one, class NAME(BaseRecipe), with requirements and a test()"
        )
    return runnable


def with_arguments(target: Target, classes: Sequence[type[BaseRecipe]], arguments: Sequence[str]) -> list[BaseRecipe]:
    """Instances of the classes to run: all of them without *arguments*, else the one that those are for.

    Raises:
        BadRecipe: it is not clear which class they are for, an ``__init__`` ended with an exception, or several
            classes cannot be made as asked; the message has all of them.
        BadParameters: names or values that are not accepted, or mandatory ones that are missing.
    """
    if arguments:
        cls = _receiver(target, classes)
        return [_instance(target, cls, _keywords(cls, arguments))]
    recipes: list[BaseRecipe] = []
    refused: list[UsageError] = []
    for cls in classes:
        try:
            recipes.append(_instance(target, cls, {}))
        except UsageError as error:
            refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise BadRecipe(". ".join(str(error) for error in refused))
    return recipes


def _keywords(cls: type[BaseRecipe], arguments: Sequence[str]) -> dict[str, str]:
    """The keywords that *arguments* are; if some are not accepted, the message also has what else is wrong."""
    try:
        return from_cli(cls, arguments, base=BaseRecipe)
    except BadParameters as error:
        if cls.__init__ is not BaseRecipe.__init__:
            raise
        pairs = [argument.partition("=") for argument in arguments]
        known = declared(cls)
        try:
            bind(cls, {name: value for name, equals, value in pairs if equals and name in known})
        except BadParameters as more:
            raise BadParameters(cls.__name__, [*error.problems, *more.problems]) from None
        raise


def _instance(target: Target, cls: type[BaseRecipe], arguments: dict[str, str]) -> BaseRecipe:
    """An instance of the user's class."""
    try:
        return cls(**arguments)
    except ShakeoutError:
        raise
    except Exception as error:
        number = _line_in(Path(target.path).resolve(), error)
        raise BadRecipe(
            f"{target.path}:{number}: {cls.__name__}() ended with {_named(error)}; what its __init__ needs can be "
            f"given on the command line: shakeout run {target.path}:{cls.__name__} -- NAME=VALUE"
        ) from error


def load_file(path: str) -> ModuleType:
    """Import a recipe file, once; what stands beside it can be imported from then on.

    Raises:
        BadRecipe: it is not there, no Python, or ended with an exception; the message says where.
    """
    file = Path(path)
    if not file.exists():
        if "=" in path and path.partition("=")[0].isidentifier():
            raise BadRecipe(f"there is no file {path}; if it is a parameter, write it after --: -- {path}")
        near = did_you_mean(file.name, [p.name for p in file.parent.glob("*.py")]) if file.parent.is_dir() else ""
        raise BadRecipe(f"there is no file {path}{near}")
    if not file.is_file():
        raise BadRecipe(f"{path} is no file; give the recipe's Python file, for example {path.rstrip('/')}/my.py")
    file = file.resolve()
    name = f"recipe_{_identifier(file.stem)}_{hashlib.sha256(bytes(file)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file, loader=_loader(name, file))
    if spec is None or spec.loader is None:
        raise BadRecipe(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    _make_importable(str(file.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _explain(path, file, error) from error
    return module


def _make_importable(folder: str) -> None:
    """Have imports find what stands beside a recipe: before installed packages, but after the standard library.

    So a recipe called json.py or signal.py disturbs nobody who imports the module of that name.
    """
    if folder in sys.path:
        return
    standard = {str(Path(os.__file__).parent), str(Path(os.__file__).parent / "lib-dynload")}
    places = [index for index, entry in enumerate(sys.path) if entry in standard]
    sys.path.insert(places[-1] + 1 if places else 0, folder)


def _loader(name: str, file: Path) -> importlib.abc.Loader:
    from importlib.machinery import SourceFileLoader

    class RecipeLoader(SourceFileLoader):
        """Reads the source each time: a recipe is edited and run again within a second, and leaves no cache."""

        def get_code(self, fullname: str) -> CodeType:
            return self.source_to_code(self.get_data(self.path), self.path)

    return RecipeLoader(name, str(file))


def _identifier(stem: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in stem)


def _explain(path: str, file: Path, error: BaseException) -> BadRecipe:
    if isinstance(error, SyntaxError):
        where = error.filename or path
        shown = path if Path(where) == file else where
        line = (error.text or "").strip()
        return BadRecipe(f"{shown}:{error.lineno}: {error.msg}" + (f": {line}" if line else ""))
    if isinstance(error, UnicodeDecodeError | ValueError) and not isinstance(error, ShakeoutError):
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        if not frames:
            return BadRecipe(f"{path} is no Python text: {error}")
    number = _line_in(file, error)
    if isinstance(error, SystemExit):
        return BadRecipe(f"{path}:{number}: the file ended the program while it was imported ({error.code!r})")
    text = str(error) if isinstance(error, ShakeoutError) else _named(error)
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = f"; install {error.name!r} where shakeout runs, or put it beside the recipe"
    elif isinstance(error, ImportError):
        hint = _nearest_import(error)
    return BadRecipe(f"{path}:{number}: {text}{hint}")


def _nearest_import(error: ImportError) -> str:
    """A hint for a typo in ``from shakeout import …``."""
    words = str(error).split("'")  # Python 3.12 has it as an attribute, 3.11 only in its text
    module = sys.modules.get(error.name or "")
    if module is None or len(words) < 3 or not words[0].startswith("cannot import name"):
        return ""
    names = [name for name in dir(module) if not name.startswith("_")]
    return did_you_mean(words[1], names)


def _named(error: BaseException) -> str:
    """An exception on one line: its kind, and what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_in(file: Path, error: BaseException) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return (lines[-1] if lines else 1) or 1


def _classes(module: ModuleType) -> Iterator[type[BaseRecipe]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, BaseRecipe) and value is not BaseRecipe:
            yield value


def _why_not(cls: type[BaseRecipe]) -> str:
    """Why *cls* cannot be run; "" if it can."""
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        return f"it is abstract: {', '.join(missing)} must be overridden"
    if cls.test is BaseRecipe.test:
        return "it has no test()"
    return ""


def _chosen(module: ModuleType, target: Target) -> type[BaseRecipe]:
    value = getattr(module, target.cls, None)
    names = [cls.__name__ for cls in _classes(module)]
    if value is None:
        raise BadRecipe(f"{target.path} has no recipe class {target.cls!r}{did_you_mean(target.cls, names)}")
    if not isinstance(value, type) or not issubclass(value, BaseRecipe):
        raise BadRecipe(f"{target.cls} in {target.path} is no recipe: it does not derive from BaseRecipe")
    why = _why_not(value)
    if why:
        raise BadRecipe(f"{target.cls} in {target.path} cannot be run: {why}")
    return value


def _receiver(target: Target, classes: Sequence[type[BaseRecipe]]) -> type[BaseRecipe]:
    """The class that parameters are for: the one that bears the file's name, else the only one."""
    if len(classes) == 1:
        return classes[0]
    stem = Path(target.path).stem
    for cls in classes:
        if cls.__name__ == stem:
            return cls
    names = ", ".join(cls.__name__ for cls in classes)
    raise BadRecipe(
        f"{target.path} has several recipe classes ({names}), and none bears the file's name, so it is not clear which "
        f"one the parameters are for; say {target.path}:{classes[0].__name__}, for example"
    )
