"""The links that have services started at boot: read before a change, and made again exactly as they were.

systemd, sysvinit scripts and what stands between the two all keep "enabled" as symbolic links. Undoing `enable` with
`disable` would not do: that also takes links that somebody else had made, and those of units that go along.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeAlias

#: Path and target of each.
Links: TypeAlias = tuple[tuple[str, str], ...]

#: Where systemd's links are, and the folders in these whose links count, too.
_UNITS = ("/etc/systemd/system", "/run/systemd/system")
_NEEDS = (".wants", ".requires", ".upholds")
#: Where the links of sysvinit scripts are: rc0.d to rc6.d and rcS.d.
_SCRIPTS = ("/etc", "/etc/rc.d")
_LEVEL = re.compile(r"rc[0-6S]\.d\Z")
_SCRIPT = re.compile(r"[SK]\d\d(.+)\Z")
#: A unit file names what is enabled along with it, and what else it is called.
_ALONG = re.compile(r"^\s*(?:Also|Alias)\s*=\s*(.*)$", re.MULTILINE)
#: Unit files are short; what is longer is none.
_LONGEST = 1 << 20


def links_of(names: Iterable[str], root: str = "") -> Links:
    """All boot links that lead to services of these *names*, or are called like them.

    Args:
        root: where the host's file systems are; "" for its own.
    """
    wanted = frozenset(names)
    scripts = frozenset(name.removesuffix(".service") for name in wanted)
    found = []
    for folder in _folders(root):
        for name in _listed(folder):
            path = f"{folder}/{name}"
            try:
                target = os.readlink(path)  # noqa: PTH115
            except OSError:
                continue
            script = _SCRIPT.match(name) if _LEVEL.search(folder) else None
            if (script and script[1] in scripts) or {name, os.path.basename(target)} & wanted:  # noqa: PTH119
                found.append((path, target))
    return tuple(sorted(found))


def restore_links(names: Iterable[str], links: Links, root: str = "") -> bool:
    """Have exactly *links* as the boot links of *names*; whether anything had to be done.

    Raises:
        OSError: it could not be.
    """
    current, wanted = dict(links_of(names, root)), dict(links)
    for path in current.keys() - wanted.keys():
        os.unlink(path)  # noqa: PTH108
        if path.rpartition("/")[0].endswith(_NEEDS):
            with suppress(OSError):  # others are in it
                os.rmdir(os.path.dirname(path))  # noqa: PTH106, PTH120
    changed = {path: target for path, target in wanted.items() if current.get(path) != target}
    for path, target in changed.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        beside = f"{path}.shakeout-undo"
        with suppress(FileNotFoundError):
            os.unlink(beside)  # noqa: PTH108
        os.symlink(target, beside)  # noqa: PTH211
        os.replace(beside, path)  # noqa: PTH105
    return bool(changed) or bool(current.keys() - wanted.keys())


def named_along(paths: Iterable[str]) -> frozenset[str]:
    """The units that these unit files (and those of the units that they name) have enabled with them."""
    found: set[str] = set()
    waiting = list(paths)
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if not path or path in seen:
            continue
        seen.add(path)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                text = file.read(_LONGEST)
        except OSError:
            continue
        for names in _ALONG.findall(text):
            for name in names.split():
                if "/" not in name and "%" not in name:
                    found.add(name)
                    waiting.append(os.path.join(os.path.dirname(path), name))  # noqa: PTH118, PTH120
    return frozenset(found)


def _folders(root: str) -> Iterator[str]:
    for top in _UNITS:
        yield root + top
        yield from (f"{root}{top}/{name}" for name in _listed(root + top) if name.endswith(_NEEDS))
    for top in _SCRIPTS:
        if not os.path.islink(f"{root}{top}"):  # noqa: PTH114
            yield from (
                f"{root}{top}/{name}"
                for name in _listed(root + top)
                if _LEVEL.match(name) and not os.path.islink(f"{root}{top}/{name}")  # noqa: PTH114
            )


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []
