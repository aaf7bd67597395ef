"""What is done with services, as steps: generators that yield the programs to be run and are sent how these ended.

So one description serves both the agent's loop, which goes on meanwhile, and the undo of an agent that was killed,
which waits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol, TypeAlias, TypeVar

from shakeout.agent.program import Outcome, run
from shakeout.wire.services import ServiceState
from shakeout.wire.undo import ServiceSet

Result = TypeVar("Result")

#: Yields argument lists; is sent their outcomes; returns its result.
Steps: TypeAlias = Generator[tuple[str, ...], Outcome, Result]

#: Writes down how a change is undone: the entry, and files that the change may rewrite.
Before: TypeAlias = Callable[[ServiceSet, tuple[str, ...]], None]

#: Seconds that starting or stopping a service may take; systemd itself gives up after 90.
PATIENCE = 100.0


class ServiceManager(Protocol):
    """What starts services on a host."""

    def look(self, service: str) -> Steps[ServiceState]:
        """How is *service*?"""

    def change(self, service: str, enable: bool, before: Before) -> Steps[tuple[ServiceState, ServiceState]]:
        """Enable and start *service*, or disable and stop it; how it was before, and is now."""

    def restore(self, entry: ServiceSet) -> Steps[str]:
        """Put a service back; what was done."""


def carry_out(steps: Steps[Result]) -> Result:
    """Do all *steps* here and now; returns their result, raises what they raise."""
    try:
        argv = next(steps)
        while True:
            argv = steps.send(run(argv, PATIENCE))
    except StopIteration as end:
        result: Result = end.value
        return result
