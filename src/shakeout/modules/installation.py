"""Whether shakeout's own files on this machine are still those that this process was started from.

An agent lives for months; what it has loaded stays as it was, and what is loaded later comes from the files of today.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

_ROOT: Final = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
#: A bundle that was sent to a host is one file.
_IS_FOLDER: Final = os.path.isdir(_ROOT)  # noqa: PTH112
_SINCE: Final = time.time()

_CHANGED: Final = (
    "shakeout on this host was changed since its agent started, and the two do not fit together: restart the agent "
    "there (systemctl restart shakeout-agent, where it is a service; a host that was made for a run goes with it)"
)


def remedy(error: BaseException) -> str:
    """What to do about *error* if it may come from files that were changed meanwhile; "" if it does not."""
    return _CHANGED if _may_come_from_files(error) and changed() else ""


def changed() -> bool:
    """Whether a file of shakeout's was written, or has gone, since this was loaded."""
    if not _IS_FOLDER:
        return False
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) if name.partition(".")[0] == "shakeout" else None
        if isinstance(path, str) and path.startswith(_ROOT + os.sep) and _written(path):
            return True
    return any(
        _written(f"{place}/{name}") for place, _, names in os.walk(_ROOT) for name in names if name[-3:] == ".py"
    )


def _written(path: str) -> bool:
    try:
        # Not the time of the content, which copying programs set back to that of the original.
        return os.stat(path).st_ctime > _SINCE  # noqa: PTH116
    except FileNotFoundError:
        return True
    except OSError:
        return False  # a user may not look there


def _may_come_from_files(error: BaseException) -> bool:
    """Whether *error* is one of importing, or of parts of shakeout that do not know each other."""
    if isinstance(error, ImportError):
        return (error.name or "shakeout").partition(".")[0] == "shakeout"
    place = ""
    if isinstance(error, SyntaxError):
        place = error.filename or ""
    elif type(error) in (AttributeError, NameError, TypeError):
        trace = error.__traceback__
        while trace is not None:
            place, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return place.startswith(_ROOT + os.sep)
