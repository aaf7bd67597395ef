"""The same recipes, unchanged, on machines that are reached over TLS and over ssh."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.user import User, on_fleet

from shakeout.testing.fleet import Fleet

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "ping", "ip", "bridge", "sshd", "ssh")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
#: Those that need hosts; what they need must be what the fleet's machines have.
ON_HOSTS = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    names = {"tls": ("rack1", "rack2", "rack3"), "ssh": ("desk1", "desk2", "desk3")}
    with Fleet(tls=names["tls"], ssh=names["ssh"]) as made:
        yield made


@pytest.fixture
def user(fleet: Fleet, tmp_path: Path) -> Iterator[User]:
    """Somebody on the management network, who may use the machines."""
    with on_fleet(tmp_path, fleet) as someone:
        yield someone


@pytest.mark.parametrize("via", ["tls", "ssh"])
@pytest.mark.parametrize("example", ON_HOSTS)
def test_an_example_passes_on_machines(user: User, fleet: Fleet, via: str, example: str) -> None:
    ended = user.shakeout("run", "--pool", fleet.pools[via], EXAMPLES / example)
    assert ended.status == 0, ended.out + ended.err
    assert ended.result.startswith("RESULT PASS")


def test_a_recipe_on_machines_of_both_kinds(user: User, fleet: Fleet) -> None:
    user.recipe("""
        class Both(BaseRecipe):
            m1 = HostReq(name="rack1")
            m1.eth0 = DeviceReq(label="net1")
            m2 = HostReq(name="desk2")
            m2.eth0 = DeviceReq(label="net1")

            def test(self):
                m1, m2 = self.matched.m1, self.matched.m2
                m1.eth0.ip_add("192.0.2.1/24")
                m2.eth0.ip_add("192.0.2.2/24")
                m1.eth0.up()
                m2.eth0.up()
                m1.run(Ping(dst="192.0.2.2", count=2, interval=0.01))
    """)
    ended = user.shakeout("run", "--pool", fleet.pools["all"], "my.py")
    assert ended.status == 0, ended.out + ended.err
    for name in ("rack1", "desk2"):
        eth0 = fleet.machines[name].run(["ip", "-br", "addr", "show", "eth0"]).stdout
        assert eth0.split()[1:] == ["DOWN"], eth0  # as it was


@pytest.mark.parametrize("name", ["rack1", "desk1"])
def test_what_carries_the_connection_is_not_touched(user: User, fleet: Fleet, name: str) -> None:
    user.recipe(f"""
        from shakeout.errors import DeviceError


        class Saws(BaseRecipe):
            m1 = HostReq(name="{name}")

            def test(self):
                for change in (self.matched.m1.mgmt.down, self.matched.m1.mgmt.ip_flush):
                    try:
                        change()
                    except DeviceError as error:
                        self.add_result("mgmt carries the connection" in str(error), str(error))
                    else:
                        self.add_result(False, "it was changed")
    """)
    ended = user.shakeout("run", "--pool", fleet.pools["all"], "my.py")
    assert ended.status == 0, ended.out + ended.err
    assert ended.out.count("PASS") >= 3


@pytest.mark.leaks("processes", "descriptors", "threads")  # the agent that is started again
def test_a_machine_that_does_not_answer_is_set_aside(user: User, fleet: Fleet) -> None:
    user.recipe("""
        class One(BaseRecipe):
            m1 = HostReq()

            def test(self):
                self.add_result(True, self.matched.m1.props.hostname)
    """)
    fleet.agents["rack1"].stop()
    try:
        ended = user.shakeout("run", "--pool", fleet.pools["tls"], "my.py")
    finally:
        fleet.restart("rack1")
    assert ended.status == 0, ended.err
    assert "host rack1 is set aside: 198.18.1.1: Connection refused" in ended.err
    assert any("rack2" in line for line in ended.summary)


def test_files_travel_both_ways(user: User, fleet: Fleet) -> None:
    data = os.urandom(5 << 20)
    (user.folder / "sent").write_bytes(data)
    user.recipe("""
        class Files(BaseRecipe):
            m1 = HostReq(name="rack2")
            m2 = HostReq(name="desk2")

            def test(self):
                for host in self.matched:
                    host.send_file("sent", "/opt/arrived")
                    host.recv_file("/opt/arrived", f"back-{host.name}")
    """)
    ended = user.shakeout("run", "--pool", fleet.pools["all"], "my.py")
    assert ended.status == 0, ended.out + ended.err
    assert all((user.folder / f"back-{name}").read_bytes() == data for name in ("m1", "m2"))
    assert not any(fleet.machines[name].path("/opt/arrived").exists() for name in ("rack2", "desk2"))
