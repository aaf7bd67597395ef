"""Hosts via ssh with what people have in their ssh configuration: jump hosts, shared connections."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.lab.ssh.conftest import PYTHON, Site

from shakeout.hosts.dialing import Access
from shakeout.testing import Connected

pytestmark = [
    pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh"),
    pytest.mark.usefixtures("at_rest"),
]


def access(site: Site, folder: Path, more: str) -> Access:
    """With *more* before what the site's configuration says."""
    config = folder / "config"
    config.write_text(more + site.login.config.read_text())
    return Access(ssh=("ssh", "-F", str(config)), cache=site.access.cache)


def works(connected: Connected, folder: Path) -> None:
    (folder / "file").write_bytes(b"x" * 200_000)
    with connected as host:
        assert host.run("hostname").stdout == "dut2\n"
        host.send_file(str(folder / "file"), "/opt/file")
        assert host.run("wc -c < /opt/file").stdout == "200000\n"


def test_behind_a_jump_host(site: Site, tmp_path: Path) -> None:
    way = access(site, tmp_path, "Host dut2\n    ProxyJump dut1\n")
    said = len(site.login.servers["dut2"].output)
    works(site.connect("dut2", access=way, python=PYTHON), tmp_path)
    assert f"from {site['dut1'].address} port" in site.login.servers["dut2"].output[said:]


def test_through_a_connection_that_is_there_already(site: Site, tmp_path: Path) -> None:
    socket = tmp_path / "master"
    way = access(
        site, tmp_path, f"Host dut2\n    ControlMaster auto\n    ControlPath {socket}\n    ControlPersist yes\n"
    )
    with site.machines.inside():
        subprocess.run([*way.ssh, "dut2", "true"], check=True, stdin=subprocess.DEVNULL)
    try:
        logins = site.login.servers["dut2"].output.count("Accepted publickey")
        for _ in range(2):
            works(site.connect("dut2", access=way, python=PYTHON), tmp_path)
        assert site.login.servers["dut2"].output.count("Accepted publickey") == logins
    finally:
        subprocess.run([*way.ssh, "-O", "exit", "dut2"], check=True, capture_output=True)
