"""`sysfs_set` and `procfs_set`: set, refused, put back."""

from __future__ import annotations

import pytest

from shakeout.errors import LabLacks, UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import Setting
from shakeout.testing import Connected, Recording

FORWARD = "sys/net/ipv4/ip_forward"
QUEUE = "class/net/eth0/tx_queue_len"


def test_relative_and_absolute_and_the_old_value(host: Host, recording: Recording) -> None:
    assert host.procfs_set(FORWARD, 1) == "0"
    assert host.run(f"cat /proc/{FORWARD}").stdout == "1\n"
    assert host.procfs_set(f"/proc/{FORWARD}", "0") == "1"
    assert host.procfs_set(FORWARD, True) == "0"
    assert host.procfs_get(FORWARD) == "1"
    assert host.sysfs_set(QUEUE, 77) == "1000"
    assert host.sysfs_get(f"/sys/{QUEUE}") == "77"
    events = recording.of(Setting)
    assert [(event.path, event.value, event.previous) for event in events][:2] == [
        (f"/proc/{FORWARD}", "1", "0"), (f"/proc/{FORWARD}", "0", "1"),
    ]  # fmt: skip


def test_everything_is_put_back(connect_to_agent) -> None:  # type: ignore[no-untyped-def]
    first = connect_to_agent()
    for value in (1, 0, 1):
        first.host.procfs_set(FORWARD, value)
    first.host.sysfs_set(QUEUE, 5)
    ended = first.end()
    assert len(ended.steps) == 4
    second = connect_to_agent()
    assert second.host.procfs_get(FORWARD) == "0"
    assert second.host.sysfs_get(QUEUE) == "1000"


def test_what_the_recipe_removed_meanwhile_is_no_failure(connected: Connected) -> None:
    host = connected.host
    host.run("ip link add v8 type veth peer v9")
    host.sysfs_set("class/net/v8/tx_queue_len", 5)
    host.run("ip link del v8")
    assert [step.error for step in connected.end().steps] == [""]


@pytest.mark.parametrize("path", [
    "/etc/passwd", "../etc/passwd", "1/root/etc/passwd", "/proc/1/root/etc/passwd", "self/cwd/x", "/proc/../etc/passwd",
    "/sys/class", "", "/proc", "/procfs/x", "self/root/sys/class/net/eth0/mtu",
])  # fmt: skip
def test_outside_is_refused(host: Host, path: str) -> None:
    with pytest.raises(UsageError):
        host.procfs_set(path, "x")
    with pytest.raises(UsageError):
        host.procfs_get(path)
    assert host.run("head -c 4 /etc/passwd").stdout == "root"


def test_a_link_made_on_the_host_leads_nowhere_else(host: Host) -> None:
    host.run("sleep 1000", bg=True, path="/etc")
    pid = host.wait_for("pgrep -f 'sleep 100[0]'").stdout.split()[0]
    with pytest.raises(UsageError, match="not below /proc"):
        host.procfs_set(f"{pid}/cwd/hostname", "hacked")


def test_an_unknown_setting(host: Host) -> None:
    with pytest.raises(UsageError, match="there is no /proc/sys/net/ipv4/ip_forwart on this host"):
        host.procfs_set("sys/net/ipv4/ip_forwart", 1)
    with pytest.raises(UsageError, match="there is no"):
        host.sysfs_set("class/net/eth7/mtu", 1)


@pytest.mark.parametrize("value", ["nonsense", "99999999999999999999", "-"])
def test_an_invalid_value(host: Host, value: str) -> None:
    with pytest.raises(UsageError, match=f"m1: /proc/{FORWARD} does not accept '{value}'"):
        host.procfs_set(FORWARD, value)
    assert host.procfs_get(FORWARD) == "0"


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, object()])
def test_a_value_that_is_none(host: Host, value: object) -> None:
    with pytest.raises(UsageError, match="text or a number"):
        host.procfs_set(FORWARD, value)


@pytest.mark.parametrize("path", ["sys/vm/swappiness", "sys/kernel/panic", "sys/kernel/core_pattern"])
def test_what_belongs_to_the_machine_is_lacking(host: Host, path: str) -> None:
    before = host.procfs_get(path)
    with pytest.raises(LabLacks, match="--lab uml and --lab qemu"):
        host.procfs_set(path, 1)
    assert host.procfs_get(path) == before


def test_a_network_setting_that_no_namespace_has_is_lacking(host: Host) -> None:
    with pytest.raises(UsageError, match="--lab uml"):
        host.procfs_set("sys/net/core/rmem_max", 1_000_000)


def test_a_setting_that_can_only_be_written(host: Host) -> None:
    with pytest.raises(UsageError):
        host.sysfs_set("class/net/eth0/uevent", "\0")
    with pytest.raises(UsageError):
        host.procfs_get("sys/net/ipv4/route/flush")


@pytest.mark.parametrize("path", ["kmsg", "\0", "1/mem", "sys", "net/dev"])
def test_odd_files_do_no_harm(host: Host, path: str) -> None:
    for attempt in (lambda: host.procfs_get(path), lambda: host.procfs_set(path, "x")):
        try:
            attempt()
        except UsageError:
            continue
    assert host.run("echo fine").stdout == "fine\n"


def test_an_empty_value_is_written(host: Host) -> None:
    host.procfs_set("sys/kernel/domainname", "lab.example")
    assert host.procfs_set("sys/kernel/domainname", "") == "lab.example"
    assert host.procfs_get("sys/kernel/domainname") == ""


def test_what_was_empty_is_empty_again(connect_to_agent) -> None:  # type: ignore[no-untyped-def]
    first = connect_to_agent()
    assert first.host.sysfs_set("class/net/eth0/ifalias", "uplink") == ""
    assert [step.error for step in first.end().steps] == [""]
    assert connect_to_agent().host.sysfs_get("class/net/eth0/ifalias") == ""


def test_the_own_names_of_a_host(host: Host) -> None:
    assert host.run("hostname").stdout
    host.procfs_set("sys/kernel/hostname", "renamed")
    assert host.run("hostname").stdout == "renamed\n"
