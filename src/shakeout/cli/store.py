"""Where the runs are that commands speak of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shakeout.cli.settings import settings_for

if TYPE_CHECKING:
    from shakeout.journal.runs import RunStore

#: For the help of every command that takes a RUN.
RUN_HELP = "RUN is a run's id, its beginning or its end, 'last', or the path of its folder."


def run_store() -> RunStore:
    """The runs of the configured folder."""
    from shakeout.journal.runs import RunStore

    return RunStore(settings_for().runs_dir)


def find_run(name: str) -> Path:
    """The folder of the run that *name* means (see `RUN_HELP`).

    Raises:
        UnknownName: there is none.
        UsageError: there are several.
    """
    path = Path(name)
    if os.sep in name and (path / "journal.jsonl").is_file():
        return path.resolve()
    return run_store().find(name)
