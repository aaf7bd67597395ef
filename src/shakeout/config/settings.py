"""The settings of one command: configuration files, then the environment, then flags."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shakeout.errors import did_you_mean

from .documents import load, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_NAME = "shakeout.toml"
_PREFIX = "SHAKEOUT_"
_LABS = ("netns", "uml", "qemu", "auto")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)(?:i?B)?")
_SCALE = {"": 1, "k": 2**10, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a command goes by; read once, then passed on. All paths are absolute.

    Attributes:
        runs_dir: folder of the runs.
        pools: folder of each pool by name.
        plugin_path: folders with plugins, searched in this order.
        artifact_limit: most bytes of one artifact.
        lab: where hosts come from: "netns", "uml", "qemu" or "auto".
        timeout: seconds that each recipe may take; None: no limit.
        certs: folder with this user's certificate, key and the laboratory's CA, for hosts via tls.
        ssh: the command that logs in to hosts via ssh, and its first arguments.
        cache: folder for what can be made again.
        baselines_dir: folder of what measured values are compared with.
        origins: where each setting that is no default comes from (file:line, "SHAKEOUT_LAB", "--lab").
    """

    runs_dir: Path
    pools: dict[str, Path] = {}
    plugin_path: tuple[Path, ...] = ()
    artifact_limit: int = 2**30
    lab: str = "netns"
    timeout: float | None = None
    certs: Path = Path()
    ssh: tuple[str, ...] = ("ssh",)
    cache: Path = Path()
    baselines_dir: Path = Path()
    origins: dict[str, str] = {}


def load_settings(
    cwd: Path, env: Mapping[str, str], flags: Mapping[str, object] | None = None, *, file: Path | None = None
) -> Settings:
    """The settings of a command started in *cwd*; depends on nothing but its arguments and the files.

    In rising order: defaults, ``shakeout.toml`` of the user's configuration directory, ``shakeout.toml`` of
    the project (the nearest at or above *cwd*), ``SHAKEOUT_…`` variables, *flags*. A later ``pools`` adds to
    the earlier ones, all others replace. An unknown variable is an error only if it is a misspelt setting,
    since others may have theirs with that prefix.

    Args:
        flags: settings by name, as text or as the value itself; None stands for "not given".
        file: a configuration file to read in place of the user's and the project's.

    Raises:
        BadDocument: everything that is unknown or not accepted, with its place.
    """
    home = _home(env)
    user_folder = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    state = Path(env.get("XDG_STATE_HOME") or home / ".local/state")
    defaults = {
        "runs_dir": state / "shakeout/runs",
        "baselines_dir": state / "shakeout/baselines",
        "certs": user_folder / "shakeout/certs",
        "cache": Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "shakeout",
    }
    sources = _Sources(home, defaults)
    files = [file] if file else _files(cwd, user_folder)
    for found in files:
        document = load(found)
        for name, given in document.data.items():
            sources.take(name, given, f"{found}:{document.place((name,))}", found.parent)
    for name, text in _variables(env, sources.problems):
        sources.take(name, _split(name, text), f"{_PREFIX}{name.upper()}", cwd)
    for name, given in (flags or {}).items():
        if given is not None:
            sources.take(name, _split(name, given), _OPTIONS.get(name, "--" + name.replace("_", "-")), cwd)
    refuse(sources.problems)
    return Settings(**sources.values, origins=sources.origins)


class _Sources:
    """Settings as they are gathered, with all that is wrong in them."""

    def __init__(self, home: Path, values: dict[str, Any]) -> None:
        self.home = home
        self.values = values
        self.origins: dict[str, str] = {}
        self.problems: list[str] = []

    def take(self, name: str, given: object, where: str, folder: Path) -> None:
        """Note setting *name*, found at *where*; its relative paths start in *folder*."""
        reader = _READERS.get(name)
        if reader is None:
            self.problems.append(f"{where}: {name!r} is no setting{did_you_mean(name, _READERS)}")
            return
        read, accepted = reader
        try:
            value = read(given, lambda path: _located(path, folder, self.home))
        except (ValueError, TypeError):
            self.problems.append(f"{where}: {name} = {given!r} is not accepted; expected {accepted}")
            return
        self.values[name] = {**self.values.get(name, {}), **value} if name == "pools" else value
        self.origins[name] = where


