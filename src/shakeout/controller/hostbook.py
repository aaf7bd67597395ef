"""The host book of a run: where its hosts can be reached, for other terminals, while they live.

It lies in the run's folder, readable by its owner alone, from the moment sessions are open to the end of the part,
or until they are removed if they are kept. No secrets are in it: who may not connect to an agent gets nothing from it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from shakeout.errors import JournalBroken
from shakeout.files.placing import place

_NAME = "hosts.json"
#: No book is longer; what is was not written here.
_LONGEST = 16 << 20


class HostBook(msgspec.Struct, frozen=True, kw_only=True):
    """Where the hosts of one part of a run are.

    Attributes:
        run: the run's id, which an agent wants to hear from a second terminal.
        hosts: name in the recipe -> "unix:PATH OF THE AGENT'S SOCKET".
        lab: the folder of the laboratory that made them; "" if they were there before.
        kept: the run is over (or about to be), and they were left as they are.
    """

    run: str
    hosts: dict[str, str]
    lab: str = ""
    kept: bool = False

    @property
    def reachable(self) -> bool:
        """Whether there is any of them still, as far as one can tell without connecting."""
        return any(via != "unix" or Path(place).exists() for via, place in map(_parted, self.hosts.values()))


def _parted(address: str) -> tuple[str, str]:
    via, _, place = address.partition(":")
    return via, place


def write_book(folder: Path, book: HostBook) -> None:
    """Write *book* into the run's *folder*, in place of an earlier one.

    Raises:
        JournalBroken: there is no room for it.
    """
    try:
        place(folder / _NAME, msgspec.json.encode(book), 0o600, sync=False)
    except OSError as error:
        raise JournalBroken(f"{folder / _NAME} cannot be written: {error.strerror}") from error


def read_book(folder: Path) -> HostBook | None:
    """The host book in a run's folder; None if the run has no hosts now."""
    try:
        descriptor = os.open(folder / _NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return msgspec.json.decode(file.read(_LONGEST), type=HostBook)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def drop_book(folder: Path) -> None:
    """The hosts are gone."""
    (folder / _NAME).unlink(missing_ok=True)
