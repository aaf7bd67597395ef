"""DiskFill: leave little room on a disk."""

from __future__ import annotations

import errno
import os
from typing import Any, TypedDict

from shakeout.errors import ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.sizes import SizeParam
from shakeout.params import BoolParam, DurationParam, StrParam

#: Taken at once.
_STEP = 1 << 30
_BLOCK = 1 << 20


class DiskFillResult(TypedDict):
    """What DiskFill did.

    Keys:
        file_system: of the folder ("ext4").
        free_before: bytes that were free; taken: bytes of these; free: bytes that were still free when it was full.
        full_after: seconds until it was; None if that did not happen.
        sampling: how long it took, and what it used.
    """

    file_system: str
    free_before: int
    taken: int
    free: int
    full_after: float | None
    sampling: Sampling


class DiskFill(BaseTestModule):
    """Fill a file system until only *leave* bytes are free, and keep it so; prints "full" once it is.

    The file that fills it has no name, so the room is there again however this ends. Leaving less than 5 % or 512 MiB
    takes *force*. What others write or remove meanwhile is not made up for. In the background without *duration*,
    ``job.kill(signal.SIGINT)`` ends it. The result is a `DiskFillResult`.

    Examples:
        >>> fill = m1.run(DiskFill(path="/var/tmp", leave="90%", duration=0.2))
        >>> fill.result["taken"] > 0
        True
    """

    path = StrParam(mandatory=True, pattern="/.*", desc="the folder, on the file system to fill")
    leave = SizeParam(mandatory=True, share=True, minimum=0, desc="bytes to leave free, or percent of what is free now")
    duration = DurationParam(minimum=0.01, desc="how long, with the filling; until stopped, if not given")
    force = BoolParam(default=False, desc="even if less than 5 % or 512 MiB stay free")

    def run(self) -> DiskFillResult:
        from shakeout.modules import sizes

        free, kept = sizes.free_space(self.path)
        leave = sizes.in_bytes(self.leave, free)
        if leave < kept and not self.force:
            raise ModuleFailed(
                f"{self.path} is not filled until {leave} bytes are free: {kept} must stay so; give force=True if it "
                "may become as full as that"
            )
        with Beat(None, self.duration) as beat:
            result = self._res_data = DiskFillResult(
                file_system=sizes.file_system(self.path), free_before=free, taken=0, free=free, full_after=None,
                sampling=beat.sampling(),
            )  # fmt: skip
            descriptor = sizes.nameless_file(self.path)
            try:
                self._fill(descriptor, free - leave, beat, result)
                for _ in beat:
                    result["sampling"] = beat.sampling()
            finally:
                os.close(descriptor)
        if result["full_after"] is None and not beat.interrupted:
            raise ModuleFailed(f"only {result['taken']} bytes of {free - leave} were taken within {self.duration} s")
        return result

    def _fill(self, descriptor: int, size: int, beat: Beat, result: DiskFillResult) -> None:
        most = _STEP
        while result["taken"] < size and not beat.stopped:
            if self.duration is not None and beat.seconds() > self.duration:
                return
            step = min(most, size - result["taken"])
            try:
                result["taken"] += grow(descriptor, result["taken"], step)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise ModuleFailed(f"{self.path} could not be filled: {error.strerror}") from None
                most //= 2
                if most < _BLOCK:
                    break  # others have taken the rest, or it is kept for root
        if not beat.stopped:
            result["free"] = _free(self.path)
            result["full_after"] = round(beat.seconds(), 3)
            print("full", flush=True)  # noqa: T201 - it is the module's output

    def format_result(self, result: Any) -> str:
        """ "10737418240 bytes taken on ext4, 536870912 left free"."""
        try:
            return f"{result['taken']} bytes taken on {result['file_system']}, {result['free']} left free"
        except (KeyError, TypeError):  # not from here: shown as it is
            return super().format_result(result)


def grow(descriptor: int, at: int, size: int) -> int:
    """Take *size* more bytes of the disk from offset *at* on; how many were taken.

    Raises:
        OSError: the disk is full or broken.
    """
    try:
        os.posix_fallocate(descriptor, at, size)
        return size
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
    return os.pwrite(descriptor, os.urandom(min(_BLOCK, size)), at)  # without that call: byte by byte


def _free(folder: str) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
