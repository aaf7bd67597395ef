"""Restoring sysctls, files and services, and writing down beforehand what they were."""

from __future__ import annotations

import errno
import os
import stat
from typing import Literal

from shakeout.devices.namespaces import inside_named
from shakeout.errors import UndoFailed
from shakeout.wire.undo import Argv, FileRestore, ServiceSet, SysctlSet

_ALREADY = "already so"


def restore(entry: SysctlSet | FileRestore | ServiceSet | Argv) -> str:
    """Do what *entry* says; return what was done.

    Raises:
        OSError, ShakeoutError: it could not be done.
    """
    if isinstance(entry, SysctlSet):
        return _sysctl_set(entry)
    if isinstance(entry, FileRestore):
        return _file_restore(entry)
    if isinstance(entry, ServiceSet):
        from shakeout.agent.initsystem import restore_service

        return restore_service(entry)
    run(entry.argv, timeout=entry.timeout, cwd=entry.cwd)
    return f"{entry.argv[0]}: done"


def file_entry(path: str, backups: str) -> FileRestore:
    """The entry that undoes whatever is going to be done to *path*.

    A file's content is copied to a new file in the folder *backups* (and is on disk when this
    returns); append the entry to the log before touching *path*.

    Raises:
        OSError: *path* cannot be read, or *backups* not be written.
    """
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return FileRestore(path=path, was="absent")
    was: Literal["file", "symlink", "directory"] = "file"
    target = backup = ""
    if stat.S_ISLNK(found.st_mode):
        was, target = "symlink", os.readlink(path)  # noqa: PTH115
    elif stat.S_ISDIR(found.st_mode):
        was = "directory"
    elif stat.S_ISREG(found.st_mode):
        backup, found = _back_up(path, backups)
    else:
        raise OSError(errno.EINVAL, "neither a file, a folder nor a link: it cannot be put back", path)
    return FileRestore(
        path=path,
        was=was,
        target=target,
        backup=backup,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        mtime_ns=found.st_mtime_ns,
    )


def run(argv: tuple[str, ...], *, timeout: float = 60.0, cwd: str = "/") -> None:
    """Run a command without a shell.

    Raises:
        UndoFailed: it is not there, did not end in *timeout* seconds, or its exit status is not 0.
    """
    import signal
    import subprocess

    pipe = subprocess.PIPE
    line = " ".join(argv)
    try:
        # a session of its own, so that what it starts can be killed with it
        process = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise UndoFailed(f"`{line}` cannot be run: {error}") from error
    with process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise UndoFailed(f"`{line}` did not end within {timeout:g} s, and was killed") from None
    if process.returncode != 0:
        words = output.decode(errors="replace").strip()
        raise UndoFailed(f"`{line}` ended with status {process.returncode}: {words[-500:]}")


def _sysctl_set(entry: SysctlSet) -> str:
    value = chosen(entry.value)
    try:
        with inside_named(entry.netns):
            with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 - what was refused cannot be opened to write
                if chosen(file.read()) == value:
                    return f"{entry.path}: {_ALREADY}"
            with open(entry.path, "r+b", buffering=0) as file:  # noqa: PTH123
                file.write(value or b"\n")  # the kernel is not told of a write of nothing
    except FileNotFoundError:
        # its device or namespace is gone, and with it the value
        return f"{entry.path}: gone, {_ALREADY}"
    return f"{entry.path}: {value.decode(errors='replace').strip()!r} written"


def _file_restore(entry: FileRestore) -> str:
    if entry.was == "absent":
        return f"{entry.path}: {'removed' if _remove(entry.path) else _ALREADY}"
    if entry.was == "directory":
        if not os.path.isdir(entry.path) or os.path.islink(entry.path):  # noqa: PTH112, PTH114
            _remove(entry.path)
            os.makedirs(entry.path)  # noqa: PTH103
        os.chown(entry.path, entry.uid, entry.gid)
        os.chmod(entry.path, entry.mode)  # noqa: PTH101
        os.utime(entry.path, ns=(entry.mtime_ns, entry.mtime_ns))
        return f"{entry.path}: directory restored"
    if os.path.isdir(entry.path) and not os.path.islink(entry.path):  # noqa: PTH112, PTH114
        _remove(entry.path)
    # made beside it and renamed over it, so that it is never half there
    beside = f"{entry.path}.shakeout-undo"
    _remove(beside)
    if entry.was == "symlink":
        os.symlink(entry.target, beside)  # noqa: PTH211
        os.chown(beside, entry.uid, entry.gid, follow_symlinks=False)
    else:
        os.makedirs(os.path.dirname(entry.path) or "/", exist_ok=True)  # noqa: PTH103, PTH120
        _copy_to(beside, entry)
    os.utime(beside, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
    os.replace(beside, entry.path)  # noqa: PTH105
    return f"{entry.path}: {entry.was} restored"


def _copy_to(beside: str, entry: FileRestore) -> None:
    """Make *beside* as the file of *entry* was. Others may write to its folder: no link of theirs is followed, and
    nobody can read, before it has its owner, what may be secret."""
    import shutil

    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as copy, open(entry.backup, "rb") as backup:  # noqa: PTH123
        shutil.copyfileobj(backup, copy)
        copy.flush()
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)


def _back_up(path: str, folder: str) -> tuple[str, os.stat_result]:
    """Copy a file; where to, and what it was when it was read: whoever owns its folder may put another there."""
    import shutil
    import tempfile

    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
    # 0600 and a new name: what is backed up may be secret
    fd, backup = tempfile.mkstemp(prefix="undo-", dir=folder)
    with open(fd, "wb") as copy:  # noqa: PTH123
        original = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(original, "rb") as content:  # noqa: PTH123
            found = os.fstat(original)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it was a file a moment ago, and is none now", path)
            shutil.copyfileobj(content, copy)
        copy.flush()
        os.fsync(copy.fileno())
    return backup, found


def _remove(path: str) -> bool:
    """Remove whatever *path* is; False if it was not there."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            import shutil

            shutil.rmtree(path)
        else:
            os.unlink(path)  # noqa: PTH108
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def chosen(value: bytes) -> bytes:
    """Of a list of choices ("none [mq-deadline] kyber") the chosen one; of anything else, all of it."""
    words = value.split()
    chosen = [word[1:-1] for word in words if word.startswith(b"[") and word.endswith(b"]")]
    return chosen[0] + b"\n" if len(chosen) == 1 and len(words) > 1 else value
