"""``shakeout report`` and ``shakeout compare``: what the journals of runs say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shakeout.cli.settings import use_colour
from shakeout.cli.store import RUN_HELP, find_run
from shakeout.cli.table import format_option, print_json

if TYPE_CHECKING:
    from shakeout.report.outcome import RunOutcome

_FILE = click.Path(path_type=Path)
_STDOUT = Path("-")


@click.command(
    epilog=f"""\b
{RUN_HELP}
FILE may be -, for standard output.
Examples:
  shakeout report last                       the summary
  shakeout report last --html page.html      a page to look at, mail, archive
  shakeout report last --json - | jq .verdict
  shakeout report last --csv samples.csv     what was measured over time
"""
)
@click.argument("run")
@click.option("--html", type=_FILE, metavar="FILE", help="Write an HTML page.")
@click.option("--junit", type=_FILE, metavar="FILE", help="Write JUnit XML, for CI.")
@click.option("--json", type=_FILE, metavar="FILE", help="Write JSON.")
@click.option("--ktap", type=_FILE, metavar="FILE", help="Write KTAP, for kernel tests.")
@click.option("--csv", type=_FILE, metavar="FILE", help="Write all samples as CSV.")
def report(run: str, **files: Path | None) -> None:
    """Write the report of RUN, also of one that goes on; without a FILE, print its summary."""
    from shakeout.report.fold import load
    from shakeout.report.formats import RENDERERS, check, write
    from shakeout.report.summary import summary

    wanted = {form: path for form, path in files.items() if path is not None}
    check(*(path for path in wanted.values() if path != _STDOUT))
    outcome = load(find_run(run))
    if not wanted:
        click.echo(summary(outcome, color=use_colour(sys.stdout)), nl=False)
    write(outcome, **{form: path for form, path in wanted.items() if path != _STDOUT})
    for form, path in wanted.items():
        if path == _STDOUT:
            click.echo(RENDERERS[form](outcome), nl=False)
        else:
            click.echo(f"{form}: {path}", err=True)


@click.command(
    epilog=f"""\b
{RUN_HELP}
Compared with the first run are all others: verdicts that changed, what takes longer or shorter than noise
explains, what is new or gone.
Examples:
  shakeout compare 20261120-134501-4000 last
  shakeout compare BEFORE AFTER --format json | jq '.[].entries[] | select(.changed)'
"""
)
@click.argument("first", metavar="RUN")
@click.argument("others", metavar="RUN...", nargs=-1, required=True)
@format_option
def compare(first: str, others: tuple[str, ...], form: str) -> None:
    """Compare runs of the same recipes."""
    from shakeout.report.compare import comparison
    from shakeout.report.fold import load

    folders = [find_run(name) for name in (first, *others)]
    before, *after = (load(folder) for folder in folders)
    if form == "json":
        print_json([_as_json(before, outcome) for outcome in after])
        return
    for outcome in after:
        click.echo(comparison(before, outcome), nl=False)


def _as_json(before: RunOutcome, after: RunOutcome) -> dict[str, object]:
    from shakeout.report.compare import compare as compare_outcomes

    entries = [
        {
            "name": entry.name,
            "before": entry.before or None,
            "after": entry.after or None,
            "before_s": entry.before_s,
            "after_s": entry.after_s,
            "before_value": entry.before_value.value if entry.before_value else None,
            "after_value": entry.after_value.value if entry.after_value else None,
            "unit": next((value.unit for value in (entry.after_value, entry.before_value) if value), None),
            "changed": entry.changed,
        }
        for entry in compare_outcomes(before, after)
    ]
    return {"before": before.header.run, "after": after.header.run, "entries": entries}
