"""What a test module's run came to, as it travels from the child that ran it to the controller.

The controller takes it from a host that may lie: every field is checked on arrival, sizes are
bounded, and nothing in it is looked up or executed here.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final, Literal

import msgspec

from shakeout.errors import ProtocolError
from shakeout.wire.plain import MAX_BYTES, pack, unpack

#: The largest packed outcome, in bytes: a result of the greatest size and an error beside it.
MAX_OUTCOME: Final = MAX_BYTES + (1 << 20)

#: In the path of every test module that comes with shakeout.
_PACKAGE = "/shakeout/modules/"
_MAX_TEXT = 64 * 1024
_MAX_LINE = 500
_MAX_NAME = 8 * 1024
_MAX_FRAMES = 100
_MAX_CHAIN = 16


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One level of a traceback; *file* is the controller's name of a shipped file."""

    file: str
    line: int
    function: str
    #: The source line as it was executed, "" if it is not known.
    text: str = ""


class RemoteException(msgspec.Struct, frozen=True, array_like=True):
    """One exception of a chain.

    Attributes:
        type: the class's name, with its module unless that is builtins.
        message: what str() gave, and the exception's notes.
        frames: outermost first.
        link: what this exception is to the one after it in the chain: its declared cause, its
            context ("while handling"), or "" for the last one, which is the one that was raised.
    """

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    link: Literal["", "cause", "context"] = ""


class RemoteError(msgspec.Struct, frozen=True, array_like=True):
    """Why a test module did not pass.

    Attributes:
        kind: "failed" (an assertion, or ModuleFailed), "error" (any other exception), or
            "interrupted" (SIGINT).
        chain: causes first, the exception itself last; never empty.
        module: the test module's class.
    """

    kind: Literal["failed", "error", "interrupted"]
    chain: tuple[RemoteException, ...]
    module: str = ""

    @property
    def message(self) -> str:
        """One line: the message of a failure, or the type and message of an error."""
        last = self.chain[-1]
        if self.kind == "failed" and last.message:
            return last.message
        return f"{last.type}: {last.message}" if last.message else last.type


class Outcome(msgspec.Struct, frozen=True):
    """A test module has run.

    Attributes:
        passed: the verdict.
        result: plain data, what `run()` returned or left in `_res_data`.
        error: set exactly if it did not pass.
    """

    passed: bool
    result: Any = None
    error: RemoteError | None = None


class _Record(msgspec.Struct, frozen=True, array_like=True):
    passed: bool
    result: bytes
    error: RemoteError | None


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(_Record)


def encode_outcome(passed: bool, result: object, error: RemoteError | None = None) -> bytes:
    """The packed form of an outcome.

    Raises:
        CannotTravel: *result* is no plain data, or too large.
    """
    return _encode(_Record(passed, pack(result, where="the result of run()"), error))


def decode_outcome(data: bytes | bytearray | memoryview) -> Outcome:
    """The outcome that *data* stands for.

    Raises:
        ProtocolError: it is none, or contradicts itself.
    """
    if len(data) > MAX_OUTCOME:
        raise ProtocolError(f"an outcome of {len(data)} bytes is longer than the limit of {MAX_OUTCOME}")
    try:
        record = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"{len(data)} bytes are no outcome of a test module: {error}") from None
    if record.passed is (record.error is not None):
        raise ProtocolError("an outcome that contradicts itself: passed with an error, or not without one")
    if record.error is not None:
        _check(record.error)
    return Outcome(record.passed, unpack(record.result), record.error)


