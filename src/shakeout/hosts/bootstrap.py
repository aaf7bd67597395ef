"""What runs first on a host that is reached via ssh: has the bundle that the agent is in, and goes on there.

Its text is sent to the host's Python, and run by it: the standard library is all there is. Standard input and output
lead to the controller. Each answer is a line of its own that begins with a mark which the controller made up; what the
host's login shell printed before has no such line.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

#: Bundles that stay besides the one in use: of controllers with another release, say.
KEPT = 3
#: What a bundle's files may amount to, unpacked.
LARGEST = 64 << 20
#: The file that is locked, in a bundle by those who use it. Others can read what else is there, but not this one: who
#: can open a file can lock it.
LOCK = ".lock"
#: Bytes of the line before a bundle: its hash, its length, a line feed.
HEAD_SIZE = 64 + 1 + 12 + 1


def platform_tag() -> tuple[str, str, str]:
    """What a compiled module must fit here: Python, machine, C library with its version (musl says none)."""
    flags = getattr(sys, "abiflags", "")
    bits = "" if sys.maxsize > 2**32 else "-32bit"
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or "musl"
    except (OSError, ValueError):
        libc = "musl"
    return f"{sys.implementation.cache_tag}{flags}", os.uname().machine + bits, libc.replace(" ", "-")


def suits(made_for: Sequence[str], here: Sequence[str]) -> bool:
    """Whether what was made for one platform tag runs on another: the C library may be newer."""
    wanted, _, least = made_for[2].partition("-")
    found, _, version = here[2].partition("-")
    return tuple(made_for[:2]) == tuple(here[:2]) and wanted == found and _numbers(least) <= _numbers(version)


def begin(mark: str, known: Sequence[tuple[str, str, str, str]]) -> None:
    """Be the host's end of a connection.

    Args:
        mark: begins every answer.
        known: bundles that the controller has: a platform tag and the hash of each.
    """

    def say(*words: str) -> None:
        os.write(1, f"\n{mark} {' '.join(words)}\n".encode(errors="replace"))

    here = platform_tag()
    try:
        folder = _cache_folder()
        held = next((path for *tag, sha in known if suits(tag, here) and (path := _held(folder, sha))), "")
        if not held:
            say("need", *here, sys.executable or "python3")
            held = _receive(folder)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _refuse(say, f"{where}{error.strerror or error}")
    except ValueError as error:
        _refuse(say, str(error))
    import importlib

    sys.path.insert(0, held)
    try:
        doorway = importlib.import_module("shakeout.agent.doorway")
    except Exception as error:  # noqa: BLE001 - files that a crash of the machine has cut short may hold anything
        import shutil

        shutil.rmtree(held, ignore_errors=True)
        _refuse(say, f"{held} is damaged ({error}) and has been removed; connect again")
    doorway.enter(lambda: say("ready"), sys.argv[5])


def _refuse(say: object, text: str) -> NoReturn:
    assert callable(say)
    say("error", text)
    sys.exit(1)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _cache_folder() -> str:
    """``shakeout`` in the user's cache folder, made if need be; nobody else can write to it.

    That of root is the system's: test modules that run as other users have to read it, too.
    """
    base = os.environ.get("XDG_CACHE_HOME") or ""
    if not base.startswith("/"):
        import pwd

        home = pwd.getpwuid(os.geteuid()).pw_dir
        base = "/var/cache" if os.geteuid() == 0 else f"{home}/.cache"
    folder = os.path.join(base, "shakeout")  # noqa: PTH118 - pathlib costs milliseconds
    os.makedirs(folder, 0o755, exist_ok=True)  # noqa: PTH103
    found = os.stat(folder)  # noqa: PTH116
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ValueError(f"{folder} belongs to, or can be written by, another user: no code is run from there")
    return folder


def _held(folder: str, sha: str) -> str:
    """The folder of a bundle, "" if it is not here; as long as this process lives it is not removed."""
    path = os.path.join(folder, sha)  # noqa: PTH118
    lock = f"{path}/{LOCK}"
    try:
        fd = os.open(lock, os.O_RDWR)
    except OSError:
        return ""
    _lock(fd, fcntl.LOCK_SH)
    try:
        still = os.path.samestat(os.fstat(fd), os.stat(lock))  # noqa: PTH116
    except OSError:
        still = False
    if not still:
        os.close(fd)
        return ""
    os.utime(path)
    return path


def _lock(fd: int, how: int) -> None:
    """Lock, where that can be done: not every network file system can."""
    try:
        fcntl.flock(fd, how)
    except OSError:
        pass


def _receive(folder: str) -> str:
    """Take a bundle from the controller, and unpack it; its folder."""
    import hashlib
    import zlib

    head = _read(HEAD_SIZE).decode("ascii", "replace").split()
    if len(head) != 2 or not head[1].isdigit() or len(head[0]) != 64 or not head[0].isalnum():
        raise ValueError("what came was not the head of a bundle")
    unpacker = zlib.decompressobj(31)
    data = unpacker.decompress(_read(int(head[1])), LARGEST)
    if not unpacker.eof or hashlib.sha256(data).hexdigest() != head[0]:
        raise ValueError("the bundle arrived damaged")
    _unpack(folder, head[0], data)
    path = _held(folder, head[0])
    _prune(folder, head[0])
    return path


def _read(size: int) -> bytes:
    pieces = []
    while size:
        piece = os.read(0, min(size, 1 << 20))
        if not piece:
            sys.exit(1)  # the controller is gone
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _unpack(folder: str, sha: str, data: bytes) -> None:
    import io
    import shutil
    import tarfile
    import tempfile

    place = tempfile.mkdtemp(prefix=".new-", dir=folder)
    before = os.umask(0o022)
    try:
        os.chmod(place, 0o755)  # noqa: PTH101
        lock = os.open(f"{place}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _lock(lock, fcntl.LOCK_SH)  # as long as this process lives
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                parts = member.name.split("/")
                content = archive.extractfile(member)
                if content is None or not member.isreg() or not all(parts) or ".." in parts:
                    raise ValueError(f"the bundle has {member.name!r}, which is no file that belongs there")
                path = os.path.join(place, *parts)  # noqa: PTH118
                os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)  # noqa: PTH103, PTH120
                with open(path, "xb") as file:  # noqa: PTH123
                    file.write(content.read())
        try:
            os.rename(place, os.path.join(folder, sha))  # noqa: PTH104, PTH118
        except OSError:
            if not _held(folder, sha):  # nobody else has brought it meanwhile: it is what is left of one
                shutil.rmtree(os.path.join(folder, sha))  # noqa: PTH118
                os.rename(place, os.path.join(folder, sha))  # noqa: PTH104, PTH118
    finally:
        os.umask(before)
        shutil.rmtree(place, ignore_errors=True)


def _prune(folder: str, used: str) -> None:
    """Remove bundles that nobody has used for long, and what killed uploads have left; not what is in use."""
    import shutil

    found = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False) and entry.name != used]
    bundles = [entry for entry in found if len(entry.name) == 64]
    bundles.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime, reverse=True)
    for entry in [*bundles[KEPT:], *(entry for entry in found if entry.name.startswith(".new-"))]:
        try:
            fd = os.open(f"{entry.path}/{LOCK}", os.O_RDWR)
        except FileNotFoundError:
            shutil.rmtree(entry.path, ignore_errors=True)  # it never was whole
            continue
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(entry.path, ignore_errors=True)
        except OSError:
            pass  # an agent runs from it; or locks are unknown here, and nobody knows
        finally:
            os.close(fd)
