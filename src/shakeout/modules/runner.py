"""Running one test module, in a child that was forked from the agent's zygote.

Everything here counts against every single module job, so whatever a passing run does not need is
imported only when something goes wrong.
"""

from __future__ import annotations

# The module beneath signal, which makes an enum of every number: that costs 0.1 ms after a fork.
import _signal  # type: ignore[import-not-found]
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import Any, Final

from shakeout.errors import CannotTravel, ModuleFailed
from shakeout.modules import digest, installation, shipped  # noqa: F401 - which notes when this was loaded
from shakeout.modules.base import BaseTestModule, restore
from shakeout.modules.order import ModuleOrder, SourceRef, decode_order, decode_state, encode_order
from shakeout.modules.outcome import RemoteError, encode_outcome, remote_error
from shakeout.wire.plain import pack

PASSED: Final = 0
FAILED: Final = 1

_HANDLERS: Final = (
    (int(signal.SIGTERM), int(signal.SIG_DFL)),
    (int(signal.SIGCHLD), int(signal.SIG_DFL)),
    (int(signal.SIGINT), signal.default_int_handler),
)

#: Python 3.11 specialises code that has run eight times.
_REHEARSALS: Final = 20

#: The standard streams, once they are as a test module shall find them.
_ready_streams: Final[list[object]] = [None, None, None]

#: What is rehearsed: an order and its sources.
_piece: Final[list[tuple[bytes, shipped.CodeCache]]] = []

_OWN_FILES: Final = frozenset({__file__, shipped.__file__})


def run_module(order: ModuleOrder | bytes, codes: shipped.CodeCache, result_fd: int) -> int:
    """Run *order* and write one packed outcome to *result_fd*.

    Whatever the test module raises or returns, this returns, and an outcome has been written: unless
    the process is killed, or the module ends it by force. Threads that the module left running end
    with the process.

    Args:
        order: the order itself, or as it came over the wire.

    Returns:
        the exit status for this process: 0 if the module passed, 1 if not.
    """
    _reset_signals()
    _reset_streams()
    pid = os.getpid()
    outcome = _outcome(decode_order(order) if isinstance(order, bytes) else order, codes, result_fd)
    _flush()
    if os.getpid() != pid:
        # The module forked and both sides came back here; only one of them may speak.
        os._exit(FAILED)
    passed, data = outcome
    return PASSED if _write(result_fd, data) and passed else FAILED


def warm_up() -> None:
    """Do once, before the fork, what no child shall have to do again.

    After a fork every page that is written to is copied, at some 3 µs each: what costs nothing in a
    loop costs most of a job here. So the streams are set up and what nearly every module imports is
    imported; and a test module that does nothing is run until the interpreter has specialised the
    code on the way, because it writes to that code as it does so. Signals are left alone.
    """
    import ipaddress  # noqa: F401

    _import_threading()
    import subprocess  # noqa: F401

    import shakeout
    from shakeout import modules, params

    for name in (*modules.WARM, "BaseTestModule"):
        getattr(modules, name)
    for name in ("ModuleFailed", *params.__all__):
        getattr(shakeout, name, None)
    text = b"from shakeout import BaseTestModule\n\n\nclass Nothing(BaseTestModule):\n"
    text += b"    def run(self):\n        pass\n"
    codes, name = shipped.CodeCache(), "shakeout_rehearsal"
    ref = SourceRef(name, f"<{name}>", digest.sha256(text).hexdigest())
    codes.add(ref.sha256, ref.filename, text)
    _piece[:] = [(encode_order(ModuleOrder("", name, "Nothing", (ref,), (), pack([{}, {}]))), codes)]
    for _ in range(_REHEARSALS):
        rehearse()


def rehearse() -> None:
    """Run a test module that does nothing, without a trace; `warm_up` has been called."""
    for data, codes in _piece:
        with shipped.for_once():
            _reset_streams()
            _outcome(decode_order(data), codes, -1)
            _flush()


def _import_threading() -> None:
    """Load `threading` so that a fork of a process without threads does not pay for what it does after forks.

    It puts its books in order in every child: 0.3 ms in an image like ours, though there is nothing to do.
    """
    if "threading" in sys.modules:
        return
    hooks: list[Any] = []
    register = os.register_at_fork
    os.register_at_fork = lambda **named: hooks.append(named)
    try:
        import threading
    finally:
        os.register_at_fork = register
    active: Any = threading.__dict__.get("_active", ())
    for named in hooks:
        after = named.pop("after_in_child", None)
        if after is not None:
            named["after_in_child"] = lambda after=after: after() if len(active) != 1 else None
        register(**named)


