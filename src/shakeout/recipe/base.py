"""The base class of recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shakeout.errors import BadRecipe
from shakeout.matching.requirements import HostReq, Requirements, collect
from shakeout.params import Params, bind, check_declarations

if TYPE_CHECKING:
    from shakeout.evaluation.baseline import Baseline
    from shakeout.evaluation.judgement import Judgement
    from shakeout.evaluation.measured import Measurable
    from shakeout.evaluation.threshold import Threshold
    from shakeout.hosts.matched import Matched
    from shakeout.hosts.ownseries import RecipeSeries
    from shakeout.recipe.context import RunContext

__all__ = ["BaseRecipe", "HostReq"]

_RESERVED = ("req", "reqs", "requirements", "matched", "test", "add_result", "evaluate", "series", "breakpoint", "log")


class BaseRecipe:
    """A test on matched hosts: class attributes say which, `test()` says what it does.

    Examples:
        >>> class Hello(BaseRecipe):
        ...     m1 = HostReq()
        ...     m1.eth0 = DeviceReq(label="net1")
        ...
        ...     def test(self):
        ...         self.matched.m1.run("uname -a")

    Attributes:
        params: the values of the parameters that the class declares.
        req: this instance's own copy of the requirements; `__init__` may change it.
    """

    params: Params
    req: Requirements
    _context: RunContext | None = None

    def __init__(self, **kwargs: Any) -> None:
        """Take the parameters.

        Raises:
            BadParameters: all that are missing, unknown or have values that are not accepted.
            BadRequirement: the class's requirements make no sense, or use a reserved name.
            BadRecipe: the class does not override `test()`.
        """
        kind = type(self)
        if kind.test is BaseRecipe.test:
            raise BadRecipe(f"{kind.__name__} has no test(): define it, it is what the recipe does")
        self.params = bind(kind, kwargs)
        self.req = collect(kind)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_declarations(cls, reserved=_RESERVED)

    def test(self) -> None:
        """What the recipe does; every recipe overrides this."""
        raise BadRecipe(f"{type(self).__name__} has no test(): define it, it is what the recipe does")

    @property
    def matched(self) -> Matched:
        """The hosts that were found for the requirements: ``self.matched.m1``.

        Raises:
            BadRecipe: the recipe is not being run.
        """
        return self._running("matched").matched

    @property
    def reqs(self) -> Requirements:
        """`req`, as the older texts call it."""
        return self.req

    @property
    def requirements(self) -> Requirements:
        """`req`, as the oldest texts call it."""
        return self.req

    def add_result(self, passed: bool | None, description: str = "", data: Any = None) -> None:
        """Add a record to the result summary; a *passed* of False fails the recipe, None is no verdict."""
        if passed is not None and not isinstance(passed, bool):
            raise BadRecipe(f"add_result() takes True, False or None as its verdict, not {passed!r}")
        self._running("add_result()").add_result(passed, str(description), data)

    def evaluate(
        self,
        name: str,
        value: Measurable,
        criterion: Threshold | Baseline | None = None,
        *,
        unit: str = "",
        column: str = "",
    ) -> Judgement:
        """Judge a measured value, and put it into the summary; one that fails fails the recipe.

        Args:
            name: what was measured, as the summary calls it.
            value: a number, a list of independent measurements, a series (``job.series["cpu"]``), or a `Measured`.
            criterion: `Threshold(…)` or `Baseline(…)`; None: it is only shown.
            unit: of *value*, where it does not say its own; if this is not given either, a number is in the unit of the
                criterion without its prefix: in bit/s where the limit is in Gbit/s, as test modules' results are.
            column: of a series that has several.

        Returns:
            the judgement; true unless the value failed.

        Raises:
            UsageError: the value is none, or is not in a unit of the limit's kind; or a baseline cannot be used.
        """
        from shakeout.evaluation.measured import measure

        context = self._running("evaluate()")
        usual = "1" if criterion is None else criterion.plain_unit
        return context.evaluate(str(name), measure(value, unit, usual, column=column), criterion)

    def series(self, name: str, **columns: str) -> RecipeSeries:
        """Begin a series of samples that the recipe takes itself: ``self.series("queue", length="packets")``.

        Args:
            name: what it is called in reports.
            columns: name -> unit ("1" for plain numbers).

        Returns:
            the series: ``add(length=12)`` adds a sample; it can be asked and evaluated like those of jobs.

        Raises:
            BadRecipe: a name or unit that cannot be one.
        """
        return self._running("series()").series(name, columns)

    def breakpoint(self, text: str = "") -> None:
        """Stop here and give a prompt with the hosts at hand; "continue" goes on, "abort" ends the recipe.

        Raises:
            NotInteractive: there is no terminal to ask at (``--no-breakpoints`` passes over all of them).
            RunAborted: somebody chose to abort.
        """
        self._running("breakpoint()").breakpoint(text)

    def log(self, text: str, level: str = "info") -> None:
        """A line in the journal (and on the screen with ``--live``); *level*: debug, info, warning or error."""
        self._running("log()").log(str(text), level)

    def _running(self, name: str) -> RunContext:
        if self._context is None:
            raise BadRecipe(
                f"{type(self).__name__}.{name} is only there while the recipe runs: in test(), called by "
                "`shakeout run` or Controller().run(recipe)"
            )
        return self._context
