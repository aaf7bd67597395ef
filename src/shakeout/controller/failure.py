"""What ended a recipe, as one paragraph that names the place in the user's own code."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import shakeout
from shakeout.controller.interrupts import UndoLeft
from shakeout.errors import ShakeoutError

_OURS = str(Path(shakeout.__file__).parent) + os.sep
_STANDARD = str(Path(os.__file__).parent) + os.sep
_INSTALLED = ("/site-packages/", "/dist-packages/")


def one_paragraph(error: BaseException) -> str:
    """An exception as a message: what, and where in the user's code."""
    if isinstance(error, KeyboardInterrupt | UndoLeft):
        return "interrupted"
    frame = _place(error)
    where = f" ({frame.filename}:{frame.lineno})" if frame is not None else ""
    text = _text(error)
    if isinstance(error, ShakeoutError):
        return f"{text}{where}"
    if isinstance(error, SystemExit):
        return f"the recipe called sys.exit({error.code!r}){where}; a test ends by returning, and fails by an assertion"
    if not text and frame is not None and (frame.line or "").startswith("assert "):
        text = frame.line or ""  # "assert a == b" says more than nothing
    name = type(error).__name__
    return f"{name}: {text}{where}" if text else f"{name}{where}"


def whole_traceback(error: BaseException) -> str:
    """The traceback of *error*; "" if it was no error but an interruption."""
    if isinstance(error, KeyboardInterrupt | UndoLeft):
        return ""
    return "".join(traceback.format_exception(error))


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the user's own __str__
        return "(its text cannot be shown: its __str__ fails)"
    return text if isinstance(error, ShakeoutError) else " ".join(text.split())


def _place(error: BaseException) -> traceback.FrameSummary | None:
    """The last place in the user's own code; in anything but shakeout and the standard library if there is none."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, _STANDARD, "<frozen "))
    ]
    own = [frame for frame in frames if not any(part in frame.filename for part in _INSTALLED)]
    found = own or frames
    return found[-1] if found else None
