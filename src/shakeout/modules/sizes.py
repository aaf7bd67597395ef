"""Amounts of memory and disk as people write them, and how much of them may be taken without harm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shakeout.errors import ModuleFailed
from shakeout.params import Param

_UNITS = {
    "": 1, "b": 1,
    "k": 1 << 10, "kib": 1 << 10, "kb": 10**3,
    "m": 1 << 20, "mib": 1 << 20, "mb": 10**6,
    "g": 1 << 30, "gib": 1 << 30, "gb": 10**9,
    "t": 1 << 40, "tib": 1 << 40, "tb": 10**12,
}  # fmt: skip

#: A disk keeps at least so much, and at least this share of its size, unless it is forced.
KEPT_FREE, KEPT_SHARE = 512 << 20, 0.05
#: Memory keeps so much available, and at least this share of what was, unless it is forced.
KEPT_MEMORY, KEPT_MEMORY_SHARE = 64 << 20, 0.05


class SizeParam(Param[Any]):
    """An amount: bytes as a number, text with a unit ("512MiB", "2GB", "4k"), or a share of what is free ("50%").

    The value is an int, or text like "50%".

    Args:
        share: whether shares are accepted.
    """

    def __init__(
        self, *, mandatory: bool = False, default: int | str | None = None, desc: str = "", share: bool = False,
        minimum: int = 1,
    ) -> None:  # fmt: skip
        self.share, self.minimum = share, minimum
        super().__init__(mandatory=mandatory, default=default, desc=desc)

    def convert(self, value: object) -> Any:
        if isinstance(value, str):
            text = value.strip().lower()
            if self.share and text.endswith("%"):
                percent = _decimal(text[:-1].strip())
                if percent is None or not 0 < percent <= 100:
                    raise self.expected()
                return f"{percent:g}%"
            digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
            number, factor = _decimal(digits), _UNITS.get(text[len(digits) :].strip())
            if number is None or factor is None:
                raise self.expected()
            value = round(number * factor)
        if not isinstance(value, int) or isinstance(value, bool) or not self.minimum <= value < 1 << 60:
            raise self.expected()
        return value

    def accepts(self) -> str:
        return 'bytes as a number or with a unit ("512MiB", "2GB")' + (' or a share ("50%")' if self.share else "")


def _decimal(text: str) -> float | None:
    whole, point, part = text.partition(".")
    if not (whole + part).isdigit() or not text.isascii() or (point and not part):
        return None
    return float(text)


def in_bytes(size: int | str, free: int) -> int:
    """*size* in bytes, given what is free."""
    return int(free * float(size[:-1]) / 100) if isinstance(size, str) else size


def available_memory() -> int:
    """Bytes that may be had here without swapping: of the machine, and of this process's cgroup if it has a limit."""
    from shakeout.modules.machine.procstat import parse_meminfo

    available = parse_meminfo(Path("/proc/meminfo").read_text()).get("MemAvailable", 0)
    for line in _cgroups():
        number, _, path = line.split(":", 2)
        folder = Path("/sys/fs/cgroup" + path.rstrip("/"))
        while number == "0" and folder.is_relative_to("/sys/fs/cgroup"):
            try:
                most, used = (int((folder / f"memory.{name}").read_text()) for name in ("max", "current"))
                available = min(available, max(0, most - used))
            except (OSError, ValueError):
                pass  # the root has none, and without a limit it says "max"
            folder = folder.parent
    return available


def _cgroups() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []  # a kernel without them


def refuse_memory(size: int, available: int) -> None:
    """Refuse to take so much memory that the host might not survive it.

    Raises:
        ModuleFailed: too little would be left.
    """
    kept = max(KEPT_MEMORY, int(available * KEPT_MEMORY_SHARE))
    if size > available - kept:
        raise ModuleFailed(
            f"{size} bytes of memory are not taken: {available} are available on this host, and {kept} of them are "
            "left to it; give a smaller size, or force=True if it may run out of memory"
        )


def free_space(folder: str) -> tuple[int, int]:
    """Bytes that are free in the file system of *folder*, and that must remain so unless it is forced.

    Raises:
        ModuleFailed: there is no such folder.
    """
    try:
        status = os.statvfs(folder)
    except OSError as error:
        raise ModuleFailed(f"{folder} is no place for a file: {error.strerror}") from None
    free, whole = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    kept = max(KEPT_FREE, int(whole * KEPT_SHARE))
    if _is_memory(folder, whole):
        memory = available_memory()
        free, kept = min(free, memory), max(KEPT_MEMORY, int(memory * KEPT_MEMORY_SHARE))
    return free, kept


def _is_memory(folder: str, whole: int) -> bool:
    """Whether a file in *folder*, in a file system of *whole* bytes, takes memory rather than a disk."""
    kind = file_system(folder)
    if kind == "overlay":
        # What its upper layer is cannot be seen from here; one that is not larger than the memory may be a tmpfs, as
        # those of the default laboratory's hosts are.
        return whole <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return kind in ("tmpfs", "ramfs")


def file_system(folder: str) -> str:
    """The kind of the file system ("ext4") that *folder* lies in; "" if the kernel does not tell."""
    device = os.stat(folder).st_dev  # noqa: PTH116
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return after.split()[0]
    return ""


def nameless_file(folder: str, flags: int = 0) -> int:
    """A descriptor of a new file in *folder* that has no name: it is gone with the last process that has it open.

    Raises:
        ModuleFailed: no file can be made there.
    """
    import errno

    try:
        try:
            return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC | flags, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
                raise
        path = os.path.join(folder, f".shakeout-{os.getpid()}-{os.urandom(8).hex()}")  # noqa: PTH118
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | flags, 0o600)
        os.unlink(path)  # noqa: PTH108
        return descriptor
    except OSError as error:
        direct = " (does this file system know O_DIRECT?)" if flags and error.errno == errno.EINVAL else ""
        raise ModuleFailed(f"no file can be made in {folder}: {error.strerror}{direct}") from None
