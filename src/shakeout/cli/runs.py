"""``shakeout runs``: list, show, remove."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shakeout.cli.settings import use_colour
from shakeout.cli.store import RUN_HELP, find_run, run_store
from shakeout.cli.table import Column, format_option, print_fields, print_json, print_table
from shakeout.errors import UsageError
from shakeout.journal.reader import State

if TYPE_CHECKING:
    from shakeout.controller.hostbook import HostBook
    from shakeout.journal.runs import RunEntry

#: Rows of a table that nobody limited.
_ROWS = 30


@click.group()
def runs() -> None:
    """List, show and remove runs."""


@runs.command(
    "list",
    epilog="""\b
Examples:
  shakeout runs list                     the newest runs
  shakeout runs list --limit 0           all of them
  shakeout runs list --format json | jq '.[] | select(.verdict == "failed") | .run'
""",
)
@click.option("--limit", type=click.IntRange(0), metavar="N", help="At most N, 0: all (table: 30, json: all).")
@format_option
def list_runs(limit: int | None, form: str) -> None:
    """List runs, the newest first."""
    store = run_store()
    ids = store.ids()
    most = limit if limit is not None else _ROWS if form == "table" else 0
    shown = ids[:most] if most else ids
    entries = [store.entry(run) for run in shown]
    if form == "json":
        print_json([_as_json(entry) for entry in entries])
        return
    if not ids:
        click.echo(f"There are no runs in {store.folder} yet.", err=True)
        return
    columns = [
        Column("RUN"), Column("STARTED"), Column("RESULT"), Column("PARTS", right=True), Column("SECONDS", right=True),
        Column("COMMAND", cut=True),
    ]  # fmt: skip
    rows = [_row(entry) for entry in entries]
    kept = [_kept_hosts(entry) for entry in entries]
    if any(kept):
        columns.insert(-1, Column("KEPT HOSTS", cut=True))
        rows = [[*row[:-1], hosts, row[-1]] for row, hosts in zip(rows, kept, strict=True)]
    print_table(columns, rows)
    if len(shown) < len(ids):
        sys.stdout.flush()
        click.echo(f"{len(ids) - len(shown)} older runs are not shown; --limit 0 shows all.", err=True)


@runs.command(
    "show",
    short_help="Show what a run came to, and where it is.",
    epilog=f"""\b
{RUN_HELP}
Examples:
  shakeout runs show last
  shakeout runs show 20261120-13 --format json
""",
)
@click.argument("run")
@format_option
def show_run(run: str, form: str) -> None:
    """Show a run: what it came to, and where its journal, its artifacts and its hosts are."""
    from shakeout.controller.hostbook import read_book
    from shakeout.journal.runs import RunStore
    from shakeout.report.fold import load
    from shakeout.report.summary import summary

    folder = find_run(run)
    entry = RunStore(folder.parent).entry(folder.name)
    book = read_book(folder)
    if form == "json":
        print_json({**_as_json(entry), **_places(folder, book)})
        return
    print_fields(_fields(entry, folder, book))
    if entry.problem:
        raise click.exceptions.Exit(2)
    click.echo()
    click.echo(summary(load(folder), color=use_colour(sys.stdout)), nl=False)


@runs.command(
    "rm",
    short_help="Remove runs, and give back the hosts that they kept.",
    epilog=f"""\b
{RUN_HELP}
Examples:
  shakeout runs rm last
  shakeout runs rm 20261120-134501-4000 20261120-134622-5111
