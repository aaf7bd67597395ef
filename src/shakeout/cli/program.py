"""The program's commands, each loaded when it is used; and the one place where errors become messages."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

import shakeout
from shakeout.errors import BadDocument, ShakeoutError, did_you_mean

#: Command -> (module of shakeout.cli, one line of help). Listing them loads none.
COMMANDS = {
    "run": ("run", "Run recipes: find or make hosts, test, put every host back."),
    "shell": ("shell", "Open a shell on a host of a kept or paused run."),
    "runs": ("runs", "List, show and remove runs."),
    "report": ("report", "Write the report of a run as HTML, JUnit, JSON or KTAP."),
    "compare": ("report", "Compare two runs."),
    "plugins": ("plugins", "List test modules, and show what one does and takes."),
    "schema": ("schema", "Print the JSON Schema of a file format."),
    "agent": ("agent", "Be the agent of this machine."),
    "doctor": ("doctor", "Look whether this machine can run laboratories; remove leftovers."),
    "completion": ("completion", "Print the script that makes TAB complete shakeout's commands."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"shakeout.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            ctx.fail(f"there is no command {name!r}{did_you_mean(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: shakeout run my.py (a tutorial is in docs/tutorial.md). "
    "Each command explains itself: shakeout run --help.",
)
@click.option("-d", "--debug", is_flag=True, help="Debug logging; tracebacks of errors.")
@click.version_option(shakeout.__version__, "-V", "--version", message="shakeout %(version)s")
@click.pass_context
def shakeout_command(ctx: click.Context, debug: bool) -> None:
    """A laboratory for systems that live on several machines.

    Say in one Python class which hosts a test needs and what it does; shakeout finds or makes the hosts, runs the test,
    and puts every host back as it was.
    """
    ctx.ensure_object(dict)["debug"] = debug


def run_program(arguments: Sequence[str]) -> int:
    """Run the command line; its exit status. What follows ``--`` is kept apart: those are a recipe's parameters."""
    words = list(arguments)
    rest: list[str] | None = None
    if "--" in words:
        rest = words[words.index("--") + 1 :]
        words = words[: words.index("--")]
    debug = "-d" in words or "--debug" in words
    try:
        status = shakeout_command.main(
            words, prog_name="shakeout", standalone_mode=False, obj={"parameters": rest, "debug": debug}
        )
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.exceptions.Abort):
        return 130
    except BrokenPipeError:
        _swallow_output()
        return 141
    except ShakeoutError as error:
        if debug:
            raise
        sys.stderr.write(message(error) + "\n")
        return error.exit_status
    except OSError as error:
        if debug:
            raise
        name = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"shakeout: {name}{error.strerror or error}\n")
        return 2


def message(error: ShakeoutError) -> str:
    """An error as one paragraph (a document's: one line for each problem)."""
    if isinstance(error, BadDocument):
        return str(error)
    return f"shakeout: {error}"


def _swallow_output() -> None:
    """Nobody reads our output any more: let the interpreter's last flush go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())


def leave(status: int) -> NoReturn:
    """End the command with *status*."""
    raise click.exceptions.Exit(status)
