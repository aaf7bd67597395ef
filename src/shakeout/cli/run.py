"""``shakeout run``."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from shakeout.cli import take_early_lab
from shakeout.cli.duration import Duration
from shakeout.cli.program import leave
from shakeout.errors import LabLacks, UsageError
from shakeout.processes.streams import OwnStreams

if TYPE_CHECKING:
    from shakeout.config.settings import Settings
    from shakeout.controller.recorder import Observer
    from shakeout.controller.run import Run
    from shakeout.labs.provider import PoolManager
    from shakeout.recipe.base import BaseRecipe

_EPILOG = """\b
Examples:
  shakeout run my.py                        every recipe class in the file
  shakeout run my.py:Throughput -- mtu=8000 one class, with a parameter
  shakeout run a.py b.py --junit out.xml    several files, with a report
  shakeout run my.py --live                 see each step as it happens
  shakeout run my.py --keep                 leave the hosts; then: shakeout shell RUN m1
"""


@click.command(epilog=_EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE[:CLASS]...", type=str)
@click.option(
    "--lab",
    type=click.Choice(["netns", "uml", "qemu", "auto"]),
    help="Have this laboratory make the hosts; pools of the configuration are not used.",
)
@click.option("--pool", "pools", multiple=True, metavar="NAME|DIR", help="Use hosts of this pool; may be repeated.")
@click.option("--all-matches", is_flag=True, help="Run on every match, not only on the first.")
@click.option("--allow-virtual", is_flag=True, help="Virtual machines of a pool may be used, too.")
@click.option("--match-only", is_flag=True, help="Show which hosts would be used, and run nothing.")
@click.option("--wait", is_flag=True, help="Stand in line for hosts that somebody else has.")
@click.option("--wait-for", type=Duration(), metavar="DURATION", help="As --wait, but not for longer (90s, 30m, 2h).")
@click.option("--timeout", type=float, metavar="S", help="Seconds that each recipe may take.")
@click.option("--keep", is_flag=True, help="Leave the hosts as they are at the end.")
@click.option("--no-breakpoints", is_flag=True, help="Pass over breakpoints.")
@click.option("--update-baselines", "--update-baseline", is_flag=True, help="Record what is measured as baselines.")
@click.option("--live", is_flag=True, help="Show every event as it happens.")
@click.option("--html", type=click.Path(path_type=Path), metavar="F", help="Write an HTML page.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="F", help="Write JUnit XML.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="F", help="Write JSON.")
@click.option("--out", metavar="DIR", help="Folder for the run's journal and artifacts.")
@click.option("--plugin-path", multiple=True, metavar="DIR", help="Folder with test modules; may be repeated.")
@click.option("-d", "--debug", is_flag=True, help="Debug logging; tracebacks of errors.")
@click.pass_context
def run(ctx: click.Context, /, files: tuple[str, ...], **options: Any) -> None:
    """Run the recipes in FILE: all of its recipe classes, or CLASS. What follows -- are parameters, NAME=VALUE."""
    from shakeout.cli.settings import settings_for
    from shakeout.report.formats import check

    options["debug"] = options["debug"] or bool(ctx.obj.get("debug"))
    if options["debug"]:
        import logging

        from shakeout.controller.controller import DEBUG_FORMAT

        logging.basicConfig(level=logging.DEBUG, format=DEBUG_FORMAT)
    settings = settings_for(
        runs_dir=options["out"], plugin_path=list(options["plugin_path"]) or None, lab=options["lab"],
        timeout=options["timeout"],
    )  # fmt: skip
    # A recipe may change the working directory.
    wanted = {"html": options["html"], "junit": options["junit"], "json": options["json_file"]}
    reports = {form: path and path.absolute() for form, path in wanted.items()}
    check(*reports.values())
    recipes = load_recipes(files, ctx.obj.get("parameters"))
    pools = _pools(settings, options["pools"], made=options["lab"] is not None)
    try:
        mapper_options = {name: True for name in ("all_matches", "allow_virtual") if options[name]}
        _check_matches(recipes, pools, mapper_options, show=options["match_only"])
        if options["match_only"]:
            return
        streams = OwnStreams()

        def leave_without_recipe(run: Run) -> None:
            pools.close()
            streams.take_back()
            status = _conclude(run, reports, tracebacks=options["debug"])
            sys.stderr.flush()
            os._exit(status)

        finished = _run(recipes, pools, settings, mapper_options, options, leave_without_recipe, streams.err)
    finally:
        pools.close()
    streams.take_back()
    leave(_conclude(finished, reports, tracebacks=options["debug"]))


def load_recipes(files: Sequence[str], parameters: list[str] | None) -> list[BaseRecipe]:
    """Instances of all recipes that the command line names.

    Raises:
        BadRecipe, BadParameters: everything that is wrong, before anything has been done.
    """
    from shakeout.recipe.loader import load, parse_target, with_arguments

    targets = [parse_target(text) for text in files]
    loaded = [(target, load(target)) for target in targets]
    if parameters and len(targets) > 1:
        names = ", ".join(f"{target.path}:{cls.__name__}" for target, classes in loaded for cls in classes)
        raise UsageError(
            f"it is not clear which of several files the parameters after -- are for ({names}); run them one at a time"
        )
    return [recipe for target, classes in loaded for recipe in with_arguments(target, classes, parameters or [])]


def _pools(settings: Settings, named: Sequence[str], *, made: bool) -> PoolManager:
    """The hosts; *made* for the run if the user said so, whatever pools are configured."""
    from shakeout.cli.settings import access_of
    from shakeout.labs.pools import pool_manager_for
    from shakeout.labs.provider import DefaultLab

    if settings.lab not in ("netns", "auto") and not named:
        raise LabLacks(
            f"the laboratory {settings.lab!r} is not part of this release; netns (the default) makes hosts from "
            "namespaces of this machine"
        )
    early = take_early_lab()
    configured = {} if made and not named else settings.pools
    manager = pool_manager_for(configured, named, default=lambda: DefaultLab(early), access=access_of(settings))
    if early is not None and not isinstance(manager, DefaultLab):
        early.remove()
    return manager


def _check_matches(
    recipes: Sequence[BaseRecipe], pools: PoolManager, mapper_options: dict[str, Any], *, show: bool
) -> None:
    """Find out whether every recipe has a match, before anything is changed; show the matches if asked to."""
    from shakeout.controller.candidates import Candidates
    from shakeout.matching.mapper import ConstraintMapper, describe

    for recipe in recipes:
        found = Candidates(recipe, pools, ConstraintMapper(), mapper_options).some(None if show else 1)
        if show:
            for number, match in enumerate(found, 1):
                heading = f"{type(recipe).__name__}, match {number}:" if len(found) > 1 else f"{type(recipe).__name__}:"
                click.echo(heading)
                for line in describe(match).splitlines():
                    click.echo(f"    {line}")


def _run(
    recipes: Sequence[BaseRecipe],
    pools: PoolManager,
    settings: Settings,
    mapper_options: dict[str, Any],
    options: dict[str, Any],
    leave_without_recipe: Callable[[Run], None],
    screen: TextIO,
) -> Run:
    from shakeout.cli.settings import access_of
    from shakeout.controller.breakpoints import TerminalPrompt
    from shakeout.controller.run import Options, Run
    from shakeout.matching.mapper import ConstraintMapper
    from shakeout.params.secrets import mask_words

    observers, screen = _onlookers(screen, live=options["live"], debug=options["debug"])
    current: list[Run] = []
    prompt = None if options["no_breakpoints"] else TerminalPrompt(lambda: current[0].id)
    how = Options(
        keep=options["keep"], timeout=settings.timeout or 0, prompt=prompt, artifact_limit=settings.artifact_limit,
        mapper_options=mapper_options, command=mask_words(sys.argv, [recipe.params for recipe in recipes]),
        leave=leave_without_recipe, access=access_of(settings), wait=options["wait"] or bool(options["wait_for"]),
        wait_limit=options["wait_for"] or 0, baselines=settings.baselines_dir,
        update_baselines=options["update_baselines"],
    )  # fmt: skip
    say = functools.partial(_say, screen=screen)
    with Run(settings.runs_dir, pools, ConstraintMapper(), how, observers=observers, say=say) as made:
        current.append(made)
        try:
            _run_all(made, recipes)
        except KeyboardInterrupt:
            pass  # between two recipes, or while hosts were being made: the summary says so
    return made


def _onlookers(screen: TextIO, *, live: bool, debug: bool) -> tuple[tuple[Observer, ...], TextIO]:
    """Who shows on *screen* how the run goes on; and what else is to be written through, so that lines do not mix."""
    from shakeout.cli.progress import LiveLines, StatusLine
    from shakeout.controller.recorder import DebugLog, Descriptions

    status: tuple[Observer, ...] = ()
    if screen.isatty() and not live and not debug:
        line = StatusLine(screen)
        status, screen = (line,), line.beside(screen)
        # What the recipe prints, too; OwnStreams.take_back() ends that.
        sys.stdout, sys.stderr = line.beside(sys.stdout), line.beside(sys.stderr)
    observers: tuple[Observer, ...] = (Descriptions(screen), *status)
    if live:
        observers += (LiveLines(screen),)
    if debug:
        import logging

        observers += (DebugLog(logging.getLogger("shakeout")),)
    return observers, screen


def _run_all(run: Run, recipes: Sequence[BaseRecipe]) -> None:
    for number, recipe in enumerate(recipes):
        try:
            results = run.recipe(recipe)
        except UsageError as error:
            run.refuse(error)
            return
        except Exception as error:
            import logging

            from shakeout.controller.failure import one_paragraph

            run.broken = run.broken or one_paragraph(error)
            logging.getLogger("shakeout").debug("the run broke", exc_info=True)
            return
        for result in results:
            if result.usage and isinstance(result.error, UsageError):
                run.refuse(result.error)
                return
        if run.interrupted:
            run.leave_out([type(other).__name__ for other in recipes[number + 1 :]])
            return


def _conclude(run: Run, reports: dict[str, Path | None], *, tracebacks: bool) -> int:
    """Write the reports, say where things are, print the summary; the exit status."""
    from shakeout.cli.settings import use_colour
    from shakeout.report.fold import load
    from shakeout.report.formats import write
    from shakeout.report.summary import summary

    outcome = load(run.folder)
    status = run.exit_status
    written: list[str] = []
    for form, path in reports.items():
        try:
            write(outcome, **{form: path})
        except UsageError as error:  # it could be, before the run
            _say(str(error))
            status = max(status, 3)
        else:
            written += [f"{form}: {path}"] if path is not None else []
    if run.broken:
        _say(run.broken)
    text = summary(outcome, color=use_colour(sys.stdout), tracebacks=tracebacks)
    if run.usage_error is not None and not _is_seen_in(text, str(run.usage_error)):
        _say(str(run.usage_error))
    if any(result.left for result in run.results):
        _say("undo was left to the agents of the hosts; they finish it on their own")
    click.echo(f"journal: {run.journal}", err=True)
    for line in written:
        click.echo(line, err=True)
    if run.kept:
        click.echo(
            f"`shakeout shell {run.id} HOST` opens a shell on a kept host, `shakeout runs rm {run.id}` gives them back",
            err=True,
        )
    sys.stderr.flush()
    _print(text)
    return status


def _is_seen_in(summary: str, error: str) -> bool:
    """Whether who reads standard error reads *error* in the summary anyway: on a terminal, once is enough."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return False
    return all(line.strip() in summary for line in error.splitlines())


def _print(text: str) -> None:
    """Print the summary; to standard error if standard output has no room."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _say(f"standard output cannot be written ({error.strerror}); the summary:")
        sys.stderr.write(text)
        sys.stdout = sys.stderr  # what is left in its buffer would fail again


def _say(text: str, screen: TextIO | None = None) -> None:
    screen = screen or sys.stderr
    screen.write(f"shakeout: {text}\n")
    screen.flush()
