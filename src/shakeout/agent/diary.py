"""What an agent that stays tells of its sessions: a line when one begins, and one when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shakeout.wire.harmless import one_line
from shakeout.wire.parts import Step

#: Steps that failed are told so many of, and characters of each.
_MOST, _LONGEST = 10, 300
_LONGEST_RUN = 100


class Diary:
    """Says who had the host, how that ended, and whether the host is as before; what others say is made harmless.

    Args:
        say: told each line; None: nobody wants to know.
    """

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self._say = say

    def taken(self, controller: str, run: str, *, again: bool = False) -> None:
        """A session has begun; *again*: of the run that had kept the host."""
        self._tell(controller, run, "has come back to the host that it had kept" if again else "has the host now")

    def kept(self, controller: str, run: str) -> None:
        """It left the host as it is."""
        self._tell(controller, run, "keeps the host as it is")

    def over(self, controller: str, run: str, why: str, steps: Sequence[Step]) -> None:
        """The session is over, and the host was put back in *steps*; *why* it was lost, "" if it was ended."""
        how = f"was lost ({one_line(why, _LONGEST)})" if why else "is done with the host"
        self._tell(controller, run, f"{how}; {_outcome(steps)}")

    def _tell(self, controller: str, run: str, what: str) -> None:
        if self._say is not None:
            who, run = one_line(controller, _LONGEST) or "a controller", one_line(run, _LONGEST_RUN)
            self._say(f"{who} {what}" if f"run {run}" in who else f"{who}, run {run}, {what}")


def _outcome(steps: Sequence[Step]) -> str:
    if not steps:
        return "there was nothing to put back"
    failed = [f"{step.text}: {step.error}" for step in steps if step.error]
    number = f"{len(steps)} steps" if len(steps) > 1 else "1 step"
    if not failed:
        return f"it was put back ({number})"
    told = "; ".join(one_line(text, _LONGEST) for text in failed[:_MOST])
    more = f"; and {len(failed) - _MOST} more" if len(failed) > _MOST else ""
    return f"of {number} to put it back, {len(failed)} failed: {told}{more}"
