"""Files below /proc and /sys that a recipe sets: read, written, put back at the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from shakeout.agent.rights import without_rights
from shakeout.errors import LabLacks, ShakeoutError, UsageError

#: A sysctl's text is short; what is longer is no setting.
_MOST = 64 << 10


def locate(path: str) -> str:
    """The absolute path of a setting.

    Raises:
        UsageError: it is not below /proc or /sys (links are followed: `/proc/1/root/etc/passwd` is not).
    """
    full = os.path.normpath(path)
    if "\0" in path:
        raise UsageError(f"{path!r} is no path: it contains a NUL character")
    if not full.startswith(("/proc/", "/sys/")):
        raise UsageError(f"{path} is not below /proc or /sys; write other files with send_file() or run()")
    top = full[: full.index("/", 1) + 1]
    real = os.path.realpath(full)
    if not real.startswith(top):
        raise UsageError(f"{path} leads to {real}, which is not below {top}")
    return full


def read(path: str) -> bytes:
    """What a setting says now.

    Raises:
        UsageError: there is no such setting on this host.
    """
    try:
        # Some files there keep a reader waiting until something happens (/proc/kmsg).
        fd = os.open(locate(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            text = b""
            while len(text) < _MOST and (piece := os.read(fd, _MOST)):
                text += piece
            return text
        finally:
            os.close(fd)
    except OSError as error:
        raise _explain(path, error) from error


def write(path: str, value: bytes, before: Callable[[], None]) -> None:
    """Set it.

    Args:
        before: called when it is known that it can be written, just before it is: writes down the undo.

    Raises:
        LabLacks: it belongs to the whole machine, not to this host.
        ShakeoutError: the kernel refused the value.
    """
    try:
        fd = os.open(locate(path), os.O_WRONLY | os.O_CLOEXEC)
        try:
            before()
            os.write(fd, value or b"\n")  # the kernel is not told of a write of nothing
        finally:
            os.close(fd)
    except OSError as error:
        raise _explain(path, error, value) from error


def _explain(path: str, error: OSError, value: bytes | None = None) -> ShakeoutError:
    forbidden = error.errno in (errno.EACCES, errno.EPERM) and path.startswith("/proc/sys/") and os.geteuid() == 0
    if error.errno == errno.EROFS or (value is not None and forbidden):
        return LabLacks(
            f"{path} belongs to the whole machine, not to this host, so this laboratory cannot set it; "
            "--lab uml and --lab qemu have a kernel of their own for each host"
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return UsageError(f"there is no {path} on this host; if another kernel has it, --lab uml or --lab qemu may")
    if value is not None and error.errno in (errno.EINVAL, errno.ERANGE):
        text = value.decode(errors="replace").strip()
        return UsageError(f"{path} does not accept {text!r}: {os.strerror(error.errno)}")
    if value is None and error.errno in (errno.EACCES, errno.EPERM, errno.EIO, errno.EAGAIN, errno.EINVAL):
        return UsageError(
            f"{path} cannot be read ({error.strerror}), so it could not be put back either; write it with run() if "
            "you mean to"
        )
    return UsageError(f"{path}: {error.strerror}{without_rights(error.errno)}")
