"""The hosts that a run has kept: removed with their laboratory, or put back where they were there before."""

from __future__ import annotations

from pathlib import Path

from shakeout.controller.hostbook import HostBook, read_book
from shakeout.errors import AgentUnreachable, HostError, LeaseHeld, UndoFailed
from shakeout.hosts.dialing import Access, dial, parse_endpoint
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.labs.removal import remove_lab
from shakeout.wire.transports import Transport


def connect(address: str, access: Access | None = None) -> Transport:
    """Connect to an agent by its address in a host book.

    Raises:
        AgentUnreachable: nobody listens there.
        UsageError: what is needed on this side is not there.
    """
    return dial(parse_endpoint(address), access or Access())


def give_back(book: HostBook, access: Access | None = None) -> list[str]:
    """Remove the laboratory of *book*; where it has none, have the agents put their hosts back.

    Returns:
        what could not be put back, and why; what is not there any more needs nothing.

    Raises:
        HostError: the laboratory does not go.
    """
    if book.lab:
        remove_lab(Path(book.lab))
        return []
    loop = LoopThread()
    try:
        return [
            text for name, address in book.hosts.items() for text in _put_back(name, address, book.run, loop, access)
        ]
    finally:
        loop.close()


def give_back_earlier(folder: Path, access: Access | None = None) -> None:
    """Put back the hosts that an earlier part of the run in *folder* has kept: only those of the last part stay.

    Those that a laboratory made it removes itself, when it makes others.

    Raises:
        UndoFailed: not everything could be put back.
    """
    book = read_book(folder)
    if book is not None and book.kept and not book.lab:
        failed = give_back(book, access)
        if failed:
            raise UndoFailed("; ".join(failed))


def _put_back(name: str, address: str, run: str, loop: LoopThread, access: Access | None) -> list[str]:
    endpoint = parse_endpoint(address)
    try:
        session = Session(name, dial(endpoint, access or Access()), loop.reactor, run=run)
    except AgentUnreachable as error:
        if endpoint.via == "unix":
            return []  # there is no agent, and its next start puts the host back
        return [f"{name}: {error}; its agent, if it still runs, goes on keeping the host"]
    try:
        session.begin()
        session.welcome()
        ended = session.end()
    except LeaseHeld:
        return []  # the agent that kept it is gone, the next one has put it back, and somebody else has it
    except HostError as error:
        return [str(error)]
    return [f"{name}: {step.text}: {step.error}" for step in ended.steps if step.error]
