"""Packages for other Pythons and machines than this one, fetched by uv; and what C library a compiled one needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from shakeout.errors import AgentUnreachable, UsageError

#: Machines as the kernel names them, which uv knows by the same name.
_MACHINES = ("x86_64", "aarch64")
#: Versions of glibc that uv knows platforms for; older ones serve newer hosts.
_GLIBC = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
_PYTHON = re.compile(r"cpython-(3)(\d{1,3})")
_OLD_NAMES = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}
#: Seconds that fetching may take.
_PATIENCE = 120.0


def fetch(requirement: str, here: tuple[str, str, str], folder: Path) -> Path:
    """Have uv unpack a package for the hosts *here* (a platform tag) into *folder*; that folder.

    Raises:
        UsageError: uv is not there.
        AgentUnreachable: there is no such package for these hosts.
    """
    python, machine, libc = here
    version = _PYTHON.fullmatch(python)
    platform = _platform(machine, libc)
    kind = f"{python} on {machine} with {libc}"
    if version is None or not platform:
        raise AgentUnreachable(
            f"its Python is {kind}, for which nothing can be sent there: CPython 3.11 or later on "
            f"{' or '.join(_MACHINES)} is accepted; another interpreter there can be named with python: in its file"
        )
    argv = [
        _uv(kind), "pip", "install", "--quiet", "--target", str(folder), "--python", sys.executable,
        "--python-version", f"{version[1]}.{version[2]}", "--python-platform", platform,
        "--only-binary", ":all:", "--no-deps", requirement,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE, check=False,
            start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise AgentUnreachable(f"uv did not get {requirement} for {kind} within {_PATIENCE:g} s") from error
    except OSError as error:
        raise UsageError(f"{argv[0]} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"it ended with status {done.returncode}"
        raise AgentUnreachable(f"uv could not get {requirement} for its Python, {kind}: {said}")
    return folder


def least_libc(folder: Path, found: str) -> str:
    """The C library that the msgspec installed in *folder* needs, as in a platform tag; if it does not say: *found*."""
    versions = []
    for wheel in folder.glob("msgspec-*.dist-info/WHEEL"):
        for line in wheel.read_text().splitlines():
            if line.startswith("Tag: "):
                for name in line.rpartition("-")[2].split("."):
                    match = re.match(r"manylinux_(\d+)_(\d+)_", name)
                    old = _OLD_NAMES.get(name.partition("_")[0])
                    if match or old:
                        versions.append(f"{match[1]}.{match[2]}" if match else str(old))
    if not versions or not found.startswith("glibc"):
        return found
    return "glibc-" + min(versions, key=lambda version: [int(part) for part in version.split(".")])


def _platform(machine: str, libc: str) -> str:
    """uv's name for a platform; "" if it has none."""
    if machine not in _MACHINES:
        return ""
    if libc == "musl":
        return f"{machine}-unknown-linux-musl"
    match = re.fullmatch(r"glibc-2\.(\d{1,4})(\.\d+)*", libc)
    fitting = [number for number in _GLIBC if match is not None and number <= int(match[1])]
    return f"{machine}-manylinux_2_{fitting[-1]}" if fitting else ""


def find_uv() -> str | None:
    """Where uv is; None if it is not there."""
    beside = Path(sys.executable).with_name("uv")
    return shutil.which("uv") or (str(beside) if os.access(beside, os.X_OK) else None)


def _uv(kind: str) -> str:
    found = find_uv()
    if found is None:
        raise UsageError(
            f"a host's Python is {kind}, which this installation has no msgspec for, and uv, which would fetch it, is "
            "not there: install it here with pip install 'shakeout[ssh]', or in any other way that puts uv into PATH"
        )
    return found