def _reset_signals() -> None:
    for number, handler in _HANDLERS:
        if _signal.getsignal(number) != handler:
            _signal.signal(number, handler)


def _reset_streams() -> None:
    """Standard streams as a program of its own would have them; next to nothing if they are that already."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream: Any = getattr(sys, name)
        if stream is _ready_streams[number]:
            continue
        if stream is None or stream.closed or stream.fileno() != number:
            mode = "w" if number else "r"
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        # Lines are seen when they are written; no text is lost for being no UTF-8.
        errors = "backslashreplace" if number else "surrogateescape"
        stream.reconfigure(encoding="utf-8", errors=errors, line_buffering=bool(number))
        _ready_streams[number] = stream


def _outcome(order: ModuleOrder, codes: shipped.CodeCache, channel: int) -> tuple[bool, bytes]:
    finder = shipped.ShippedFinder(order.sources, codes)
    instance: BaseTestModule | None = None
    try:
        instance = restore(_find_class(order, finder), decode_state(order))
        instance._samples = partial(_write, channel)
        result = instance.run()
        if result is False:
            raise ModuleFailed("run() returned False")
        if result is None or result is True:
            result = instance._res_data
    except BaseException as error:  # noqa: BLE001 - the edge of a job
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # a second one shall not end the telling of the first
        return _not_passed(error, order, finder, instance)
    finally:
        if instance is not None and instance._series:
            for series in instance._series:
                series.end()
    return _with_result(True, result, None, order)


def _find_class(order: ModuleOrder, finder: shipped.ShippedFinder) -> type[BaseTestModule]:
    if order.sources:
        finder.install()
        shipped.mark_agent()
        for provided in order.provided:
            shipped.provided[provided.name] = provided
    found: Any = sys.modules.get(order.module)
    if found is None:
        found = finder.load(order.module)
    for name in order.qualname.split("."):
        found = getattr(found, name)
    if not (isinstance(found, type) and issubclass(found, BaseTestModule)):
        raise TypeError(f"{order.module}.{order.qualname} is no test module here, but {found!r}")
    return found


def _not_passed(
    error: BaseException,
    order: ModuleOrder,
    finder: shipped.ShippedFinder,
    instance: BaseTestModule | None,
) -> tuple[bool, bytes]:
    """The outcome of a run that ended with *error*; with what the module had found out until then."""
    result = None if instance is None else getattr(instance, "_res_data", None)
    if isinstance(error, SystemExit) and not error.code and instance is not None:
        return _with_result(True, result, None, order)  # sys.exit() ends a program well, so it does here
    finder.reveal_lines()
    return _with_result(False, result, _describe(error, order, instance), order)


def _with_result(passed: bool, result: object, error: RemoteError | None, order: ModuleOrder) -> tuple[bool, bytes]:
    try:
        return passed, encode_outcome(passed, result, error)
    except CannotTravel as lost:
        # An error counts for more than the data that came with it.
        return False, encode_outcome(False, None, error or _lost(lost, order))


def _lost(lost: CannotTravel, order: ModuleOrder) -> RemoteError:
    # Its traceback leads through the packing, which is of no interest to anybody.
    return remote_error(lost.with_traceback(None), kind="error", module=order.qualname)


def _describe(error: BaseException, order: ModuleOrder, instance: BaseTestModule | None) -> RemoteError:
    from shakeout.modules.remedies import explained

    started = instance is not None
    if isinstance(error, ModuleFailed | AssertionError) and started:
        return remote_error(error, kind="failed", module=order.qualname, skip=_OWN_FILES)
    if isinstance(error, KeyboardInterrupt):
        return remote_error(error, kind="interrupted", module=order.qualname, skip=_OWN_FILES)
    return remote_error(explained(error, order, started=started), kind="error", module=order.qualname, skip=_OWN_FILES)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Nobody reads it any more, or the module closed or replaced it.
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _write(fd: int, data: bytes) -> bool:
    view = memoryview(data)
    while view:
        try:
            written = os.write(fd, view)
        except BlockingIOError:
            _wait_writable(fd)
            continue
        except OSError:
            return False  # the agent is gone
        view = view[written:]
    return True


def _wait_writable(fd: int) -> None:
    import select

    select.select((), (fd,), ())
