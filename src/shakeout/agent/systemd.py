"""Services of a host whose process 1 is systemd."""

from __future__ import annotations

import re

import msgspec

from shakeout.agent.bootlinks import links_of, named_along, restore_links
from shakeout.agent.program import Outcome
from shakeout.agent.servicesteps import PATIENCE, Before, Steps
from shakeout.errors import ServiceError, UsageError, did_you_mean
from shakeout.wire.services import ServiceState
from shakeout.wire.undo import ServiceSet

_PROPERTIES = (
    "Id", "Names", "Description", "LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID", "FragmentPath",
    "DropInPaths", "NeedDaemonReload", "TriggeredBy",
)  # fmt: skip
#: States of a unit file in which `systemctl enable` has nothing to do: no [Install] section, or no file.
_NOT_INSTALLABLE = ("static", "transient", "")
_RUNNING = ("active", "activating", "reloading", "refreshing")


class Unit(msgspec.Struct, frozen=True):
    """A unit as `systemctl show` tells it (systemd's own words)."""

    id: str
    names: tuple[str, ...] = ()
    description: str = ""
    load: str = ""
    active: str = ""
    sub: str = ""
    #: "enabled", "disabled", "static", "masked", "generated" …; "" without a unit file.
    file: str = ""
    main_pid: int = 0
    #: The unit file and its drop-ins.
    paths: tuple[str, ...] = ()
    #: Whether its file has changed since systemd read it.
    stale: bool = False
    #: Sockets, timers and paths that start it.
    triggers: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether there is such a unit."""
        return self.load != "not-found"

    @property
    def runs(self) -> bool:
        """Whether it runs, or is being started."""
        return self.active in _RUNNING

    @property
    def masked(self) -> bool:
        """Whether nothing can start it."""
        return self.load == "masked" or self.file.startswith("masked")

    def state(self) -> ServiceState:
        """What travels of it."""
        text = f"{self.active} ({self.sub}), {self.file or 'without a unit file'}" if self.exists else "not there"
        if self.triggers and not self.runs:
            text += f"; can be started by {', '.join(self.triggers)}"
        return ServiceState(
            self.id, "systemd", self.exists, self.runs, self.file == "enabled", self.main_pid, self.file, text
        )


class Systemd:
    """systemd, asked through `systemctl`."""

    def look(self, service: str) -> Steps[ServiceState]:
        """How is *service*?"""
        unit = yield from self._unit(service)
        return unit.state()

    def change(self, service: str, enable: bool, before: Before) -> Steps[tuple[ServiceState, ServiceState]]:
        """Enable and start it, or disable and stop it.

        A unit that cannot be enabled (static) is only started or stopped.

        Raises:
            UsageError: there is no such unit, or it could not be put back.
            ServiceError: systemd could not do it.
        """
        unit = yield from self._unit(service)
        if not unit.exists:
            known = yield from self._known()
            raise UsageError(
                f"there is no service {service!r} on this host{did_you_mean(unit.id, known)}; "
                "`systemctl list-unit-files` there shows all"
            )
        if unit.masked and (enable or unit.runs):
            raise UsageError(_about_masked(unit, enable=enable))
        verbs = _verbs(unit, enable=enable)
        if not verbs:
            return unit.state(), unit.state()
        family = tuple(sorted({unit.id, *unit.names, *named_along(unit.paths)}))
        entry = ServiceSet(
            service=unit.id, active=unit.runs, enabled=unit.file == "enabled", manager="systemd",
            links=links_of(family), family=family, failed=unit.active == "failed",
        )  # fmt: skip
        before(entry, ())
        for verb in verbs:
            yield from self._do(verb, "" if verb == "daemon-reload" else unit.id)
        now = yield from self._unit(unit.id)
        return unit.state(), now.state()

    def restore(self, entry: ServiceSet) -> Steps[str]:
        """Put the links back, then what runs."""
        done = []
        if entry.links is not None and restore_links(entry.family, entry.links):
            yield from self._do("daemon-reload", "")
            done.append("links restored")
        unit = yield from self._unit(entry.service)
        if entry.active is not None and unit.runs != entry.active and (unit.exists or entry.active):
            yield from self._do("start" if entry.active else "stop", entry.service)
            done.append("started" if entry.active else "stopped")
            unit = yield from self._unit(entry.service)
        if unit.active == "failed" and entry.active is False and not entry.failed:
            yield from self._do("reset-failed", entry.service)
            done.append("its failure forgotten")
        return f"{entry.service}: {', '.join(done) or 'already so'}"

    def _unit(self, service: str) -> Steps[Unit]:
        asked = yield ("systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", service)
        if asked.status != 0:
            raise ServiceError(f"systemd does not say how {service} is: {_why(asked)}")
        unit = parse(asked.output)
        if unit.file == "generated":  # from a script in /etc/init.d; systemd asks its links
            said = yield ("systemctl", "is-enabled", "--", unit.id)
            word = said.output.split()[-1:]
            unit = msgspec.structs.replace(unit, file=word[0] if word else unit.file)
        return unit

    def _known(self) -> Steps[list[str]]:
        listed = yield ("systemctl", "list-unit-files", "--type=service", "--no-legend", "--no-pager", "--plain")
        return [line.split()[0] for line in listed.output.splitlines() if line.strip()]

    def _do(self, verb: str, service: str) -> Steps[None]:
        argv = ("systemctl", "--no-ask-password", "--quiet", verb, *(("--", service) if service else ()))
        done = yield argv
        if done.status == 0:
            return
        text = f"systemd could not {verb} {service}".rstrip() + f": {_why(done)}"
        if verb in ("start", "stop") and not done.late:
            told = yield ("systemctl", "status", "--no-pager", "--full", "--lines=5", "--", service)
            text += f"\n{told.output[-2000:]}"
        raise ServiceError(text)


def parse(output: str) -> Unit:
    """A unit from the lines that `systemctl show` prints."""
    told = dict(line.split("=", 1) for line in output.splitlines() if re.match(r"[A-Z][A-Za-z]*=", line))
    return Unit(
        id=told.get("Id", ""),
        names=tuple(told.get("Names", "").split()),
        description=told.get("Description", ""),
        load=told.get("LoadState", ""),
        active=told.get("ActiveState", ""),
        sub=told.get("SubState", ""),
        file=told.get("UnitFileState", ""),
        main_pid=int(pid) if (pid := told.get("MainPID", "0")).isdecimal() else 0,
        paths=(told.get("FragmentPath", ""), *told.get("DropInPaths", "").split()),
        stale=told.get("NeedDaemonReload") == "yes",
        triggers=tuple(told.get("TriggeredBy", "").split()),
    )


def _verbs(unit: Unit, *, enable: bool) -> list[str]:
    """What is to be told systemd, in this order."""
    verbs = []
    if enable:
        if unit.file not in (*_NOT_INSTALLABLE, "enabled"):
            verbs.append("enable")
        if not unit.runs:
            verbs += ["start"] if not unit.stale or verbs else ["daemon-reload", "start"]
    else:
        if unit.file.startswith("enabled"):
            verbs.append("disable")
        if unit.runs:
            verbs.append("stop")
    return verbs


def _about_masked(unit: Unit, *, enable: bool) -> str:
    if enable:
        return (
            f"{unit.id} is masked on this host: somebody has seen to it that nothing starts it; if that is to change, "
            f'run("systemctl unmask {unit.id}") first'
        )
    return f"{unit.id} runs, but is masked on this host: it could be stopped, but not be started again at the end"


def _why(outcome: Outcome) -> str:
    if outcome.late:
        return f"systemctl did not end within {PATIENCE:g} s, and was killed"
    return outcome.output[-2000:] or f"systemctl ended with status {outcome.status}"
