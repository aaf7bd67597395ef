"""What `systemctl show` prints, and what is then told systemd."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.agent.systemd import Unit, _verbs, parse

#: As systemd 252 prints it, of a Debian machine.
SHOWN = """\
Type=notify
MainPID=612
Id=ssh.service
Names=ssh.service sshd.service
Description=OpenBSD Secure Shell server
LoadState=loaded
ActiveState=active
SubState=running
FragmentPath=/lib/systemd/system/ssh.service
DropInPaths=/etc/systemd/system/ssh.service.d/a=b.conf /run/x.conf
UnitFileState=enabled
NeedDaemonReload=no
TriggeredBy=ssh.socket
"""


def test_a_unit_as_shown() -> None:
    unit = parse(f"Warning: something on standard error\n{SHOWN}")
    assert unit == Unit(
        "ssh.service", ("ssh.service", "sshd.service"), "OpenBSD Secure Shell server", "loaded", "active", "running",
        "enabled", 612,
        ("/lib/systemd/system/ssh.service", "/etc/systemd/system/ssh.service.d/a=b.conf", "/run/x.conf"),
        stale=False, triggers=("ssh.socket",),
    )  # fmt: skip
    assert unit.state().text == "active (running), enabled"
    stopped = parse(SHOWN.replace("ActiveState=active", "ActiveState=inactive").replace("=running", "=dead"))
    assert stopped.state().text == "inactive (dead), enabled; can be started by ssh.socket"


@given(st.text())
def test_anything_printed_is_a_unit_or_none(printed: str) -> None:
    parse(printed)


@pytest.mark.parametrize(
    ("file", "active", "stale", "to_enable", "to_disable"),
    [
        ("disabled", "inactive", False, ["enable", "start"], []),
        ("disabled", "active", False, ["enable"], ["stop"]),
        ("enabled", "failed", True, ["daemon-reload", "start"], ["disable"]),
        ("enabled", "activating", False, [], ["disable", "stop"]),
        ("enabled-runtime", "active", False, ["enable"], ["disable", "stop"]),
        ("static", "inactive", True, ["daemon-reload", "start"], []),
        ("", "active", False, [], ["stop"]),
        ("indirect", "inactive", False, ["enable", "start"], []),
    ],
)
def test_what_is_done(file: str, active: str, stale: bool, to_enable: list[str], to_disable: list[str]) -> None:
    unit = Unit("x.service", file=file, active=active, stale=stale, load="loaded")
    assert _verbs(unit, enable=True) == to_enable
    assert _verbs(unit, enable=False) == to_disable
