"""Answering requests of controllers: with what was asked for, or why not."""

from __future__ import annotations

from collections.abc import Callable

from shakeout.errors import LabLacks, ShakeoutError
from shakeout.wire.connection import Connection
from shakeout.wire.messages import Answer, Refusal


def answer(connection: Connection, request: int, action: Callable[[], bytes]) -> None:
    """Do *action* and send what it gives (packed data) as the answer to *request*, or its error as a refusal."""
    try:
        connection.send(Answer(request, action()))
    except LabLacks as error:
        connection.send(Refusal(request, "lacks", str(error)))
    except ShakeoutError as error:
        connection.send(Refusal(request, "usage", str(error)))
