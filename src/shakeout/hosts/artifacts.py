"""Files of hosts that become artifacts of the run."""

from __future__ import annotations

import posixpath
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakeout.errors import JournalBroken, ShakeoutError, UsageError
from shakeout.journal.events import Log

if TYPE_CHECKING:
    from shakeout.hosts.job import Job
    from shakeout.hosts.session import Session
    from shakeout.modules.base import BaseTestModule

#: Seconds that a module has to end in after SIGINT when the recipe is over, so that its files are whole.
_PATIENCE = 2.0
#: More files than so many of one job are left where they are.
_MOST = 1000
#: A temporary file as test modules make it (tempfile.mkstemp): what it is, eight characters by chance, suffixes.
_TEMPORARY = re.compile(r"shakeout-(.+)-[a-z0-9_]{8}(\..*)?")


def save(session: Session, path: str, name: str = "", *, move: bool = False, job: int = 0) -> Path:
    """Fetch a file from a host into the run's artifacts.

    Args:
        path: on the host.
        name: what to call it; HOST-FILE if not given, with a number where that is taken.
        move: it is removed from the host.
        job: that left it; 0: none.

    Returns:
        its path here.

    Raises:
        TransferError: it cannot be read there, or written here.
        JournalBroken: there is no room for it.
        UsageError: nothing is being recorded.
    """
    from shakeout.hosts import files

    place: Any = getattr(session.recorder, "artifact_path", None)
    if place is None:
        raise UsageError(f"{path} of {session.name} cannot become an artifact: this is no run with a journal")
    relative, file = session.recorder.artifact(name or f"{session.name}-{posixpath.basename(path)}")
    file.close()
    target: Path = place(relative)
    try:
        return files.receive(session, path, str(target), recursive=False, move=move, artifact=relative, job=job)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


class JobArtifacts:
    """The files that a job's module leaves for the run; used by the recipe's threads."""

    def __init__(self, session: Session, module: BaseTestModule | None) -> None:
        self._session = session
        self._module = module
        self._fetched: list[Path] | None = None
        self._lock = threading.RLock()

    @property
    def expected(self) -> bool:
        """Whether the module may leave any."""
        from shakeout.modules.base import BaseTestModule

        return self._module is not None and type(self._module).artifacts is not BaseTestModule.artifacts

    def complete(self, job: Job) -> None:
        """The recipe is over: have the module end in order, if there is something to fetch then."""
        if not job.finished and self.expected:
            job.kill(signal.SIGINT)
            job.wait(_PATIENCE)

    def collect(self, job: Job) -> list[Path]:
        """What *job* has left, once it has ended; what cannot be fetched stands in the journal as such."""
        if not job.finished or not self.expected:
            return []
        with self._lock:
            if self._fetched is None:
                self._fetched = []
                self._fetch(job)
            return list(self._fetched)

    def _fetch(self, job: Job) -> None:
        assert self._module is not None and self._fetched is not None
        session = self._session
        if not hasattr(session.recorder, "artifact_path") or session.lost is not None:
            return
        try:
            wanted = list(self._module.artifacts(job.result).items())[:_MOST]
        except Exception as error:  # noqa: BLE001 - of a user's module, which looks at what a host said
            text = f"which files job {job.id} left is not known: {type(error).__name__}: {error}"
            session.recorder.write(Log(level="warning", text=text, host=session.name))
            return
        for path, move in wanted:
            name = f"{session.name}-job{job.id}-{type(self._module).__name__}-{_plain_name(path)}"
            try:
                self._fetched.append(save(session, path, name, move=move, job=job.id))
            except JournalBroken:
                raise
            except ShakeoutError:
                continue  # `files` has recorded it


def _plain_name(path: str) -> str:
    """The name of a host's file, without what is there by chance."""
    name = posixpath.basename(path)
    found = _TEMPORARY.fullmatch(name)
    return found[1] + (found[2] or "") if found else name
