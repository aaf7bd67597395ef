"""The command line: arguments become one call into the layers below."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from shakeout.labs.netns import NetnsLab

#: A laboratory that was started before the command line was even read, if that looked like a run.
_early_lab: NetnsLab | None = None


def main() -> NoReturn:
    """The program ``shakeout``."""
    arguments = sys.argv[1:]
    _start_early(arguments)
    from shakeout.cli.program import run_program

    sys.exit(run_program(arguments))


def take_early_lab() -> NetnsLab | None:
    """The laboratory that is being made already, for whoever needs it first."""
    global _early_lab
    lab, _early_lab = _early_lab, None
    return lab


def _start_early(arguments: list[str]) -> None:
    """Have the default laboratory warm up, in parallel with everything else, if this is going to need it."""
    global _early_lab
    words = [word for word in arguments if word not in ("-d", "--debug")]
    ours = words[: words.index("--")] if "--" in words else words
    if ours[:1] != ["run"] or len(ours) < 2:
        return
    if any(word.startswith(("--help", "-h", "--pool", "--lab")) for word in ours):
        return
    from shakeout.labs.netns import NetnsLab

    _early_lab = NetnsLab()
