"""The base class of test modules, and how an instance's state gets from one machine to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from shakeout.errors import BadRecipe, CannotTravel, ModuleFailed
from shakeout.modules.shipped import on_agent
from shakeout.params import Param, Params, bind, check_declarations, declared
from shakeout.wire.plain import pack

if TYPE_CHECKING:
    from shakeout.modules.order import State
    from shakeout.modules.series import Series, Sink

__all__ = ["BaseTestModule", "ModuleFailed", "format_plain", "restore", "shown"]

M = TypeVar("M", bound="BaseTestModule")


class BaseTestModule:
    """A test that runs on a host: made on the controller, sent there, executed there.

    Parameters are class attributes; `run()` does the work. The class's source file is sent, with the
    files next to it that it imports, then the instance's parameters and its other attributes as far as
    they are plain data; `__init__` is not run again on the host. What `run()` does decides:

    - it returns None or True: passed, the result is `self._res_data`;
    - it returns other plain data: passed, and that is the result;
    - it returns False, or raises ModuleFailed or AssertionError: failed, for the reason given;
    - it raises any other exception: failed by an error, shown with its traceback.

    Examples:
        >>> class Sum(BaseTestModule):
        ...     numbers = ListParam(IntParam(), mandatory=True)
        ...
        ...     def run(self):
        ...         assert self.params.numbers, "nothing to add up"
        ...         return sum(self.params.numbers)
        >>> print(Sum(numbers=[1, 2, 3]))
        Sum(numbers=[1, 2, 3])

    Attributes:
        params: the values of the parameters, as attributes; iterating gives (name, value).
    """

    params: Params
    #: Units of numbers in the result, for who reads it in a summary: key, at whatever depth -> "%", "B", "s" ….
    result_units: ClassVar[Mapping[str, str]] = {}

    _res_data: Any = None
    _series: tuple[Series, ...] = ()
    #: Takes the frames of samples; None if `run` is called without an agent.
    _samples: Sink | None = None

    def __init__(self, **kwargs: Any) -> None:
        """Take the parameters; a class that needs more checks overrides this and calls it first.

        Raises:
            BadParameters: all that are missing, unknown or have values that are not accepted.
            BadRecipe: the class does not override `run()`.
        """
        kind = type(self)
        if kind.run is BaseTestModule.run:
            raise BadRecipe(_no_run(kind))
        self.params = bind(kind, kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not on_agent():  # there it has been checked already, and every microsecond counts
            check_declarations(cls)

    def run(self) -> Any:
        """Do the test; executed on the host. Every test module overrides this."""
        raise BadRecipe(_no_run(type(self)))

    def state(self, replace: Callable[[Any], Any] | None = None) -> bytes:
        """Packed, all of this instance that travels: its parameters and its other attributes.

        Args:
            replace: called with both, gives what is to travel in their place.

        Raises:
            CannotTravel: an attribute is no plain data; the message names it.
            BadRecipe: `__init__` of the class did not call that of its base.
        """
        attributes = dict(vars(self))
        params = attributes.pop("params", None)
        for own in ("_series", "_samples"):  # of a run without an agent
            attributes.pop(own, None)
        name = type(self).__name__
        if not isinstance(params, Params):
            raise BadRecipe(f"{name} has no parameters: its __init__ must call super().__init__(**kwargs) first")
        values = dict(params)
        if replace is not None:
            values, attributes = replace([values, attributes])
        try:
            return pack([values, attributes])
        except CannotTravel:
            for key, value in values.items():
                pack(value, where=f"parameter {key!r} of {name}")
            for key, value in attributes.items():
                pack(value, where=f"attribute {key!r} of {name}")
            raise

    def series(self, name: str, **columns: str) -> Series:
        """Begin a series of samples, which stand in the run's journal as they are taken.

        Args:
            name: what it is called in reports; unique in this module.
            columns: name -> unit: ``self.series("cpu", user="%", system="%")``.

        Raises:
            ModuleFailed: there is one of this name, or a name or unit cannot be one.
        """
        from shakeout.modules.series import Series

        if any(series.name == name for series in self._series):
            raise ModuleFailed(f"there is a series {name!r} already: each name stands for one series of a module")
        series = Series(name, columns, len(self._series), self._samples or _forget)
        self._series = (*self._series, series)
        return series

    def describe(self) -> str:
        """The module with the parameters that differ from their defaults: "Ping(dst=10.0.0.2)"."""
        name, params = type(self).__name__, vars(self).get("params")
        if params is None:
            return f"{name}(…)"
        known = declared(type(self))
        parts = [
            f"{key}={'***' if known[key].secret else shown(value)}"
            for key, value in params
            if value != known[key].default
        ]
        return f"{name}({', '.join(parts)})"

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def artifacts(self, result: Any) -> dict[str, bool]:
        """Files on the host that shall become artifacts of the run, when the job has ended and was waited for.

        Called on the controller, with the module's result, also that of a failure. A module that writes files
        overrides this. There they are called HOST-jobN-MODULE-FILE; of a temporary file "shakeout-eth0-k3jx_2ab.pcap",
        FILE is "eth0.pcap".

        Returns:
            path on the host -> whether the file is removed there afterwards.
        """
        return {}

    def format_result(self, result: Any) -> str:
        """*result*, which `run()` gave, in a readable form for the summary; may have several lines."""
        return format_plain(result)


def restore(cls: type[M], state: State) -> M:
    """An instance of *cls* with *state*, without running its `__init__`."""
    instance = cls.__new__(cls)
    vars(instance).update(state.attributes)
    instance.params = Params(cls.__name__, _declared_quickly(cls), state.params)
    return instance


def _declared_quickly(cls: type[BaseTestModule]) -> dict[str, Param[Any]]:
    """The parameters of *cls*, without looking at the many names of BaseTestModule itself."""
    if cls.__mro__[1] is not BaseTestModule:
        return declared(cls)
    return {name: value for name, value in vars(cls).items() if isinstance(value, Param)}


def shown(value: object, limit: int = 60) -> str:
    """*value* on one line of at most *limit* characters, as a reader would write it down."""
    try:
        literal = type(value) in (list, tuple, set, frozenset, dict, bytes) or value is None
        text = repr(value) if literal else str(value)
        if isinstance(value, list) and any(hasattr(type(item), "_shakeout_ref") for item in value):
            text = f"[{', '.join(map(str, value))}]"  # of devices
    except Exception:  # noqa: BLE001 - a foreign __str__, or an int of more digits than Python prints
        text = f"<{type(value).__name__}>"
    if not text.isprintable() or (isinstance(value, str) and (not text or text != text.strip() or "," in text)):
        text = repr(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def format_plain(result: object) -> str:
    """Plain data in a readable form: a line for each entry of a dict or list, else one line."""
    if isinstance(result, Mapping):
        return "\n".join(f"{shown(key)}: {shown(value, 500)}" for key, value in result.items())
    if isinstance(result, list | tuple) and result:
        return "\n".join(shown(value, 500) for value in result)
    if isinstance(result, str):
        return "\n".join(line if line.isprintable() else repr(line) for line in result.splitlines())
    return "" if result is None else shown(result, 500)


def _forget(_frame: bytes) -> None:
    """Where samples go that nobody waits for."""


def _no_run(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__} does not override run(): a test module says there what it does"
