"""``shakeout baselines``: list, show, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shakeout.cli.settings import settings_for
from shakeout.cli.table import Column, format_option, print_fields, print_json, print_table
from shakeout.errors import UnknownName

if TYPE_CHECKING:
    from pathlib import Path

    from shakeout.evaluation.store import BaselineStore, StoredBaseline


@click.group()
def baselines() -> None:
    """List, show and remove what measured values are compared with."""


@baselines.command(
    "list",
    epilog="""\b
Examples:
  shakeout baselines list
  shakeout baselines list --format json | jq '.[] | select(.unit == "Gbit/s")'
""",
)
@format_option
def list_baselines(form: str) -> None:
    """List all baselines.

    One line for each name and each value of what it is kept apart by.
    """
    store = _store()
    found = list(store.all())
    if form == "json":
        print_json([_as_json(path, entry) for path, entry in found])
        return
    if not found:
        click.echo(f"There are no baselines in {store.folder} yet.", err=True)
        return
    rows = [_row(path, entry) for path, entry in found]
    print_table([Column("NAME"), Column("OF", cut=True), Column("VALUE", right=True), Column("N", right=True),
                 Column("RECORDED"), Column("RUN")], rows)  # fmt: skip


@baselines.command(
    "show",
    short_help="Show a baseline.",
    epilog="""\b
Examples:
  shakeout baselines show tcp-throughput
  shakeout baselines show tcp-throughput --format json | jq '.[].samples'
""",
)
@click.argument("name")
@format_option
def show_baseline(name: str, form: str) -> None:
    """Show the baselines that are called NAME."""
    found = _named(_store(), name)
    if form == "json":
        print_json([_as_json(path, entry) for path, entry in found])
        return
    for number, (path, entry) in enumerate(found):
        if number:
            click.echo()
        print_fields(_fields(path, entry))


@baselines.command(
    "rm",
    short_help="Remove a baseline.",
    epilog="""\b
Examples:
  shakeout baselines rm tcp-throughput              all that are called so
  shakeout baselines rm tcp-throughput m1.arch=arm  the one of this machine
""",
)
@click.argument("name")
@click.argument("of", required=False)
def remove_baseline(name: str, of: str | None) -> None:
    """Remove the baselines that are called NAME: all of them, or the one that is kept apart as OF."""
    found = _named(_store(), name)
    kept = {_of(path, entry): path for path, entry in found}
    if of is not None and of not in kept:
        raise UnknownName(f"baseline of {name!r}", of, kept)
    for key, path in kept.items():
        if of is None or key == of:
            path.unlink()
            click.echo(f"removed {name} of {key}")


def _store() -> BaselineStore:
    from shakeout.evaluation.store import BaselineStore

    return BaselineStore(settings_for().baselines_dir)


def _named(store: BaselineStore, name: str) -> list[tuple[Path, StoredBaseline | Exception]]:
    found = list(store.all())
    names = {_name(path, entry) for path, entry in found}
    if name not in names:
        raise UnknownName("baseline", name, names, f"they are in {store.folder}; `shakeout baselines list` lists them")
    return [(path, entry) for path, entry in found if _name(path, entry) == name]


def _name(path: Path, entry: StoredBaseline | Exception) -> str:
    return path.parent.name if isinstance(entry, Exception) else entry.name


def _of(path: Path, entry: StoredBaseline | Exception) -> str:
    """What it is kept apart by, as its file's name has it."""
    if isinstance(entry, Exception):
        return path.stem
    return "+".join(f"{name}={value}" for name, value in sorted(entry.key.items())) or "all"


def _value(entry: StoredBaseline) -> str:
    from shakeout.units import with_uncertainty

    return with_uncertainty(entry.value, entry.uncertainty, entry.unit)


def _row(path: Path, entry: StoredBaseline | Exception) -> list[str]:
    from shakeout.report.text import one_line

    if isinstance(entry, Exception):
        return [one_line(path.parent.name), one_line(path.stem), "unreadable", "", "", ""]
    of, recorded = one_line(_of(path, entry)), one_line(entry.recorded[:16].replace("T", " "))
    return [one_line(entry.name), of, _value(entry), str(entry.n), recorded, one_line(entry.run)]


def _fields(path: Path, entry: StoredBaseline | Exception) -> list[tuple[str, str]]:
    from shakeout.report.text import one_line

    if isinstance(entry, Exception):
        return [("Baseline", one_line(path.parent.name)), ("File", str(path)), ("Problem", str(entry))]
    return [
        ("Baseline", one_line(entry.name)),
        ("Of", one_line(_of(path, entry), 400)),
        ("Value", _value(entry)),
        ("Made of", f"{entry.n} measurements ({entry.method})" if entry.n > 1 else "one measurement"),
        ("Confidence", f"{100 * entry.confidence:g} %" if entry.uncertainty is not None else ""),
        ("Recorded", f"{one_line(entry.recorded)} in run {one_line(entry.run)}"),
        ("File", str(path)),
    ]


def _as_json(path: Path, entry: StoredBaseline | Exception) -> dict[str, object]:
    if isinstance(entry, Exception):
        return {"name": path.parent.name, "file": str(path), "problem": str(entry)}
    import msgspec

    return {**msgspec.structs.asdict(entry), "file": str(path), "problem": ""}
