"""The program's commands, each loaded when it is used; and the one place where errors become messages."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

import shakeout
from shakeout.cli import nobody_reads
from shakeout.cli.commands import COMMANDS, OPTIONS, WIDEST, front_page, terminal_width
from shakeout.errors import BadDocument, ShakeoutError, did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Commands for which what follows ``--`` is kept apart, as it is not for shakeout.
_TAKE_THE_REST = ("run", "shell")


#: The variable with which a shell asks for completions.
_COMPLETING = "_SHAKEOUT_COMPLETE"


class NobodyReads(Exception):
    """What reads our output has gone; not an OSError, of which click makes an exit status of its own."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"shakeout.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name)
        if _COMPLETING in os.environ:
            from shakeout.cli.completion import equip

            equip(command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            ctx.fail(f"there is no command {name!r}{did_you_mean(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return commands if not incomplete.startswith("-") else super().shell_complete(ctx, incomplete)

    def get_help(self, ctx: click.Context) -> str:
        return front_page(terminal_width()).rstrip("\n")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise NobodyReads from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST})
@click.option("-d", "--debug", is_flag=True, help=OPTIONS["-d, --debug"])
@click.version_option(
    shakeout.__version__, "-V", "--version", message="shakeout %(version)s", help=OPTIONS["-V, --version"]
)
@click.pass_context
def shakeout_command(ctx: click.Context, debug: bool) -> None:
    """The program; its help is `front_page`."""
    ctx.ensure_object(dict)["debug"] = debug


def run_program(arguments: Sequence[str]) -> int:
    """Run the command line; its exit status. What follows ``--`` is kept apart: those are a recipe's parameters."""
    words, rest = split_rest(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's charset lacks is no error
    if _COMPLETING in os.environ:
        import shakeout.cli.completion  # noqa: F401 - registers how bash is answered
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
        sys.stderr.write(wrong_usage(error) + "\n")
        return 2
    except (KeyboardInterrupt, click.exceptions.Abort):
        return 130
    except (NobodyReads, BrokenPipeError):
        return nobody_reads()
    except Exception as error:  # noqa: BLE001 - the edge of the program
        if debug:
            import traceback

            traceback.print_exc()
        else:
            from shakeout.report.text import harmless  # what is wrong is often in files and words of others

            sys.stderr.write(harmless(message(error)) + "\n")
        return exit_status(error)


def message(error: Exception) -> str:
    """An error as one paragraph (a document's: one line for each problem)."""
    if isinstance(error, BadDocument):
        return str(error)
    if isinstance(error, ShakeoutError):
        return f"shakeout: {error}"
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return f"shakeout: {name}{error.strerror or error}"
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"shakeout: it broke, by a mistake of its own or of a plugin's: {what}; the option -d shows where"


def exit_status(error: Exception) -> int:
    """With which status a command ends that ends with *error*."""
    if isinstance(error, ShakeoutError):
        return error.exit_status
    return 2 if isinstance(error, OSError) else 3


def wrong_usage(error: click.ClickException) -> str:
    """What is wrong with a command line, what would be right, and where to read more, as one paragraph."""
    context = getattr(error, "ctx", None)
    text = error.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    if context is None:
        return f"shakeout: {text}"
    if isinstance(error, click.NoSuchOption):
        options = [option for parameter in context.command.params for option in parameter.opts if option[:2] == "--"]
        near = did_you_mean(error.option_name, options)
        text = f"no such option {error.option_name!r}{near if 'mean' in near else ''}"
    usage = " ".join(context.get_usage().removeprefix("Usage: ").split())
    path = context.command_path
    return f"{path}: {text}; usage: {usage} ({path} --help says more)"


def split_rest(arguments: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """What is for shakeout, and what follows ``--`` if the command passes that on (None: there is no ``--``)."""
    words = list(arguments)
    command = next((word for word in words if not word.startswith("-")), "")
    if "--" not in words or command not in _TAKE_THE_REST:
        return words, None
    at = words.index("--")
    return words[:at], words[at + 1 :]


def leave(status: int) -> NoReturn:
    """End the command with *status*."""
    raise click.exceptions.Exit(status)
