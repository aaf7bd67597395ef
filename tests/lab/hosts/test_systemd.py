"""Services on a machine whose process 1 is a real systemd: changed, refused, and put back link by link."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.lab.hosts.sleeper import SCRIPT
from tests.lab.hosts.systemd_machine import SystemdMachine

from shakeout.errors import ServiceError, UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import Setting
from shakeout.testing import Connected, Laboratory, Recording
from shakeout.wire.messages import SetService
from shakeout.wire.services import ServiceState

pytestmark = pytest.mark.needs("systemctl", "nsenter")

_QUICK = "[Unit]\nDefaultDependencies=no\nDescription={name}\n"
_RUN = "[Service]\nExecStart=/bin/sleep infinity\n"
_INSTALL = "[Install]\nWantedBy=nothing.target\n"
UNITS = {
    "plain.service": _RUN + _INSTALL,
    "along.service": _RUN + "[Install]\nWantedBy=nothing.target\nAlias=other-name.service\nAlso=plain.service\n",
    "static.service": _RUN,
    "broken.service": "[Service]\nExecStart=/bin/false\nType=oneshot\n" + _INSTALL,
    "many@.service": _RUN + "[Install]\nWantedBy=nothing.target\nDefaultInstance=one\n",
    "slow.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n" + _INSTALL,
}


@pytest.fixture(scope="module")
def booted() -> Iterator[SystemdMachine]:
    with SystemdMachine() as machine:
        for name, text in UNITS.items():
            machine.path(f"/etc/systemd/system/{name}").write_text(_QUICK.format(name=name) + text)
        machine.path("/etc/systemd/system/masked.service").symlink_to("/dev/null")
        machine.run("systemctl", "daemon-reload")
        machine.start_agent()
        yield machine


@pytest.fixture
def session(booted: SystemdMachine, laboratory: Laboratory, recording: Recording) -> Iterator[Connected]:
    with (one := Connected("m1", booted.connect(), laboratory.loop.reactor, recording)):
        yield one


@pytest.fixture
def host(session: Connected) -> Host:
    return session.host


@pytest.fixture
def as_before(booted: SystemdMachine, session: Connected) -> Iterator[Callable[[], None]]:
    """Ends the session, and says whether all is as it was."""
    before = everything(booted)

    def check() -> None:
        session.end()
        assert everything(booted) == before

    yield check


def everything(booted: SystemdMachine) -> tuple[dict[str, str], str]:
    """All boot links, and what runs of our units."""
    links = {}
    for top in ("/etc/systemd/system", "/run/systemd/system"):
        for folder, below, names in os.walk(booted.path(top)):
            for name in (*below, *names):
                path = Path(folder, name)
                if path.is_symlink():
                    links[str(path)] = str(path.readlink())
    return links, booted.run("systemctl", "is-active", *RUNNING)


RUNNING = ("plain", "along", "static", "many@one", "masked", "broken", "slow")


def test_it_runs_and_will_at_boot(
    booted: SystemdMachine, host: Host, recording: Recording, as_before: Callable[[], None]
) -> None:
    assert host.service("plain") == ServiceState(
        "plain.service", "systemd", True, boot="disabled", text="inactive (dead), disabled"
    )
    now = host.enable_service("plain")
    assert (now.name, now.active, now.enabled, now.boot) == ("plain.service", True, True, "enabled")
    assert host.run(["cat", f"/proc/{now.main_pid}/comm"]).stdout == "sleep\n"
    assert host.service("plain.service") == now
    assert host.enable_service("plain") == now
    (first, second) = recording.of(Setting)
    assert (first.path, first.value, first.previous) == (
        "service plain.service", "active (running), enabled", "inactive (dead), disabled",
    )  # fmt: skip
    assert second.value == second.previous
    as_before()


def test_it_does_not_run_and_will_not(booted: SystemdMachine, host: Host, as_before: Callable[[], None]) -> None:
    host.enable_service("plain")
    now = host.disable_service("plain")
    assert (now.active, now.enabled, now.main_pid, now.boot) == (False, False, 0, "disabled")
    as_before()


def test_of_one_that_ran_each_half_is_put_back(
    booted: SystemdMachine, laboratory: Laboratory, session: Connected
) -> None:
    """Running but not enabled; enabled but not running, in a place of its own, too; enabled until the next boot."""
    booted.run("systemctl", "start", "plain")
    booted.run("systemctl", "enable", "static", "along")
    booted.run("systemctl", "enable", "--runtime", "many@one")
    wants = booted.path("/etc/systemd/system/sysinit.target.wants")
    wants.mkdir()
    (wants / "along.service").symlink_to("/etc/systemd/system/along.service")
    before = everything(booted)
    for name in ("plain", "along", "many@one"):
        session.host.enable_service(name)
        session.host.disable_service(name)
        session.host.enable_service(name)
    assert everything(booted) != before
    session.end()
    assert everything(booted) == before
    booted.run("systemctl", "stop", "plain")
    booted.run("systemctl", "disable", "along", "many@one")
    assert not list(wants.parent.glob("*.wants/*"))


def test_what_is_enabled_along_is_put_back(booted: SystemdMachine, host: Host, as_before: Callable[[], None]) -> None:
    assert host.enable_service("along").enabled
    assert host.service("plain").enabled
    assert host.service("other-name").name == "along.service"
    as_before()


def test_a_static_unit_is_only_started(host: Host, as_before: Callable[[], None]) -> None:
    now = host.enable_service("static")
    assert (now.active, now.enabled, now.boot) == (True, False, "static")
    assert not host.disable_service("static").active
    host.enable_service("static")
    as_before()


def test_an_instance_of_a_template(host: Host, as_before: Callable[[], None]) -> None:
    assert host.enable_service("many@one").name == "many@one.service"
    as_before()


def test_a_masked_one_is_refused(host: Host, as_before: Callable[[], None]) -> None:
    state = host.service("masked")
    assert (state.exists, state.boot, state.enabled) == (True, "masked", False)
    with pytest.raises(UsageError, match=r"masked\.service is masked on this host.*systemctl unmask"):
        host.enable_service("masked")
    assert not host.disable_service("masked").active
    as_before()


def test_an_unknown_one_is_refused(host: Host) -> None:
    assert not host.service("nobody").exists
    with pytest.raises(UsageError, match=r"no service 'plian'.*did you mean 'plain\.service'"):
        host.enable_service("plian")


@pytest.mark.parametrize("name", ["", "-h", "a b", "../x", "/etc/passwd", "a\0b", "x" * 300, "a;b"])
def test_what_is_no_name_is_refused(host: Host, name: str) -> None:
    with pytest.raises(UsageError):
        host.enable_service(name)
    with pytest.raises(UsageError):
        host.service(name)


def test_one_that_does_not_start_says_why(host: Host, as_before: Callable[[], None]) -> None:
    with pytest.raises(ServiceError, match=r"could not start broken\.service(?s:.*)status=1/FAILURE"):
        host.enable_service("broken")
    as_before()


def test_one_that_a_recipe_has_brought(booted: SystemdMachine, host: Host, as_before: Callable[[], None]) -> None:
    host.run("cat > /etc/systemd/system/brought.service", stdin=_QUICK.format(name="brought") + _RUN + _INSTALL)
    assert host.enable_service("brought").active
    as_before()
    booted.path("/etc/systemd/system/brought.service").unlink()


def test_a_script_that_systemd_has_taken_on(booted: SystemdMachine, host: Host, as_before: Callable[[], None]) -> None:
    host.run("cat >/etc/init.d/sleeper; chmod 755 /etc/init.d/sleeper; systemctl daemon-reload", stdin=SCRIPT)
    before = host.run("ls -l --time-style=+ /etc/rc?.d").stdout
    assert not host.service("sleeper").enabled
    now = host.enable_service("sleeper")
    assert (now.active, now.enabled) == (True, True)
    host.run("ls /etc/rc2.d/S??sleeper")
    as_before()
    assert booted.run("sh", "-c", "ls -l --time-style=+ /etc/rc?.d").strip() == (before or "").strip()


def test_a_hanging_systemctl_keeps_nobody_waiting(session: Connected, as_before: Callable[[], None]) -> None:
    """A start that never ends: jobs go on meanwhile, and the session ends."""
    session.session.send(SetService(10_000, "slow", enable=True))
    session.host.wait_for("systemctl show -P SubState slow | grep start", timeout=20)
    assert session.host.run("true", timeout=10).passed
    as_before()


def test_a_killed_agent_puts_back_at_its_next_start(laboratory: Laboratory) -> None:
    with SystemdMachine() as machine:
        for name in ("plain.service", "static.service"):
            machine.path(f"/etc/systemd/system/{name}").write_text(_QUICK.format(name=name) + UNITS[name])
        machine.run("systemctl", "enable", "--now", "plain")
        before = everything(machine)
        agent = machine.start_agent()
        one = Connected("m1", machine.connect(), laboratory.loop.reactor)
        one.host.disable_service("plain")
        one.host.enable_service("static")
        assert everything(machine) != before
        machine.kill_agent(agent)
        machine.start_agent()
        assert everything(machine) == before
