"""The runs in a folder: list them, find one, remove one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shakeout.errors import JournalError, UnknownName, UsageError
from shakeout.journal.reader import JournalReader, State, is_locked, verdict
from shakeout.journal.verdict import Verdict
from shakeout.journal.writer import JOURNAL

#: Most candidates named in an error.
_CANDIDATES = 8


class RunEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of runs says of one."""

    run: str
    folder: Path
    #: None if the journal cannot be read; ``problem`` says why.
    state: State | None = None
    kind: str = ""
    #: Wall time at its start, UTC, ISO 8601.
    started: str = ""
    command: tuple[str, ...] = ()
    #: None while it runs.
    verdict: Verdict | None = None
    #: Verdict -> number of parts.
    counts: dict[str, int] = {}
    #: Seconds; None unless it finished.
    duration_s: float | None = None
    problem: str = ""


class RunStore:
    """A folder of runs. Symbolic links in it are not followed, nor listed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ids(self) -> list[str]:
        """The ids of all runs, newest first; empty if the folder does not exist.

        Raises:
            JournalError: the folder cannot be read.
        """
        try:
            with os.scandir(self.folder) as entries:
                names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name[0] != "."]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalError(f"the runs in {self.folder} cannot be listed: {error.strerror}") from error
        return [name for name in sorted(names, reverse=True) if (self.folder / name / JOURNAL).is_file()]

    def list(self) -> Iterator[RunEntry]:
        """All runs, newest first, each read (beginning and end only) when it is asked for."""
        for run in self.ids():
            yield self.entry(run)

    def entry(self, run: str) -> RunEntry:
        """What is known of one run, given its whole id. A journal that cannot be read is no error here."""
        folder = self.folder / run
        try:
            header = JournalReader(folder).header
            locked = is_locked(folder / JOURNAL)
            end = verdict(folder / JOURNAL)
        except JournalError as error:
            return RunEntry(run=run, folder=folder, problem=str(error))
        state = State.RUNNING if locked else State.FINISHED if end else State.ABORTED
        return RunEntry(
            run=run,
            folder=folder,
            state=state,
            kind=header.kind,
            started=header.started,
            command=header.command,
            verdict=end.verdict if end else Verdict.ABORTED if state is State.ABORTED else None,
            counts=end.counts if end else {},
            duration_s=end.duration_s if end else None,
        )

    def find(self, name: str) -> Path:
        """The folder of a run: by its id, the beginning or the end of it, or "last".

        Raises:
            UnknownName: there is none; the message names the nearest.
            UsageError: there are several; the message names them.
        """
        if self._is_run(name):
            return self.folder / name
        known = self.ids()
        if name == "last" and known:
            return self.folder / known[0]
        found = [run for run in known if name and run.startswith(name)]
        found = found or [run for run in known if name and run.endswith(name)]
        if len(found) == 1:
            return self.folder / found[0]
        if found:
            more = ", …" if len(found) > _CANDIDATES else ""
            raise UsageError(
                f"{name!r} means {len(found)} runs in {self.folder}: {', '.join(found[:_CANDIDATES])}{more}; "
                "give more of the id, or 'last'"
            )
        names = ["last", *known] if known else []
        where = f"the runs are in {self.folder}" if known else f"there are no runs in {self.folder} yet"
        raise UnknownName("run", name, names, f"{where}; `shakeout runs list` lists them")

    def _is_run(self, name: str) -> bool:
        """Whether *name* is the whole id of a run; as `ids` would tell, without reading the folder."""
        if not name or name[0] == "." or "/" in name or "\0" in name or len(name) > 255:
            return False
        folder = self.folder / name
        return not folder.is_symlink() and (folder / JOURNAL).is_file()

    def remove(self, name: str) -> str:
        """Remove a run with all its files, given as for :meth:`find`; its id.

        Raises:
            UsageError: it is running, or there is none, or there are several.
            JournalError: it cannot be removed.
        """
        import shutil  # not needed to run anything

        folder = self.find(name)
        try:
            descriptor = os.open(folder / JOURNAL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                hidden = folder.with_name(f".rm-{folder.name}")
                folder.rename(hidden)  # gone at once, for everybody else
                shutil.rmtree(hidden)
            finally:
                os.close(descriptor)
        except BlockingIOError:
            raise UsageError(
                f"the run {folder.name} is running (or being read by somebody): end it first, then remove it"
            ) from None
        except OSError as error:
            raise JournalError(f"the run {folder.name} cannot be removed: {error.strerror}") from error
        return folder.name
