"""``shakeout completion``, and what TAB offers for runs, recipe files, classes, plugins and schemas."""

from __future__ import annotations

import click


def complete_run(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Ids of runs, newest first, and 'last'."""
    from shakeout.cli.settings import settings_for
    from shakeout.journal.runs import RunStore

    return [name for name in ["last", *RunStore(settings_for().runs_dir).ids()] if name.startswith(typed)]


def complete_host(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Hosts of the run that was named before."""
    from shakeout.cli.settings import settings_for
    from shakeout.controller.hostbook import read_book
    from shakeout.errors import ShakeoutError
    from shakeout.journal.runs import RunStore

    try:
        book = read_book(RunStore(settings_for().runs_dir).find(context.params["run"]))
    except (KeyError, ShakeoutError):
        return []
    return [name for name in book.hosts if name.startswith(typed)] if book else []
