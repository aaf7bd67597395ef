"""The library's entry point: run recipes from a script of one's own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from shakeout.controller.breakpoints import TerminalPrompt
from shakeout.controller.candidates import Candidates
from shakeout.controller.interrupts import RecipeTimeout
from shakeout.controller.recorder import DebugLog, Descriptions, Observer
from shakeout.controller.run import Options, Run
from shakeout.errors import BadRecipe, UsageError
from shakeout.hosts.dialing import Access
from shakeout.labs.provider import DefaultLab, PoolManager
from shakeout.matching.mapper import ConstraintMapper, Mapper, Match
from shakeout.params.secrets import mask_words
from shakeout.recipe.base import BaseRecipe

#: How lines of the debug log look.
DEBUG_FORMAT = "%(relativeCreated)8d ms %(name)s: %(message)s"

_log = logging.getLogger("shakeout")


class Controller:
    """Runs recipes.

    Examples:
        >>> ctl = Controller()
        >>> run = ctl.run(MyRecipe(mtu=8000))  # doctest: +SKIP
        >>> run.verdict  # doctest: +SKIP
        <Verdict.PASSED: 'passed'>

    Args:
        debug: 1 turns debug logging on.
        mapper: a class (or instance) with the methods of `shakeout.matching.mapper.Mapper`.
        pools: names of configured pools, or directories; none means all configured ones, and without any the
            default laboratory makes the hosts.
        pool_checks: set hosts aside that do not answer, and try the next match.
        config: a configuration file instead of the usual ones.
        pool_manager: where hosts come from, in place of *pools*: see `shakeout.labs.provider.PoolManager`.
        runs_dir: the folder for the runs' folders; default: as configured.
        breakpoints: whether `self.breakpoint()` stops.
        keep: leave hosts as they are at the end.
        timeout: seconds that each recipe may take; 0: any, None: as configured. It is made of signals, and so holds
            only where `run` is called in the main thread.
        wait: stand in line for hosts of pools that somebody else has or has reserved, if no others will do; what is
            waited for is said. The *timeout* begins when the hosts are there.
        wait_limit: seconds to stand there (which needs no *wait* then); 0: any.
        update_baselines: record what is measured as the new baselines.
        quiet: do not print which hosts were found (to standard error) and the result summary.
    """

    def __init__(
        self,
        debug: int = 0,
        mapper: type[Mapper] | Mapper = ConstraintMapper,
        pools: Sequence[str] = (),
        pool_checks: bool = True,
        config: str | Path | None = None,
        *,
        pool_manager: PoolManager | None = None,
        runs_dir: str | Path | None = None,
        breakpoints: bool = True,
        keep: bool = False,
        timeout: float | None = None,
        wait: bool = False,
        wait_limit: float = 0,
        quiet: bool = False,
        update_baselines: bool = False,
    ) -> None:
        settings = _prepared(_settings(config, runs_dir), debug)
        _check_limit("a recipe's timeout", timeout or 0)
        _check_limit("wait_limit", wait_limit)
        access = Access(settings.certs, settings.ssh, settings.cache)
        self._mapper: Mapper = _checked("mapper", mapper() if isinstance(mapper, type) else mapper, Mapper)
        self._pool_manager = pool_manager and _checked("pool_manager", pool_manager, PoolManager)
        self._make_pools = _pools(settings, pools, access)
        self._runs_dir = settings.runs_dir
        self._breakpoints = breakpoints
        self._options = Options(
            keep=keep,
            timeout=settings.timeout or 0 if timeout is None else timeout,
            artifact_limit=settings.artifact_limit,
            pool_checks=pool_checks,
            wait=wait or wait_limit > 0,
            wait_limit=wait_limit,
            baselines=settings.baselines_dir,
            update_baselines=update_baselines,
            access=access,
        )
        self._quiet = quiet
        self._debug = bool(debug)

    def run(self, recipe: BaseRecipe, **mapper_options: Any) -> Run:
        """Run *recipe*: find hosts, test, put every host back.

        Args:
            mapper_options: for the mapper: ``all_matches=True``, ``allow_virtual=True`` …

        Returns:
            the run: its verdict, parts, journal.

        Raises:
            NoMatch: no hosts meet the requirements; the message says why.
            Exception: whatever `test()` raised, after every host has been put back.
        """
        if not isinstance(recipe, BaseRecipe):
            hint = f": {recipe.__name__}(...)" if isinstance(recipe, type) else ""
            raise BadRecipe(f"run() takes a recipe's instance{hint}, not {recipe!r}")
        pools = self._pool_manager or self._make_pools()
        run: Run | None = None
        try:
            # Found out first: what cannot be done as asked leaves nothing behind, not even a run's folder.
            Candidates(recipe, pools, self._mapper, mapper_options).some(1)
            options = msgspec.structs.replace(
                self._options,
                prompt=TerminalPrompt(lambda: run.id if run else "") if self._breakpoints else None,
                mapper_options=mapper_options,
                command=mask_words(sys.argv, [recipe.params]),
            )
            with Run(self._runs_dir, pools, self._mapper, options, observers=self._observers(), say=_tell) as run:
                results = run.recipe(recipe)
        finally:
            if self._pool_manager is None:
                pools.close()
            if run is not None and not self._quiet:
                self._print_summary(run)
        for result in results:
            if result.error is not None:
                if not isinstance(result.error, AssertionError | KeyboardInterrupt | RecipeTimeout):
                    _log.error("recipe %s was terminated by an unexpected exception", type(recipe).__name__)
                result.error.add_note(f"in run {run.id} of shakeout; its journal: {run.journal}")
                raise result.error
        return run

    def matches(self, recipe: BaseRecipe, **mapper_options: Any) -> Sequence[Match]:
        """The matches that `run` would use, without connecting to any host."""
        pools = self._pool_manager or self._make_pools()
        try:
            return Candidates(recipe, pools, self._mapper, mapper_options).some()
        finally:
            if self._pool_manager is None:
                pools.close()

    def _observers(self) -> tuple[Observer, ...]:
        observers: tuple[Observer, ...] = () if self._quiet else (Descriptions(),)
        return (*observers, DebugLog(_log)) if self._debug else observers

    def _print_summary(self, run: Run) -> None:
        from shakeout.report.fold import load
        from shakeout.report.summary import summary

        sys.stdout.write(summary(load(run.folder), tracebacks=self._debug))
        sys.stdout.flush()


def _checked(argument: str, given: Any, protocol: type) -> Any:
    """*given*, if it has the methods of *protocol*."""
    wanted = [name for name in vars(protocol) if not name.startswith("_")]
    missing = [name for name in wanted if not callable(getattr(given, name, None))]
    if missing:
        raise UsageError(
            f"{argument}={given!r} is no {protocol.__name__}: it has no {', '.join(f'{name}()' for name in missing)}; "
            f"{protocol.__module__}.{protocol.__name__} says what it must have"
        )
    return given


def _prepared(settings: Any, debug: int) -> Any:
    """*settings*, with this process set up as they say: where plugins are, and how much is logged."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, format=DEBUG_FORMAT)
    if settings.plugin_path:
        from shakeout import plugins

        plugins.configure(settings.plugin_path)
    return settings


def _pools(settings: Any, pools: Sequence[str], access: Access) -> Callable[[], PoolManager]:
    """Makes the pools that are called *pools*, or else the default laboratory."""
    from shakeout.labs.pools import pool_folders, pool_manager_for

    if isinstance(pools, str):
        raise UsageError(f"pools is a list of names or directories, not the text {pools!r}; say pools=[{pools!r}]")
    pool_folders(settings.pools, pools)  # a name that nobody knows is told at once
    return lambda: pool_manager_for(settings.pools, pools, default=DefaultLab, access=access)


def _check_limit(what: str, seconds: float) -> None:
    if not (isinstance(seconds, int | float) and seconds >= 0):
        raise UsageError(f"{what} is a number of seconds, 0 or more (0: any), not {seconds!r}")


def _tell(text: str) -> None:
    _log.warning("%s", text)


def _settings(config: str | Path | None, runs_dir: str | Path | None) -> Any:
    import os

    from shakeout.config.settings import load_settings

    flags = {} if runs_dir is None else {"runs_dir": str(runs_dir)}
    if config is None:
        return load_settings(Path.cwd(), os.environ, flags)
    return load_settings(Path.cwd(), os.environ, flags, file=Path(config))
