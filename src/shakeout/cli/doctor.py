"""``shakeout doctor``: can laboratories be run here, and what is left of earlier ones?"""

from __future__ import annotations

import click

from shakeout.cli.program import leave
from shakeout.cli.store import run_store
from shakeout.cli.table import Column, format_option, print_json, print_table


@click.command(
    epilog="""\b
Exit status: 0 all is well (warnings may be worth a look), 1 something does not work.
Examples:
  shakeout doctor
  shakeout doctor --clean
  shakeout doctor --format json | jq '.[] | select(.state != "ok")'
"""
)
@click.option("--clean", is_flag=True, help="Remove what laboratories left behind that are gone, and say what.")
@format_option
def doctor(clean: bool, form: str) -> None:
    """Try whether this machine can run laboratories and reach hosts of pools, and say what to do where it cannot."""
    from shakeout.cli.settings import access_of, settings_for
    from shakeout.controller import health, reachability

    settings = settings_for()
    store = run_store()
    if clean:
        removed = list(health.clean(store))
        for text in removed:
            click.echo(f"removed {text}", err=form == "json")
        if not removed:
            click.echo("there was nothing to remove", err=form == "json")
    findings = [*health.examine(store), *reachability.examine(settings.pools, access_of(settings))]
    if form == "json":
        print_json(findings)
    else:
        columns = [Column("CHECK"), Column("STATE"), Column("WHAT WAS FOUND", wraps=True)]
        print_table(columns, [[one.check, one.state, _words(one.text, one.remedy)] for one in findings])
    leave(1 if any(one.state == "failed" for one in findings) else 0)


def _words(text: str, remedy: str) -> str:
    return f"{text}. What to do: {remedy}" if remedy else text
