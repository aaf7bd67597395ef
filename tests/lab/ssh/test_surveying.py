"""`shakeout pool` and hosts via ssh: what a person should know of one where the login is not root."""

from __future__ import annotations

import pytest
from tests.lab.ssh.conftest import PYTHON, Site

from shakeout.hosts.dialing import Endpoint
from shakeout.labs.survey import survey, without_root
from shakeout.matching.inventory import HostEntry

pytestmark = [
    pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh", "sudo"),
    pytest.mark.usefixtures("at_rest"),
]


@pytest.mark.parametrize(("user", "says"), [("plain", "its agent runs as plain, not as root"), ("admin", "")])
def test_a_host_where_the_login_is_not_root(site: Site, user: str, says: str) -> None:
    endpoint = Endpoint(name="dut1", address="dut1", via="ssh", user=user, python=PYTHON)
    with site.machines.inside():
        (sight,) = survey([HostEntry("dut1", "lab", {}, endpoint=endpoint)], site.access)
    assert sight.state == "free", sight.trouble
    assert without_root(sight.props).startswith(says)
    assert bool(without_root(sight.props)) == bool(says)
