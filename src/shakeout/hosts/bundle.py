"""Bundles: what an agent needs, as one archive for one kind of host; made here once, and sent to hosts via ssh.

In it are this release of shakeout as it is installed here, pyroute2 and msgspec. Only msgspec has a compiled part: it
is this installation's own where the host's Python, machine and C library agree, and otherwise fetched by uv.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

import msgspec

import shakeout
from shakeout.errors import AgentUnreachable, UsageError
from shakeout.files.placing import place
from shakeout.hosts.bootstrap import platform_tag, suits
from shakeout.hosts.wheels import fetch, least_libc

#: A Python with its version and build, a machine, a C library with the oldest version that will do.
Tag = tuple[str, str, str]

#: What of shakeout no host needs.
_STAYS = frozenset(("cli", "service", "suites", "testing"))
#: Archives that stay here: those of two releases for some kinds of hosts.
_KEPT = 12
_SUFFIX = ".tar.gz"
_making = threading.Lock()


class Bundle(msgspec.Struct, frozen=True):
    """An archive.

    Attributes:
        tag: the hosts that it is for.
        sha256: of what is in the archive, uncompressed: the same wherever it was made from the same files.
    """

    tag: Tag
    sha256: str
    path: Path

    def data(self) -> bytes:
        """The archive, checked.

        Raises:
            OSError, ValueError: it is not there any more, or damaged.
        """
        data = self.path.read_bytes()
        try:
            whole = zlib.decompress(data, 31)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if hashlib.sha256(whole).hexdigest() != self.sha256:
            raise ValueError("its content does not have the hash that its name says")
        return data


class Bundles:
    """The bundles of what is installed here.

    Args:
        cache: where they are kept; made if need be.
    """

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "bundles"

    def known(self) -> list[Bundle]:
        """Those that have been made.

        Raises:
            UsageError: somebody else could have made them.
        """
        self._check()
        prefix = fingerprint()
        found = []
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self._folder)):  # noqa: PTH208
                words = name.removesuffix(_SUFFIX).split(",")
                if name.endswith(_SUFFIX) and len(words) == 5 and words[0] == prefix:
                    found.append(Bundle((words[1], words[2], words[3]), words[4], self._folder / name))
        return found

    def ready_for(self, here: Tag) -> tuple[Bundle, bytes]:
        """One for hosts of the kind *here*, with its content; made if need be.

        Raises:
            AgentUnreachable: there is no msgspec for such hosts.
            UsageError: the cache cannot be written, or uv is missing.
        """
        with _making:  # several hosts of one kind: made once
            for bundle in self.known():
                if suits(bundle.tag, here):
                    try:
                        return bundle, bundle.data()
                    except (OSError, ValueError):
                        bundle.path.unlink(missing_ok=True)
            own = own_tag()
            if suits(own, here):
                return self._make(own, _package("msgspec"))
            with tempfile.TemporaryDirectory(prefix="shakeout-wheels-") as folder:
                msgspec_there = fetch(f"msgspec=={metadata.version('msgspec')}", here, Path(folder)) / "msgspec"
                return self._make((here[0], here[1], least_libc(Path(folder), here[2])), msgspec_there)

    def _check(self) -> None:
        """What is there is executed on hosts, often by root: so it must be this user's alone.

        Raises:
            UsageError: somebody else could have put it there.
        """
        try:
            found = self._folder.stat()
        except OSError:
            return
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise UsageError(
                f"{self._folder}, where what is sent to hosts via ssh is kept, belongs to, or can be written by, "
                "another user: nothing is taken from there; chmod go-w it, or give another folder with the setting "
                "cache, or SHAKEOUT_CACHE"
            )

    def _make(self, tag: Tag, msgspec_there: Path) -> tuple[Bundle, bytes]:
        whole = _archive(msgspec_there)
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        data = packer.compress(whole) + packer.flush()
        sha = hashlib.sha256(whole).hexdigest()
        path = self._folder / (",".join((fingerprint(), *tag, sha)) + _SUFFIX)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place(path, data, 0o600, sync=False)
            self._prune()
        except OSError as error:
            raise UsageError(
                f"{self._folder}, where what is sent to hosts via ssh is kept, cannot be written ({error.strerror}); "
                "give another folder with the setting cache, or SHAKEOUT_CACHE"
            ) from error
        return Bundle(tag, sha, path), data

    def _prune(self) -> None:
        archives = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in archives[_KEPT:]:
            path.unlink(missing_ok=True)


def fingerprint() -> str:
    """What tells this installation from another or later one, without reading its files."""
    digest = hashlib.sha256(shakeout.__version__.encode())
    for name, path in _sources(Path(shakeout.__file__).parent, "shakeout", _STAYS):
        found = path.stat()
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    for package in ("msgspec", "pyroute2"):
        init = _package(package) / "__init__.py"
        found = init.stat()
        digest.update(f"{init} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def own_tag() -> Tag:
    """The hosts that this installation's own msgspec can run on."""
    python, machine, libc = platform_tag()
    return python, machine, least_libc(_package("msgspec").parent, libc)


def _package(name: str) -> Path:
    found = util.find_spec(name)
    if found is None or found.origin is None:
        raise AgentUnreachable(f"{name} is not installed here as files, so that it cannot be sent to a host")
    return Path(found.origin).parent


def _sources(folder: Path, name: str, without: frozenset[str] = frozenset()) -> Iterator[tuple[str, Path]]:
    """What of a package is sent, by its name in the archive, in an order that is always the same."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in without or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _sources(Path(entry.path), f"{name}/{entry.name}")
        elif entry.name.endswith((".py", ".so")):
            yield f"{name}/{entry.name}", Path(entry.path)


def _archive(msgspec_there: Path) -> bytes:
    """A tar archive that is the same whenever it is made from the same files."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for package, folder, without in (
            ("msgspec", msgspec_there, frozenset[str]()),
            ("pyroute2", _package("pyroute2"), frozenset[str]()),
            ("shakeout", Path(shakeout.__file__).parent, _STAYS),
        ):
            for name, path in _sources(folder, package, without):
                data = path.read_bytes()
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return result.getvalue()
