"""What starts services on this host: found out, and had put a service back."""

from __future__ import annotations

import os

from shakeout.agent.program import find
from shakeout.agent.servicesteps import ServiceManager, carry_out
from shakeout.agent.systemd import Systemd
from shakeout.agent.sysvinit import SCRIPTS, Sysvinit, scripts_there
from shakeout.errors import LabLacks, ServiceError, UndoFailed
from shakeout.wire.undo import ServiceSet


def manager() -> ServiceManager:
    """What manages services here.

    Raises:
        LabLacks: nothing that this release can talk to; the message says what there is.
    """
    if os.path.isdir("/run/systemd/system") and find("systemctl"):  # noqa: PTH112 - sd_booted(3)
        return Systemd()
    if other := _other_manager():
        raise LabLacks(
            f"services of this host are managed by {other}; enable_service() and disable_service() know systemd and "
            "sysvinit scripts: use run() with the commands of that host, and put back what you change"
        )
    if scripts_there():
        return Sysvinit()
    raise LabLacks(
        f"nothing on this host manages services: there is neither systemd nor a script in {SCRIPTS}, and its process 1 "
        f"is {_process_1()}; start a program with run(..., bg=True) instead"
    )


def _other_manager() -> str:
    if os.path.isdir("/run/openrc"):  # noqa: PTH112
        return "OpenRC"
    process_1 = _process_1()
    if process_1.startswith("runit") or os.path.isdir("/run/runit"):  # noqa: PTH112
        return "runit"
    if process_1.startswith("s6-svscan"):
        return "s6"
    return ""


def _process_1() -> str:
    try:
        with open("/proc/1/comm", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return "unknown"


def restore_service(entry: ServiceSet) -> str:
    """Do what *entry* says, and wait for it; what was done.

    Raises:
        UndoFailed: it could not be done.
    """
    known: dict[str, type[ServiceManager]] = {"systemd": Systemd, "sysvinit": Sysvinit}
    here = manager()
    if not isinstance(here, known.get(entry.manager, ())):
        raise UndoFailed(f"it was a service of {entry.manager or 'nobody'}, which does not manage this host now")
    try:
        return carry_out(here.restore(entry))
    except ServiceError as error:
        raise UndoFailed(str(error)) from error
