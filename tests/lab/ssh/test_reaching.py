"""Hosts via ssh: reached as whoever the user's ssh makes one, with nothing there but Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest
from tests.lab.ssh.conftest import PYTHON, Site, agent_of, await_end, processes_of

from shakeout import BridgeDevice
from shakeout.errors import AgentUnreachable, DeviceError, LeaseHeld, UsageError
from shakeout.hosts.dialing import Access
from shakeout.modules import Ping
from shakeout.testing.machines import Machine
from shakeout.testing.sshd import add_user

pytestmark = [
    pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh", "sudo"),
    pytest.mark.usefixtures("at_rest"),
]

#: Where something could be left.
PLACES = (
    "~root/.cache",
    "~root/.local",
    "/var/cache",
    "/var/lib/shakeout",
    "/run",
    "/home",
    "/etc",
    "/var/tmp",
    "/dev/shm",
)


def files(machine: Machine) -> set[str]:
    """All files where something could be left; of this machine's own, which shows through, nothing changes there."""
    done = machine.run(["bash", "-c", f"find {' '.join(PLACES)} -xdev"], check=False)
    return {line for line in done.stdout.splitlines() if "/.local/state/shakeout/runs" not in line}


def processes(machine: Machine) -> list[str]:
    return sorted(machine.run(["ps", "-eo", "comm="]).stdout.split())


def received(machine: Machine) -> int:
    """Bytes that have come in over the management network."""
    return int(machine.run(["cat", "/sys/class/net/mgmt/statistics/rx_bytes"]).stdout)


def test_nothing_is_left_but_the_cache_and_nothing_is_sent_twice(site: Site) -> None:
    machine = site["dut2"]
    before, running, counts = files(machine), processes(machine), [received(machine)]
    for _ in range(2):
        connected = site.connect("dut2")
        assert connected.host.run("hostname; id -un").stdout == "dut2\nroot\n"
        connected.host.br0 = BridgeDevice()
        assert machine.path("/sys/class/net/br0").exists() or "br0" in machine.run(["ip", "link"]).stdout
        agents = processes_of(machine, "shakeout-agent")
        connected.end()
        await_end(agents + processes_of(machine, "sshd")[1:])
        counts.append(received(machine))
    left = files(machine) - before
    assert left
    assert [name for name in left if not name.startswith("/var/cache/shakeout")] == []
    assert processes(machine) == running
    assert "br0" not in machine.run(["ip", "link"]).stdout
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    assert first > 500_000
    assert second < 50_000


def test_a_user_who_is_not_root(site: Site) -> None:
    connected = site.connect(user="plain")
    with connected as host:
        assert (host.props["user"], host.props["privileged"]) == ("plain", False)
        assert host.run("id -un; pwd").stdout == "plain\n/home/plain\n"
        with pytest.raises(DeviceError, match=r"the agent runs as plain, not as root.*user: root"):
            host.br0 = BridgeDevice()
        agents = processes_of(site["dut1"], "shakeout-agent")
    await_end(agents)
    left = {str(path) for path in site["dut1"].path("/home/plain").rglob("*")}
    home = str(site["dut1"].path("/home/plain"))
    assert {name.removeprefix(home) for name in left if "/.cache/shakeout" not in name} == {"/.cache"}


@pytest.mark.parametrize(("sudo", "user"), [(None, "root"), (True, "root"), (False, "admin")])
def test_a_user_who_may_become_root(site: Site, sudo: bool | None, user: str) -> None:
    with site.connect(user="admin", sudo=sudo) as host:
        assert host.props["user"] == user
        assert host.run("id -un").stdout == f"{user}\n"
        if user == "root":
            host.br0 = BridgeDevice()


def test_a_user_who_may_not_become_root_but_should(site: Site) -> None:
    with pytest.raises(AgentUnreachable, match=r"plain@dut1: sudo there asks for a password.*NOPASSWD"):
        site.connect(user="plain", sudo=True)


@pytest.mark.needs("ping")
def test_test_modules_of_another_user_find_what_was_sent(site: Site) -> None:
    with site.connect() as host:
        assert host.run(Ping(dst="127.0.0.1", count=1), user="nobody").passed


def test_sudo_that_has_a_terminal_of_its_own(site: Site) -> None:
    """The default of newer releases: sudo stays in between, and would read what is meant for the agent."""
    rights = site["dut1"].path("/etc/sudoers.d/terminal")
    rights.write_text("Defaults use_pty\n")
    rights.chmod(0o440)
    try:
        with site.connect(user="admin") as host:
            assert host.run("id -un; head -c 300000 /dev/zero | wc -c").stdout == "root\n300000\n"
    finally:
        rights.unlink()


