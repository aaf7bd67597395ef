"""``shakeout schema``: the JSON Schemas of what people write."""

from __future__ import annotations

import json
from typing import Any

import click

from shakeout.cli.settings import settings_for
from shakeout.cli.table import Column, format_option, print_json, print_table
from shakeout.errors import UnknownName


@click.command(
    epilog="""\b
NAME is one of those that `shakeout schema` lists, a test module, or FILE.py:CLASS, a recipe: its parameters.
Examples:
  shakeout schema
  shakeout schema pool > pool.schema.json    # then, in a host file: # yaml-language-server: $schema=pool.schema.json
  shakeout schema Ping
  shakeout schema my.py:Throughput
"""
)
@click.argument("name", required=False)
@click.option("--plugin-path", multiple=True, metavar="DIR", help="A folder with test modules; may be repeated.")
@format_option
def schema(name: str | None, plugin_path: tuple[str, ...], form: str) -> None:
    """Print the JSON Schema NAME, or list which there are."""
    from shakeout.config.schemas import schema_names, schema_of

    settings_for(plugin_path=list(plugin_path) or None)
    if name:
        document = schema_of(name) if name in schema_names() else _of_parameters(name)
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    rows = [[known, schema_of(known).get("title", "")] for known in schema_names()]
    if form == "json":
        print_json([{"name": known, "title": title} for known, title in rows])
        return
    print_table([Column("NAME"), Column("DESCRIBES", wraps=True)], rows)


def _of_parameters(name: str) -> dict[str, Any]:
    """The schema of the parameters of a recipe or a test module."""
    from shakeout.config.schemas import schema_names
    from shakeout.modules.base import BaseTestModule
    from shakeout.params import schema as schema_of_class
    from shakeout.plugins import registry
    from shakeout.recipe.loader import load, parse_target

    target = parse_target(name)
    if target.cls:
        return schema_of_class(load(target)[0])
    found = registry().get(BaseTestModule, name) if name.isidentifier() else None
    if found is None:
        known = [*schema_names(), *registry().names(BaseTestModule)]
        raise UnknownName("schema", name, known, "a recipe's is FILE.py:CLASS")
    return schema_of_class(found)
