"""What messages carry besides plain values."""

from __future__ import annotations

from typing import Literal

import msgspec


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One thing of a file transfer.

    Attributes:
        path: relative to the transfer's destination, "" for the destination itself.
        kind: "file", "dir" or "link".
        mode: permission bits.
        size: bytes of content that follow, for a file.
        target: where a link leads.
    """

    path: str
    kind: Literal["file", "dir", "link"]
    mode: int
    size: int = 0
    target: str = ""


class Reservation(msgspec.Struct, frozen=True, array_like=True):
    """A host that is kept for somebody.

    Attributes:
        owner: whom for.
        reason: what for, in their words; "" if they gave none.
        seconds: how long it still holds.
    """

    owner: str
    reason: str
    seconds: float


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One step of putting a host back: what was done, and why it failed if it did."""

    text: str
    error: str = ""
