"""Standard input, output and error: a process may be started without them, and a recipe may close or replace them."""

from __future__ import annotations

import fcntl
import os
import sys
from typing import TextIO


def open_missing_streams() -> None:
    """Have standard input, output and error, leading nowhere if this process was started without.

    Else the next socket or file would get their number, and what is printed would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


class OwnStreams:
    """Copies of standard output and error as they are now, out of the reach of the code that runs meanwhile.

    Attributes:
        out, err: the copies.
    """

    def __init__(self) -> None:
        self.out = _copy(sys.stdout)
        self.err = _copy(sys.stderr)

    def take_back(self) -> None:
        """What was printed goes out, and the copies are standard output and error from now on."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass  # closed, replaced by something else, or nobody reads: who printed it will know
        sys.stdout, sys.stderr = self.out, self.err


def _copy(stream: TextIO) -> TextIO:
    try:
        number = fcntl.fcntl(stream.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    except (OSError, ValueError):  # no file behind it: a test's
        return stream
    return open(  # noqa: PTH123
        number, "w", encoding=stream.encoding, errors="backslashreplace", buffering=1 if stream.isatty() else -1
    )
