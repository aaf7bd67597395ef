"""Services of hosts without systemd: scripts in /etc/init.d, or an honest word of what there is instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.lab.hosts.sleeper import SCRIPT

from shakeout.errors import LabLacks, ServiceError, UsageError
from shakeout.testing import Connected, Laboratory

pytestmark = pytest.mark.needs("update-rc.d", "start-stop-daemon")

#: Every link, and what runs.
LOOK = "ls -l --time-style=+ /etc/rc?.d; service sleeper status; echo $?"


@pytest.fixture
def connect(laboratory: Laboratory) -> Iterator[Callable[[], Connected]]:
    """Connects to a host that has the scripts sleeper, mute and broken; they stay when a session is over."""
    ready = laboratory.make({"m1": {"eth0": "net1"}})["m1"]
    try:
        with laboratory.connect(ready) as setup:
            for name, text in (
                ("sleeper", SCRIPT),
                ("mute", "#!/bin/sh\necho 'Usage: mute start'; exit 1\n"),
                (
                    "broken",
                    SCRIPT.replace("start) ", "start) echo 'no configuration'; exit 6; ").replace("sleeper", "broken"),
                ),
            ):
                setup.run(
                    f"rm -f /etc/rc?.d/*{name}; cat >/etc/init.d/{name}; chmod 755 /etc/init.d/{name}", stdin=text
                )
        yield lambda: laboratory.connect(ready)
    finally:
        laboratory.remove_hosts()


def test_started_stopped_and_put_back(connect: Callable[[], Connected]) -> None:
    with connect() as host:
        before = host.run(LOOK).stdout
        assert host.service("sleeper").text == "stopped, disabled"
        now = host.enable_service("sleeper")
        assert (now.manager, now.exists, now.active, now.enabled) == ("sysvinit", True, True, True)
        assert host.run(["cat", f"/proc/{now.main_pid}/comm"]).stdout == "sleep\n"
        host.run("ls /etc/rc2.d/S??sleeper /etc/rc0.d/K??sleeper")
        assert host.enable_service("sleeper.service") == now
        assert host.disable_service("sleeper").text == "stopped, disabled"
        host.enable_service("sleeper")
    with connect() as host:
        assert host.run(LOOK).stdout == before


def test_of_one_that_ran_links_and_numbers_are_put_back(connect: Callable[[], Connected]) -> None:
    with connect() as host:
        host.run("update-rc.d sleeper defaults; mv /etc/rc3.d/S01sleeper /etc/rc3.d/S42sleeper; service sleeper start")
        host.wait_for("service sleeper status")  # in the background: it becomes what it is to be a moment later
        before = host.run(LOOK).stdout
        assert before is not None and "S42sleeper" in before
    one = connect()
    assert one.host.disable_service("sleeper").text == "stopped, disabled"
    steps = one.end().steps
    assert [step.text for step in steps] == ["sleeper: links restored, started"]
    with connect() as host:
        host.wait_for("service sleeper status")
        assert host.run(LOOK).stdout == before


def test_what_cannot_be_put_back_or_done_is_said(connect: Callable[[], Connected]) -> None:
    with connect() as host:
        with pytest.raises(UsageError, match=r"/etc/init.d/mute does not say whether its service runs"):
            host.enable_service("mute")
        with pytest.raises(ServiceError, match=r"/etc/init.d/broken could not start its service: no configuration"):
            host.enable_service("broken")
        with pytest.raises(UsageError, match=r"no service 'slepper'.*sysvinit scripts.*did you mean 'sleeper'"):
            host.disable_service("slepper")
        assert not host.service("slepper").exists


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ("mkdir /run/openrc", "managed by OpenRC"),
        ("mkdir /run/runit", "managed by runit"),
        ("mv /etc/init.d /etc/no-init.d", "its process 1 is shakeout-agent"),
    ],
)
def test_a_host_without_either_says_what_it_has(connect: Callable[[], Connected], other: str, named: str) -> None:
    with connect() as host:
        host.run(other)
        for ask in (host.service, host.enable_service, host.disable_service):
            with pytest.raises(LabLacks, match=named):
                ask("sleeper")