def _files(cwd: Path, user_folder: Path) -> list[Path]:
    """The configuration files that exist, the user's first."""
    user = user_folder / "shakeout" / FILE_NAME
    project = next((p / FILE_NAME for p in (cwd, *cwd.parents) if (p / FILE_NAME).is_file()), None)
    found = [user] if user.is_file() else []
    return found + ([project] if project and project not in found else [])


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or Path("~").expanduser())


def _variables(env: Mapping[str, str], problems: list[str]) -> list[tuple[str, str]]:
    found = []
    for variable in sorted(env):
        name = variable.removeprefix(_PREFIX).lower()
        if not variable.startswith(_PREFIX):
            continue
        if name in _READERS:
            found.append((name, env[variable]))
        elif (near := did_you_mean(name, _READERS)).startswith(" (did"):
            problems.append(f"{variable}: {name!r} is no setting{near}")
    return found


def _split(name: str, given: object) -> object:
    """A setting of several parts from one text: folders divided by ":", pools as name=folder."""
    if not isinstance(given, str) or name not in ("plugin_path", "pools"):
        return given
    parts = [part for part in given.split(os.pathsep) if part]
    if name == "plugin_path":
        return parts
    pairs = [part.partition("=") for part in parts]
    return given if any(not equals for _, equals, _ in pairs) else {key: value for key, _, value in pairs}


def _located(path: object, folder: Path, home: Path) -> Path:
    """*path* made absolute: relative to *folder*, "~" being *home*."""
    if not isinstance(path, (str, Path)) or not str(path) or "\0" in str(path):
        raise ValueError
    text = str(path)
    if text == "~" or text.startswith("~/"):
        text = f"{home}{text[1:]}"
    return Path(os.path.normpath(folder / text))


def _size(given: object, _: object) -> int:
    if isinstance(given, str):
        match = _SIZE.fullmatch(given.strip())
        if match is None:
            raise ValueError
        given = int(float(match[1]) * _SCALE[match[2]])
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise ValueError
    return given


def _pools(given: object, located: Callable[[object], Path]) -> dict[str, Path]:
    if not isinstance(given, dict):
        raise TypeError
    return {str(name): located(folder) for name, folder in given.items()}


def _folders(given: object, located: Callable[[object], Path]) -> tuple[Path, ...]:
    if not isinstance(given, (list, tuple)):
        raise TypeError
    return tuple(located(folder) for folder in given)


def _lab(given: object, _: object) -> str:
    if given not in _LABS:
        raise ValueError
    return str(given)


def _timeout(given: object, _: object) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        raise TypeError
    seconds = float(given)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


def _command(given: object, _: object) -> tuple[str, ...]:
    words = shlex.split(given) if isinstance(given, str) else given
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError
    return tuple(words)


#: Settings whose option of the command line has another name.
_OPTIONS = {"runs_dir": "--out"}

#: setting -> (how it is read, what is accepted)
_READERS: dict[str, tuple[Callable[[object, Callable[[object], Path]], Any], str]] = {
    "runs_dir": (lambda given, located: located(given), "a folder"),
    "pools": (_pools, "folders by name of the pool (as variable: name=folder:name=folder)"),
    "plugin_path": (_folders, "a list of folders (as variable: folder:folder)"),
    "artifact_limit": (_size, "a number of bytes, as 1000000 or '1G'"),
    "lab": (_lab, "one of " + ", ".join(repr(lab) for lab in _LABS)),
    "timeout": (_timeout, "a number of seconds above 0"),
    "certs": (lambda given, located: located(given), "a folder"),
    "ssh": (_command, 'a command with its first arguments, as \'ssh -F lab.conf\' or ["ssh", "-F", "lab.conf"]'),
    "cache": (lambda given, located: located(given), "a folder"),
    "baselines_dir": (lambda given, located: located(given), "a folder"),
}
