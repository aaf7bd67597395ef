"""Lists, as every command prints them: a table for people, JSON for programs."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from shakeout.cli.settings import use_colour
from shakeout.wire.harmless import harmless

F = TypeVar("F", bound=Callable[..., Any])

#: What a word is painted with, as rich calls it.
_STYLES = {
    "PASS": "green", "ok": "green", "FAIL": "red", "ERROR": "bold red", "failed": "bold red", "broken": "bold red",
    "running": "cyan", "aborted": "yellow", "warning": "yellow",
}  # fmt: skip


#: Characters of one text; none is that long, as far as its writer meant well.
_LONGEST = 1 << 20
#: What a text has at least on a terminal if it may be wrapped or cut, and needs as much.
_NARROWEST = 12


class Column(msgspec.Struct, frozen=True):
    """A column of a table.

    Attributes:
        name: its heading.
        right: numbers, which stand at the right.
        wraps: a text that may take several lines on a terminal that is too narrow for it.
        cut: a text whose end may be left out there.
    """

    name: str
    right: bool = False
    wraps: bool = False
    cut: bool = False


def format_option(command: F) -> F:
    """``--format table|json``, as *form*."""
    return click.option(
        "--format", "form", type=click.Choice(["table", "json"]), default="table", help="For people, or for programs."
    )(command)


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows*: in colour, fitted to its width, on a terminal; elsewhere a line each, whole and aligned."""
    # Others have a say in what is shown: hosts, whoever wrote a pool's file.
    rows = [[harmless(text, longest=_LONGEST) for text in row] for row in rows]
    widths = [max(cells(row[at]) for row in (*rows, [c.name for c in columns])) for at in range(len(columns))]
    if (sys.stdout.isatty() or use_colour(sys.stdout)) and _print_fitted(columns, rows, widths):
        return
    for row in ([column.name for column in columns], *rows):
        padded = (_pad(text, width, column) for text, width, column in zip(row, widths, columns, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_json(value: object) -> None:
    """Print *value*, which may be of any type that JSON has room for, with indentation."""
    data = msgspec.json.encode(value, enc_hook=str)
    click.echo(msgspec.json.format(data, indent=2).decode())


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print names with their values, a line each; empty values are left out."""
    shown = [(harmless(name), harmless(value, lines=True, longest=_LONGEST)) for name, value in fields if value]
    width = max((cells(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *more = value.split("\n")
        click.echo(f"{name}:{' ' * (width - cells(name))}  {first}")
        for line in more:
            click.echo(f"{' ' * (width + 3)}{line}")


def cells(text: str) -> int:
    """How many columns *text* takes on a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _pad(text: str, width: int, column: Column) -> str:
    blanks = " " * (width - cells(text))
    return blanks + text if column.right else text + blanks


def _print_fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> bool:
    """Print a table that fits the terminal; False if the terminal is too narrow for one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(no_color=not use_colour(sys.stdout), highlight=False)
    least = [min(width, _NARROWEST) if c.wraps or c.cut else width for c, width in zip(columns, widths, strict=True)]
    if sum(least) + 2 * (len(columns) - 1) > console.width:
        return False
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, width in zip(columns, least, strict=True):
        table.add_column(
            column.name, justify="right" if column.right else "left", no_wrap=not column.wraps,
            overflow="ellipsis" if column.cut else "fold", min_width=width,
        )  # fmt: skip
    for row in rows:
        table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row))
    console.print(table)
    return True
