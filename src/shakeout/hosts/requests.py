"""What one session has asked of its agent, and who waits for the answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from shakeout.errors import ShakeoutError
from shakeout.hosts.refusals import refusal_error
from shakeout.hosts.waiter import Waiter
from shakeout.wire.messages import Answer, FileData, Listing, Refusal


class Request:
    """Something asked of the agent, until it is answered."""

    __slots__ = ("answer", "on_answer", "on_data", "on_listing")

    def __init__(self) -> None:
        self.answer: Waiter[Answer] = Waiter()
        #: Called in the loop's thread when the answer (None), or an error in its place or after it, is there.
        self.on_answer: Callable[[ShakeoutError | None], None] | None = None
        self.on_listing: Callable[[Listing], None] | None = None
        self.on_data: Callable[[bytes], None] | None = None

    def fail(self, error: ShakeoutError) -> None:
        """It is not carried out, or nobody can say whether it was."""
        self.answer.fail(error)
        if self.on_answer is not None:
            self.on_answer(error)


class Requests:
    """Those that are open: used by the recipe's threads (`open`, `close`) and the loop's.

    Args:
        host: the host's name, for messages.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._open: dict[int, Request] = {}
        self._numbers = itertools.count(1)

    def open(self) -> tuple[int, Request]:
        """A new one, and its number."""
        number = next(self._numbers)
        request = self._open[number] = Request()
        return number, request

    def close(self, number: int) -> None:
        """Nobody waits for the answer any more."""
        self._open.pop(number, None)

    def answered(self, message: Answer | Refusal | Listing | FileData) -> None:
        """An answer came, or a part of it; one that nobody waits for is no news."""
        request = self._open.get(message.id)
        if request is None:
            return
        if isinstance(message, Answer):
            request.answer.set(message)
            if request.on_answer is not None:
                request.on_answer(None)
        elif isinstance(message, Refusal):
            request.fail(refusal_error(message, self.host))
        elif isinstance(message, Listing):
            if request.on_listing is not None:
                request.on_listing(message)
        elif request.on_data is not None:
            request.on_data(message.data)

    def fail_all(self, error: Callable[[], ShakeoutError]) -> None:
        """There will be no answers any more."""
        for request in list(self._open.values()):
            request.fail(error())
