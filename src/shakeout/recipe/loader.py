"""From a file to its recipe classes."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import msgspec

from shakeout.errors import BadRecipe, ShakeoutError, did_you_mean
from shakeout.params import from_cli
from shakeout.recipe.base import BaseRecipe


class Target(msgspec.Struct, frozen=True):
    """What a command line names: a file, and perhaps one class in it."""

    path: str
    cls: str = ""


def parse_target(text: str) -> Target:
    """``my.py`` or ``my.py:Class``."""
    path, colon, cls = text.rpartition(":")
    if colon and cls.isidentifier() and path:
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
    found = [cls for cls in _classes(module) if cls.__module__ == module.__name__]
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
        BadRecipe: it is not clear which class they are for.
        BadParameters: names or values that are not accepted, or mandatory ones that are missing.
    """
    if not arguments:
        return [cls() for cls in classes]
    cls = _receiver(target, classes)
    return [cls(**from_cli(cls, arguments, base=BaseRecipe))]


def load_file(path: str) -> ModuleType:
    """Import a recipe file, once; its folder is on the import path meanwhile.

    Raises:
        BadRecipe: it is not there, no Python, or ended with an exception; the message says where.
    """
    file = Path(path)
    if not file.exists():
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
    folder = str(file.parent)
    sys.path.insert(0, folder)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _explain(path, file, error) from error
    finally:
        # Later imports (inside functions) still find the files beside it, but after all that is installed.
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
    return module


def _loader(name: str, file: Path) -> importlib.abc.Loader:
    from importlib.machinery import SourceFileLoader

    return SourceFileLoader(name, str(file))


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
    text = str(error) if isinstance(error, ShakeoutError) else f"{type(error).__name__}: {error}"
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = f"; install {error.name!r} where shakeout runs, or put it beside the recipe"
    return BadRecipe(f"{path}:{number}: {text}{hint}")


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
