"""``shakeout plugins``: which test modules there are, and what each does and takes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from shakeout.cli.settings import settings_for, use_colour
from shakeout.cli.table import Column, format_option, print_json, print_table

if TYPE_CHECKING:
    from shakeout.params import Param
    from shakeout.plugins import BrokenPlugin, PluginInfo

_plugin_path = click.option(
    "--plugin-path", multiple=True, metavar="DIR", help="A folder with test modules; may be repeated."
)


@click.group()
def plugins() -> None:
    """List test modules, and show what one does and takes."""


@plugins.command(
    "list",
    short_help="List the test modules that there are.",
    epilog="""\b
Examples:
  shakeout plugins list
  shakeout plugins list --plugin-path tests/modules --format json
""",
)
@_plugin_path
@format_option
def list_plugins(plugin_path: tuple[str, ...], form: str) -> None:
    """List the test modules that come with shakeout, lie in the configured folders, or are installed."""
    found, broken = _all(plugin_path)
    if form == "json":
        modules = [
            {"name": i.name, "summary": i.summary, "origin": i.origin, "file": i.file, "line": i.line} for i in found
        ]
        print_json({"modules": modules, "broken": broken})
        return
    columns = [Column("NAME"), Column("FROM"), Column("WHAT IT DOES", wraps=True)]
    rows = [[info.name, info.origin, info.summary] for info in found]
    print_table(columns, [*rows, *(["broken", one.origin, str(one)] for one in broken)])


@plugins.command(
    "show",
    short_help="Show what a test module does and takes.",
    epilog="""\b
Examples:
  shakeout plugins show Ping
  shakeout plugins show MyOwn --plugin-path tests/modules
""",
)
@click.argument("name")
@_plugin_path
@format_option
def show_plugin(name: str, plugin_path: tuple[str, ...], form: str) -> None:
    """Show a test module: what it does, its parameters with their types, limits and defaults, an example."""
    from shakeout.modules.base import BaseTestModule
    from shakeout.params import declared

    settings_for(plugin_path=list(plugin_path) or None)
    from shakeout.plugins import registry

    cls = registry().find(BaseTestModule, name, what="test module")
    info = next(info for info in registry().all(BaseTestModule) if info.cls is cls)
    params = declared(cls)
    if form == "json":
        from shakeout.params import schema

        print_json(
            {"name": name, "doc": _doc(cls), "origin": info.origin, "file": info.file, "line": info.line}
            | {"parameters": schema(cls)}
        )
        return
    _print_head(info)
    if not params:
        click.echo("It takes no parameters.")
        return
    columns = [Column("PARAMETER"), Column("ACCEPTS", wraps=True), Column("DEFAULT"), Column("WHAT IT IS", wraps=True)]
    print_table(columns, [_row(param) for param in params.values()])


def _all(plugin_path: tuple[str, ...]) -> tuple[list[PluginInfo], list[BrokenPlugin]]:
    from shakeout.modules.base import BaseTestModule
    from shakeout.plugins import registry

    settings_for(plugin_path=list(plugin_path) or None)
    known = registry()
    return known.all(BaseTestModule), known.broken()


def _print_head(info: PluginInfo) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if use_colour(sys.stdout) else ("", "")
    click.echo(f"{bold}{info.name}{plain} ({info.origin}, {info.place})\n")
    doc = _doc(info.cls)
    if doc:
        click.echo(doc + "\n")


def _doc(cls: type) -> str:
    """Its docstring, without the indentation that it has in the source."""
    import inspect

    return inspect.cleandoc(cls.__doc__ or "")


def _row(param: Param[Any]) -> list[str]:
    default = (
        "(mandatory)" if param.mandatory else "" if param.default is None else param.shown(param.plain(param.default))
    )
    return [param.name, param.accepts(), default, param.desc]