""",
)
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
def remove_runs(names: tuple[str, ...]) -> None:
    """Remove runs, and give back the hosts that they kept. A run that goes on is not removed.

    Hosts that were made for a run are removed; those that were there before are put back as they were found.
    """
    from shakeout.controller.hostbook import read_book
    from shakeout.journal.runs import RunStore

    folders = list(dict.fromkeys(find_run(name) for name in names))
    running = [f.name for f in folders if RunStore(f.parent).entry(f.name).state is State.RUNNING]
    if running:
        raise UsageError(
            f"{_listed(running)} still running, so nothing was removed; end what runs first (Ctrl-C), or leave it out"
        )
    failed: list[str] = []
    for folder in folders:
        book = read_book(folder)
        if book is not None:
            failed += _give_back(book)
        click.echo(f"removed {RunStore(folder.parent).remove(folder.name)}")
    if failed:
        click.echo(f"shakeout: not everything could be put back: {'; '.join(failed)}", err=True)
        raise click.exceptions.Exit(3)


def _give_back(book: HostBook) -> list[str]:
    from shakeout.cli.settings import access_of, settings_for
    from shakeout.controller.kept import give_back

    failed = give_back(book, access_of(settings_for()))
    if book.lab:
        click.echo(f"removed the hosts that were made for {book.run}: {', '.join(book.hosts)}")
    elif not failed:
        click.echo(f"put back the hosts that {book.run} had kept: {', '.join(_there_before(book))}")
    return failed


def _there_before(book: HostBook) -> list[str]:
    """Hosts by the name in the recipe and, where it is known, the one in their pool."""
    from shakeout.hosts.dialing import parse_endpoint

    names = {name: parse_endpoint(address).name for name, address in book.hosts.items()}
    return [f"{name} ({machine})" if machine not in ("", name) else name for name, machine in names.items()]


def _listed(names: list[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def result_word(entry: RunEntry) -> str:
    """What a run came to, in one word."""
    if entry.problem:
        return "unreadable"
    if entry.state is not None and entry.state.value in ("running", "aborted"):
        return entry.state.value
    return entry.verdict.word if entry.verdict else ""


def command_line(entry: RunEntry) -> str:
    """The command that made a run, as one would type it again."""
    from shakeout.report.text import one_line

    if not entry.command:
        return entry.kind
    program, *rest = entry.command
    words = rest if Path(program).name == "shakeout" else [Path(program).name, *rest]
    return one_line(shlex.join(words), 400)


def local_time(started: str) -> str:
    """A journal's time on the clock of whoever looks at it; as it is, if it is none."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return started


def _row(entry: RunEntry) -> list[str]:
    from shakeout.report.text import one_line

    seconds = "" if entry.duration_s is None else f"{entry.duration_s:.2f}"
    parts = str(sum(entry.counts.values())) if entry.counts else ""
    what = one_line(entry.problem, 400) if entry.problem else command_line(entry)
    return [one_line(entry.run), local_time(entry.started), result_word(entry), parts, seconds, what]


def _kept_hosts(entry: RunEntry) -> str:
    from shakeout.controller.hostbook import read_book

    book = read_book(entry.folder)
    return ", ".join(book.hosts) if book is not None and book.kept and book.reachable else ""


def _fields(entry: RunEntry, folder: Path, book: HostBook | None) -> list[tuple[str, str]]:
    artifacts, samples = _artifacts(folder), _samples(folder)
    where = f"{folder / 'artifacts'} ({len(artifacts)} files)" if artifacts else ""
    return [
        ("Run", entry.run),
        ("Command", command_line(entry)),
        ("Started", local_time(entry.started)),
        ("State", entry.state.value if entry.state else "unreadable"),
        ("Problem", entry.problem),
        ("Journal", str(folder / "journal.jsonl")),
        ("Artifacts", where),
        ("Samples", f"{folder}/samples-*.bin ({len(samples)} series)" if samples else ""),
        ("Hosts", _hosts(book, entry)),
    ]


def _hosts(book: HostBook | None, entry: RunEntry) -> str:
    """The hosts that one can look at now."""
    if book is None or not book.reachable:
        return ""
    state = "kept" if book.kept else "in use" if entry.state is State.RUNNING else "left behind"
    return f"{', '.join(book.hosts)} ({state}; shakeout shell {book.run} HOST)"


def _artifacts(folder: Path) -> list[Path]:
    place = folder / "artifacts"
    return sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else []


def _samples(folder: Path) -> list[Path]:
    from shakeout.journal.samples import is_samples

    return sorted(path for path in folder.iterdir() if is_samples(path.name) and path.is_file())


def _as_json(entry: RunEntry) -> dict[str, object]:
    return {
        "run": entry.run,
        "kind": entry.kind,
        "state": entry.state,
        "verdict": entry.verdict,
        "counts": entry.counts,
        "started": entry.started,
        "duration_s": entry.duration_s,
        "command": entry.command,
        "folder": str(entry.folder),
        "problem": entry.problem,
    }


def _places(folder: Path, book: HostBook | None) -> dict[str, object]:
    return {
        "journal": str(folder / "journal.jsonl"),
        "artifacts": [str(path) for path in _artifacts(folder)],
        "samples": [str(path) for path in _samples(folder)],
        "hosts": book.hosts if book and book.reachable else {},
        "kept": book is not None and book.kept and book.reachable,
        "lab": book.lab if book and book.reachable else "",
    }
