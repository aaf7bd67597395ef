"""shakeout's files are replaced under an agent that runs, by others that do not fit to what it has loaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.user import User, on_fleet

import shakeout
from shakeout.testing.fleet import Fleet

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "ip")

COPY = "/opt/shakeout"
#: What the agent meets that loads a file now, whichever it is.
SPOIL = (
    f"find {COPY} -name '*.pyc' -delete; find {COPY} -name '*.py' | while read -r f; do"
    " echo 'from shakeout.errors import NewInThisRelease' > $f.new && mv $f.new $f; done"
)
EVERYTHING = """
class Everything(BaseRecipe):
    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")

    def test(self):
        m1 = self.matched.m1
        m1.run("echo hello")
        m1.br0 = BridgeDevice()
        m1.br0.slave_add(m1.eth0)
        m1.eth0.mtu = 1400
        m1.eth0.ip_add("192.0.2.1/24")
        self.add_result(None, f"driver {m1.eth0.driver}")
        m1.procfs_set("sys/net/ipv4/ip_forward", 1)
        m1.send_file(__file__, "/etc/made")
        try:
            m1.service("nothing-of-this-name")
        except ShakeoutError as error:
            self.add_result(None, f"asked for a service: {error}")
        m1.run(Ping(dst="127.0.0.1", count=1))
"""
LATE = """
class Late(BaseRecipe):
    m1 = HostReq()

    def test(self):
        from shakeout.modules import CpuMonitor
        self.matched.m1.run("true")
        self.matched.m1.run(CpuMonitor(duration=0.1))
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A machine whose agent runs from a copy of shakeout, which has been spoilt since."""
    with Fleet(tls=["dut1"]) as made:
        machine = made.machines["dut1"]
        made.agents["dut1"].stop()
        source = Path(shakeout.__file__).parent
        shutil.copytree(source, machine.path(COPY) / "shakeout", ignore=shutil.ignore_patterns("__pycache__"))
        listen = ("--listen", machine.address, "--socket", "/run/shakeout-agent.sock")
        made.agents["dut1"] = machine.start_agent(*listen, env={"PYTHONPATH": COPY})
        machine.run(["sh", "-c", SPOIL])
        yield made


@pytest.fixture
def user(fleet: Fleet, tmp_path: Path) -> Iterator[User]:
    with on_fleet(tmp_path, fleet) as someone:
        yield someone


def test_it_does_all_that_it_did_before(user: User, fleet: Fleet) -> None:
    user.recipe(EVERYTHING)
    for _ in range(2):
        ended = user.shakeout("run", "--pool", fleet.pools["tls"], "my.py")
        assert ended.status == 0, ended.out + ended.err
        assert "was changed" not in ended.out
    looked = user.shakeout("pool", "check", "--pool", fleet.pools["tls"])
    assert looked.status == 0, looked.out + looked.err


def test_a_module_that_is_loaded_late_fails_alone_and_says_why(user: User, fleet: Fleet) -> None:
    user.recipe(LATE)
    ended = user.shakeout("run", "--pool", fleet.pools["tls"], "my.py")
    assert ended.status in (1, 3), ended.out + ended.err
    assert "shakeout on this host was changed since its agent started" in ended.out, ended.out
    assert "restart the agent" in ended.out
    user.recipe(EVERYTHING)
    ended = user.shakeout("run", "--pool", fleet.pools["tls"], "my.py")
    assert ended.status == 0, ended.out + ended.err
