"""What a run, or a part of it, came to; and the exit status that says so."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Verdict(enum.StrEnum):
    """How a part of a run ended.

    Exit statuses take precedence in the order 130 > 3 > 1 > 0.
    """

    #: Everything that was checked is as it should be.
    PASSED = "passed"
    #: A check failed: a job, an ``add_result``, an AssertionError in ``test()``.
    FAILED = "failed"
    #: Something broke, so that nothing can be said: a host lost, an unexpected exception, a failed undo.
    ERROR = "error"
    #: Somebody interrupted it (Ctrl-C, a cancelled submission); the hosts were restored.
    CANCELLED = "cancelled"
    #: Somebody chose "abort" at a breakpoint, or the controller was killed before the end.
    ABORTED = "aborted"

    @property
    def exit_status(self) -> int:
        """The exit status of a command with this verdict."""
        return _EXIT_STATUS[self]

    @property
    def word(self) -> str:
        """PASS, FAIL or ERROR, as the last line of a summary has it."""
        return _WORD[self]


_EXIT_STATUS = {
    Verdict.PASSED: 0,
    Verdict.FAILED: 1,
    Verdict.ABORTED: 1,
    Verdict.ERROR: 3,
    Verdict.CANCELLED: 130,
}
_WORD = {
    Verdict.PASSED: "PASS",
    Verdict.FAILED: "FAIL",
    Verdict.ABORTED: "FAIL",
    Verdict.ERROR: "ERROR",
    Verdict.CANCELLED: "ERROR",
}
#: From the least to the most serious; of several, the most serious one counts.
_SEVERITY = (Verdict.PASSED, Verdict.FAILED, Verdict.ABORTED, Verdict.ERROR, Verdict.CANCELLED)


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a whole from those of its parts: the most serious; ``passed`` if there are none."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.PASSED)