def render(error: RemoteError, host: str) -> str:
    """*error* as a Python traceback, with a first line that says on which host it was.

    A ModuleFailed is raised for its message, and so is a JobError by what comes with shakeout, of a host that lacks
    something: where that was is of no interest.
    """
    lines = [f"on host {host} (module {error.module}):" if error.module else f"on host {host}:"]
    last = error.chain[-1]
    failed = error.kind == "failed" and last.type == "ModuleFailed"
    lacks = last.type == "JobError" and all(_PACKAGE in frame.file for frame in last.frames)
    if last.message and (failed or lacks):
        return _printable("\n".join([*lines, f"{last.type}: {last.message}"]))
    for exception in error.chain:
        if exception.frames:
            lines.append("Traceback (most recent call last):")
        for frame in exception.frames:
            lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
            if frame.text.strip():
                lines.append(f"    {frame.text.strip()}")
        lines.append(f"{exception.type}: {exception.message}" if exception.message else exception.type)
        if exception.link == "cause":
            lines += ["", "The above exception was the direct cause of the following exception:", ""]
        elif exception.link == "context":
            lines += ["", "During handling of the above exception, another exception occurred:", ""]
    return _printable("\n".join(lines))


def remote_error(
    error: BaseException,
    *,
    kind: Literal["failed", "error", "interrupted"],
    module: str,
    skip: Container[str] = (),
) -> RemoteError:
    """What *error* looks like to a controller.

    Args:
        skip: files whose frames are left out: the runner's own.
    """
    import linecache

    chain: list[RemoteException] = []
    link: Literal["", "cause", "context"] = ""
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen and len(chain) < _MAX_CHAIN:
        seen.add(id(current))
        frames = _frames(current, skip, linecache.getline)
        chain.append(RemoteException(_type_name(type(current)), _message(current), frames, link))
        if current.__cause__ is not None:
            current, link = current.__cause__, "cause"
        elif current.__context__ is not None and not current.__suppress_context__:
            current, link = current.__context__, "context"
        else:
            current = None
    chain.reverse()
    return RemoteError(kind, tuple(chain), module)


def _frames(error: BaseException, skip: Container[str], line_of: Any) -> tuple[Frame, ...]:
    frames: list[Frame] = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename not in skip and not code.co_filename.startswith("<frozen importlib"):
            text = line_of(code.co_filename, step.tb_lineno, step.tb_frame.f_globals).strip()
            name = getattr(code, "co_qualname", code.co_name)
            frames.append(Frame(_clean(code.co_filename), step.tb_lineno or 0, _clean(name), _clean(text[:_MAX_LINE])))
        step = step.tb_next
    if len(frames) > _MAX_FRAMES:  # an endless recursion: both ends tell the story
        half = _MAX_FRAMES // 2
        left_out = Frame("…", 0, f"{len(frames) - 2 * half} more levels")
        frames = [*frames[:half], left_out, *frames[-half:]]
    return tuple(frames)


def _type_name(kind: type) -> str:
    if kind.__module__ in ("builtins", "shakeout_main", "shakeout.errors"):
        return kind.__qualname__
    return _clean(f"{kind.__module__}.{kind.__qualname__}")


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a foreign __str__
        text = "(its message cannot be shown: str() of it failed)"
    for inner in getattr(error, "exceptions", ())[:20]:  # an exception group
        if isinstance(inner, BaseException):
            text += f"\n  {_type_name(type(inner))}: {_message(inner)}"
    for note in getattr(error, "__notes__", ()):
        text += f"\n{note}"
    if len(text) > _MAX_TEXT:
        text = text[:_MAX_TEXT] + f"… ({len(text) - _MAX_TEXT} more characters)"
    return _clean(text)


def _clean(text: str) -> str:
    """*text* as UTF-8 can carry it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _check(error: RemoteError) -> None:
    if not 0 < len(error.chain) <= _MAX_CHAIN:
        raise ProtocolError(f"an error with {len(error.chain)} exceptions")
    texts = [error.module, *(exception.type for exception in error.chain)]
    for exception in error.chain:
        if len(exception.message) > 2 * _MAX_TEXT or len(exception.frames) > _MAX_FRAMES + 1:
            raise ProtocolError("an error that is too large")
        texts += [text for frame in exception.frames for text in (frame.file, frame.function, frame.text)]
    if max(map(len, texts)) > _MAX_NAME:
        raise ProtocolError("an error with a name that is too long")


def _printable(text: str) -> str:
    """*text* without control characters, which could write elsewhere on a terminal."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
