"""How a service of a host is, as its agent says it."""

from __future__ import annotations

import msgspec


class ServiceState(msgspec.Struct, frozen=True):
    """A service of a host at one moment.

    Attributes:
        name: what the host calls it: "chrony.service".
        manager: who manages it there: "systemd" or "sysvinit".
        exists: whether the host has it at all.
        active: whether it runs, or is being started.
        enabled: whether it is started at boot because it was enabled.
        main_pid: its main process; 0 if there is none, or none is known.
        boot: what its manager says of that in its own words: "enabled", "static", "masked" …
        text: all of it in a line, for people.
    """

    name: str
    manager: str
    exists: bool
    active: bool = False
    enabled: bool = False
    main_pid: int = 0
    boot: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"
