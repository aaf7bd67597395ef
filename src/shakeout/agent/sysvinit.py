"""Services of a host that has start scripts in /etc/init.d, and no systemd that runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from shakeout.agent.bootlinks import Links, links_of, named_along, restore_links
from shakeout.agent.program import Outcome, find
from shakeout.agent.servicesteps import PATIENCE, Before, Steps
from shakeout.errors import LabLacks, ServiceError, UsageError, did_you_mean
from shakeout.wire.services import ServiceState
from shakeout.wire.undo import ServiceSet

SCRIPTS = "/etc/init.d"
#: What a script's `status` ends with (Linux Standard Base, 20.2): 0 for running, these for not running.
_STOPPED = (1, 2, 3)
#: What insserv writes beside the links.
_ORDER_FILES = tuple(f"{SCRIPTS}/.depend.{kind}" for kind in ("boot", "start", "stop"))
#: Where units of the same names may be: Debian's update-rc.d enables those, too.
_UNITS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
#: Seconds between looks whether a service has started, or stopped; 2.5 in all.
_PAUSES = ("0.02", "0.05", "0.1", "0.3", "1", "1")
_START_LEVELS = ("/rc2.d/S", "/rc3.d/S", "/rc4.d/S", "/rc5.d/S", "/rcS.d/S")


class Sysvinit:
    """Scripts in /etc/init.d, and links to them made by ``update-rc.d`` (Debian) or ``chkconfig`` (Red Hat)."""

    def look(self, service: str) -> Steps[ServiceState]:
        """How is *service*?"""
        state, _, _ = yield from self._look(service.removesuffix(".service"))
        return state

    def change(self, service: str, enable: bool, before: Before) -> Steps[tuple[ServiceState, ServiceState]]:
        """Enable and start it, or disable and stop it.

        Raises:
            UsageError: there is no such script, or it does not say whether its service runs.
            LabLacks: nothing on the host makes the links.
            ServiceError: the script, or what makes the links, failed.
        """
        name = service.removesuffix(".service")
        state, knows, links = yield from self._look(name)
        if not state.exists:
            raise UsageError(
                f"there is no service {service!r} on this host, which has sysvinit scripts in {SCRIPTS} and no "
                f"systemd{did_you_mean(name, _scripts())}"
            )
        if not knows:
            raise UsageError(
                f"{SCRIPTS}/{name} does not say whether its service runs, so it could not be put back; use "
                f'run("service {name} start") if you mean to'
            )
        tool = _link_tool()
        if (state.active, state.enabled) == (enable, enable):
            return state, state
        family = _family(name)
        entry = ServiceSet(
            service=name, active=state.active, enabled=state.enabled, manager="sysvinit",
            links=links_of(family), family=family,
        )  # fmt: skip
        before(entry, tuple(path for path in _ORDER_FILES if os.path.exists(path)))  # noqa: PTH110
        if state.enabled != enable:
            for argv in _linking(tool, name, links, enable=enable):
                _check((yield argv), f"{argv[0]} could not {'enable' if enable else 'disable'} {name}")
        if state.active != enable:
            yield from self._turn(name, enable)
        now, _, _ = yield from self._look(name)
        return state, now

    def restore(self, entry: ServiceSet) -> Steps[str]:
        """Put the links back, then what runs."""
        done = []
        if entry.links is not None and restore_links(entry.family, entry.links):
            done.append("links restored")
        state, _, _ = yield from self._look(entry.service)
        if entry.active is not None and state.active != entry.active:
            yield from self._turn(entry.service, entry.active)
            done.append("started" if entry.active else "stopped")
        return f"{entry.service}: {', '.join(done) or 'already so'}"

    def _turn(self, name: str, on: bool) -> Steps[None]:
        """Start or stop it, and see that it is so: many a script returns before its daemon has written its number."""
        verb = "start" if on else "stop"
        _check((yield _script(name, verb)), f"{SCRIPTS}/{name} could not {verb} its service")
        for pause in _PAUSES:
            state, _, _ = yield from self._look(name)
            if state.active == on:
                return
            yield ("sleep", pause)  # a script has no other way to tell
        ran, is_so = ("started", "does not run") if on else ("stopped", "still runs")
        raise ServiceError(f"{SCRIPTS}/{name} {ran} its service, as it says, but that {is_so}")

    def _look(self, name: str) -> Steps[tuple[ServiceState, bool, Links]]:
        """The state of a service, whether that is certain, and its links."""
        links = links_of((name,))
        if not os.access(f"{SCRIPTS}/{name}", os.X_OK):
            return ServiceState(name, "sysvinit", exists=False, text="not there"), False, links
        said = yield _script(name, "status")
        knows = said.status in (0, *_STOPPED) and "usage:" not in said.output.lower()
        active = knows and said.status == 0
        enabled = any(level in path for path, _ in links for level in _START_LEVELS)
        boot = "enabled" if enabled else "disabled"
        text = f"{'running' if active else 'stopped' if knows else 'its script does not say whether it runs'}, {boot}"
        pid = _main_pid(name) if active else 0
        return ServiceState(name, "sysvinit", True, active, enabled, pid, boot, text), knows, links


def scripts_there() -> bool:
    """Whether this host has such scripts at all."""
    return next(_scripts(), None) is not None


def _scripts() -> Iterator[str]:
    try:
        names = sorted(os.listdir(SCRIPTS))  # noqa: PTH208
    except OSError:
        return
    for name in names:
        path = f"{SCRIPTS}/{name}"
        if not name.startswith(".") and os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            yield name


def _script(name: str, verb: str) -> tuple[str, ...]:
    """How a script is called: through `service`, which gives it a clean environment, where there is that."""
    return ("service", name, verb) if find("service") else (f"{SCRIPTS}/{name}", verb)


def _link_tool() -> str:
    for tool in ("update-rc.d", "chkconfig"):
        if find(tool):
            return tool
    raise LabLacks(
        f"this host has sysvinit scripts in {SCRIPTS}, no systemd, and neither update-rc.d nor chkconfig to enable "
        "them with; start a service with run() instead"
    )


def _linking(tool: str, name: str, links: Links, *, enable: bool) -> Iterator[tuple[str, ...]]:
    """The commands that make the links."""
    if tool == "chkconfig":
        if not links:
            yield (tool, "--add", name)
        yield (tool, name, "on" if enable else "off")
        return
    if not links:
        yield (tool, name, "defaults")
    yield (tool, name, "enable" if enable else "disable")


def _family(name: str) -> tuple[str, ...]:
    """The scripts and units whose links a change of *name* may touch: with insserv, which numbers anew, all."""
    names = {name, *(_scripts() if find("insserv") or os.path.exists("/usr/lib/insserv/insserv") else ())}  # noqa: PTH110
    units = {f"{one}.service" for one in names}
    return tuple(sorted(names | units | named_along(f"{place}/{name}.service" for place in _UNITS)))


def _main_pid(name: str) -> int:
    try:
        with open(f"/run/{name}.pid", encoding="ascii") as file:  # noqa: PTH123
            pid = int(file.read(20))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return 0
    return pid


def _check(outcome: Outcome, text: str) -> None:
    if outcome.status != 0:
        why = f"it did not end within {PATIENCE:g} s, and was killed" if outcome.late else outcome.output[-2000:]
        raise ServiceError(f"{text}: {why or f'it ended with status {outcome.status}'}")