def test_the_interface_that_carries_the_connection_is_protected(site: Site) -> None:
    for user in ("root", "admin"):
        with site.connect(user=user) as host, pytest.raises(DeviceError, match=r"mgmt carries the connection"):
            host.mgmt.down()


def test_a_login_that_prints_and_another_shell(site: Site) -> None:
    noisy = site["dut1"].path("/home/noisy")
    add_user(site["dut1"], "noisy")
    (noisy / ".bashrc").write_text("echo Welcome\nprintf 'no line feed at the end'\necho oops >&2\n")
    with site.connect(user="noisy") as host:
        assert host.run("echo fine").stdout == "fine\n"
    add_user(site["dut1"], "csh", shell="/bin/dash")
    with site.connect(user="csh") as host:
        assert host.run("echo fine").stdout == "fine\n"
    add_user(site["dut1"], "closed", shell="/usr/sbin/nologin")
    with pytest.raises(AgentUnreachable, match=r"its login printed 'This account is currently not available.'"):
        site.connect(user="closed")


def with_config(site: Site, tmp_path: Path, *lines: str) -> Access:
    """Another user's ssh configuration; what comes first counts."""
    config = tmp_path / "config"
    config.write_text("Host *\n" + "".join(f"    {line}\n" for line in lines) + site.login.config.read_text())
    return msgspec.structs.replace(site.access, ssh=("ssh", "-F", str(config)))


def test_a_key_that_is_not_accepted(site: Site, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    config = tmp_path / "config"
    config.write_text(site.login.config.read_text().replace(f"{site.login.folder}/user_key", str(tmp_path / "key")))
    access = msgspec.structs.replace(site.access, ssh=("ssh", "-F", str(config)))
    with pytest.raises(
        AgentUnreachable, match=r"dut1: nobody is asked for a password.*ssh-copy-id dut1.*Permission den"
    ):
        site.connect(access=access)


def test_a_host_key_that_is_not_known(site: Site, tmp_path: Path) -> None:
    access = with_config(site, tmp_path, f"UserKnownHostsFile {tmp_path}/empty", "StrictHostKeyChecking ask")
    with pytest.raises(AgentUnreachable, match=r"its host key is not known here.*log in once by hand"):
        site.connect(access=access)


def test_a_host_key_that_has_changed(site: Site, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    (tmp_path / "known").write_text(f"{site['dut1'].address} {(tmp_path / 'key.pub').read_text()}")
    access = with_config(site, tmp_path, f"UserKnownHostsFile {tmp_path}/known", "LogLevel INFO")
    with pytest.raises(AgentUnreachable, match=r"its host key is not the one that is known.*ssh-keygen -R"):
        site.connect(access=access)


def test_nobody_listens_there(site: Site) -> None:
    with pytest.raises(AgentUnreachable, match=r"dut1:1: .*Connection refused; does ssh .* work\?"):
        site.connect("dut1:1")


def test_there_is_no_ssh_here(site: Site) -> None:
    with pytest.raises(UsageError, match=r"/nowhere/ssh, which logs in to hosts via ssh, cannot be run.*SHAKEOUT_SSH"):
        site.connect(access=msgspec.structs.replace(site.access, ssh=("/nowhere/ssh",)))


def test_no_python_there(site: Site) -> None:
    with pytest.raises(AgentUnreachable, match=r"dut1: an agent needs Python 3.11 or later there, and none was found"):
        site.connect(python="/nowhere/python3")


def test_a_cache_that_cannot_be_there(site: Site) -> None:
    add_user(site["dut1"], "user")
    site["dut1"].path("/home/user/.cache").write_text("")
    with pytest.raises(AgentUnreachable, match=r"user@dut1: the agent's files cannot be put there: /home/user/.cache"):
        site.connect(user="user", python=PYTHON)


def test_two_controllers_at_once(site: Site) -> None:
    with site.connect(run="one") as host:
        assert host.run("true").passed
        with pytest.raises(LeaseHeld) as refused:
            site.connect(run="two")
        assert f":{os.getpid()} run one" in refused.value.holder
        assert agent_of(site["dut1"])
    with site.connect(run="two") as host:
        assert host.run("true").passed
