"""``shakeout completion``, and what TAB offers for runs, hosts, recipe files, classes, parameters, plugins, schemas.

Nothing of the user's is imported for it: classes are found by reading the text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

from shakeout.errors import ShakeoutError, UsageError

if TYPE_CHECKING:
    import ast

_SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_SHAKEOUT_COMPLETE"
Completer = Callable[[click.Context, str], list[CompletionItem]]


@click.command(
    epilog="""\b
Examples:
  eval "$(shakeout completion bash)"                      in this shell; in ~/.bashrc: in all
  eval "$(shakeout completion zsh)"                       the same for zsh, in ~/.zshrc
  shakeout completion fish > ~/.config/fish/completions/shakeout.fish
"""
)
@click.argument("shell", required=False, type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the script that makes TAB complete shakeout's commands, options, runs, recipes and plugins."""
    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in _SHELLS:
        raise UsageError(
            f"the variable SHELL {f'says {shell!r}' if shell else 'is not set'}, so it is not clear which shell the "
            f"script is for; say shakeout completion {' or '.join(_SHELLS)}"
        )
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "shakeout", _VARIABLE).source())


class _Bash(BashComplete):
    """Bash takes "my.py:Class" and "mtu=1" for three words each: they are put together, and taken apart again."""

    name = "bash"

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words = [*args, incomplete]
        joined: list[str] = []
        glue = False
        for word in words:
            if joined and (glue or word in (":", "=")):
                joined[-1] += word
            else:
                joined.append(word)
            glue = word in (":", "=")
        self._prefix = joined[-1][: len(joined[-1]) - len(incomplete)] if incomplete not in (":", "=") else joined[-1]
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem) -> str:
        if item.type == "plain":
            item.value = str(item.value).removeprefix(self._prefix)
        return super().format_completion(item)


add_completion_class(_Bash)


def _quietly(complete: Callable[[click.Context, str], Iterator[str | CompletionItem]]) -> Completer:
    """A completer that offers what begins with what was typed, and nothing where anything is wrong."""

    def completer(context: click.Context, typed: str) -> list[CompletionItem]:
        try:
            offered = [
                one if isinstance(one, CompletionItem) else CompletionItem(one) for one in complete(context, typed)
            ]
        except (ShakeoutError, OSError):
            return []
        return [one for one in offered if one.type != "plain" or str(one.value).startswith(typed)]

    return completer


def _settings(context: click.Context) -> Any:
    from shakeout.cli.settings import settings_for

    return settings_for(plugin_path=list(context.params.get("plugin_path") or ()) or None)


@_quietly
def complete_run(context: click.Context, typed: str) -> Iterator[str | CompletionItem]:
    """Ids of runs, newest first, and "last"; folders, if a path is typed."""
    from shakeout.journal.runs import RunStore

    if os.sep in typed:
        yield CompletionItem(typed, type="dir")
        return
    yield "last"
    yield from RunStore(_settings(context).runs_dir).ids()


@_quietly
def complete_host(context: click.Context, typed: str) -> Iterator[str | CompletionItem]:
    """Hosts of the run that was named before."""
    from shakeout.cli.store import find_run
    from shakeout.controller.hostbook import read_book

    book = read_book(find_run(str(context.params.get("run") or "last")))
    yield from book.hosts if book else ()


@_quietly
def complete_pool(context: click.Context, typed: str) -> Iterator[str | CompletionItem]:
    """Configured pools, and folders."""
    names = [name for name in _settings(context).pools if name.startswith(typed)]
    yield from names
    if not names:
        yield CompletionItem(typed, type="dir")


@_quietly
def complete_pool_host(context: click.Context, typed: str) -> Iterator[str | CompletionItem]:
    """Hosts of the pools that are meant."""
    from shakeout.labs.pools import DirectoryPools, pool_folders

    folders = pool_folders(_settings(context).pools, tuple(context.params.get("pools") or ()))
    given = context.params.get("hosts") or ()
    yield from (host.name for host in DirectoryPools(folders).hosts if host.name not in given)


@_quietly
def complete_plugin(context: click.Context, typed: str) -> Iterator[str | CompletionItem]:
    """Names of test modules."""
    from shakeout.modules import BUILTIN

    yield from BUILTIN
    for folder in _settings(context).plugin_path:
        for file in sorted(folder.glob("*.py")):
            yield from (node.name for node in _classes(file) if _derives(node, "Module"))


@_quietly
def complete_schema(context: click.Context, typed: str) -> Iterator[str | CompletionItem]:
    """Names of schemas, of test modules, and recipe files with their classes."""
    from shakeout.config.schemas import schema_names
    from shakeout.modules import BUILTIN

    names = [name for name in [*schema_names(), *BUILTIN] if name.startswith(typed)]
    yield from names or _recipes(typed)


@_quietly
def complete_recipe(context: click.Context, typed: str) -> Iterator[str | CompletionItem]:
    """Recipe files; behind a colon their classes, behind ``--`` their parameters."""
    given = os.environ.get("COMP_WORDS", "").split()
    if "--" in given:
        for word in given[given.index("run") + 1 if "run" in given else 0 : given.index("--")]:
            yield from _parameters(word.partition(":")[0])
        return
    yield from _recipes(typed)


#: (command, parameter) -> what completes it.
_COMPLETERS: dict[tuple[str, str], Completer] = {
    ("run", "files"): complete_recipe,
    ("run", "pools"): complete_pool,
    **{(name, "pools"): complete_pool for name in ("list", "check", "show", "reserve", "release")},
    **{(name, "hosts"): complete_pool_host for name in ("check", "reserve", "release")},
    ("show", "host"): complete_pool_host,
    ("add", "pool_name"): complete_pool,
    ("shell", "run"): complete_run,
    ("shell", "host"): complete_host,
    ("show", "run"): complete_run,
    ("rm", "names"): complete_run,
    ("report", "run"): complete_run,
    ("compare", "first"): complete_run,
    ("compare", "others"): complete_run,
    ("show", "name"): complete_plugin,
    ("schema", "name"): complete_schema,
}


def equip(command: click.Command) -> None:
    """Give the parameters of *command*, and of its commands if it is a group, what completes them."""
    for parameter in command.params:
        completer = _COMPLETERS.get((command.name or "", parameter.name or ""))
        if completer is not None:
            parameter.shell_complete = completer  # type: ignore[assignment,method-assign]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            equip(inner)


def _recipes(typed: str) -> Iterator[str | CompletionItem]:
    path, colon, _ = typed.rpartition(":")
    if not colon:
        yield CompletionItem(typed, type="file")
        return
    for node in _classes(Path(path).expanduser()):
        if not node.name.startswith("_"):
            yield f"{path}:{node.name}"


def _parameters(path: str) -> Iterator[str]:
    """Names of what looks like a parameter in the classes of a file, each with an equals sign."""
    import ast

    for node in _classes(Path(path).expanduser()):
        for statement in node.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                kind = ast.unparse(statement.value.func)
                if kind.endswith(("Param", "Type")):
                    yield from (f"{target.id}=" for target in statement.targets if isinstance(target, ast.Name))


def _classes(file: Path) -> list[ast.ClassDef]:
    """The classes of a Python file that derive from something; none if it cannot be read."""
    import ast

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    return [node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]


def _derives(node: ast.ClassDef, word: str) -> bool:
    import ast

    return any(word in ast.unparse(base) for base in node.bases)
