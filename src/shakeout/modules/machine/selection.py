"""Which processes a module looks at: by pid, by name, by command line, or those of a job."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from shakeout.errors import BadParameters
from shakeout.params import Param

if TYPE_CHECKING:
    from shakeout.modules.machine.proctable import ProcessStat


class JobParam(Param[Any]):
    """A background job on the same host, or its pid; the value is the pid."""

    def convert(self, value: object) -> Any:
        pid = getattr(value, "pid", None) if hasattr(type(value), "wait_output") else value
        if not isinstance(pid, int) or isinstance(pid, bool) or pid < 1:
            raise self.expected()
        return pid

    def accepts(self) -> str:
        return "a job that runs in the background (run(…, bg=True)), or its pid"


class Selection:
    """What is looked for; travels as the parameters *pids*, *name*, *cmdline* and *job* of a module.

    Args:
        owner: the module's name, for messages.
    """

    def __init__(self, owner: str, pids: list[int], name: str | None, cmdline: str | None, job: int | None) -> None:
        given = [key for key, value in (("pids", pids), ("name", name), ("cmdline", cmdline), ("job", job)) if value]
        if len(given) != 1:
            what = f"{' and '.join(given)} are given" if given else "none is given"
            raise BadParameters(owner, [f"which processes? Exactly one of pids, name, cmdline and job says it; {what}"])
        self._pids, self._name, self._job = pids, name, job
        try:
            self._cmdline = None if cmdline is None else re.compile(cmdline)
        except re.error as error:
            raise BadParameters(owner, [f"cmdline={cmdline!r} is no regular expression: {error}"]) from None

    @property
    def fixed(self) -> bool:
        """Whether nothing comes any more once all have ended."""
        return bool(self._pids) or self._job is not None

    def __str__(self) -> str:
        if self._pids:
            return f"the pids {', '.join(map(str, self._pids))}" if len(self._pids) > 1 else f"pid {self._pids[0]}"
        if self._job is not None:
            return f"the job with pid {self._job}"
        return f"the name {self._name}" if self._name is not None else f"the command line {self._cmdline.pattern}"  # type: ignore[union-attr]

    def current(self) -> list[ProcessStat]:
        """The processes that belong to it now: without this one, and without those that have ended."""
        from shakeout.modules.machine import proctable

        if self._job is not None:
            return proctable.living(proctable.family(self._job, list(proctable.every_process())))
        chosen = self._pids or [pid for pid in proctable.pids() if self._matches(pid)]
        return proctable.living(map(proctable.read_process, chosen))

    def _matches(self, pid: int) -> bool:
        from shakeout.modules.machine import proctable

        if self._cmdline is not None:
            line = proctable.command_line(pid)
            return bool(line) and self._cmdline.search(line) is not None
        wanted = self._name or ""
        name = proctable.read(pid, "comm").removesuffix(b"\n")
        if fnmatchcase(name.decode(errors="backslashreplace"), wanted):
            return True
        # The kernel cuts names after 15 bytes; and a script bears its interpreter's, so its own is an argument.
        if len(name) < 15 and not name.startswith((b"python", b"perl", b"ruby", b"sh", b"bash", b"dash")):
            return False
        words = proctable.read(pid, "cmdline").split(b"\0")[:2]
        return any(fnmatchcase(word.rpartition(b"/")[2].decode(errors="backslashreplace"), wanted) for word in words)
