"""`shakeout pool`: hosts that are listed, asked, added and reserved, over every way to a host."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.user import User, on_fleet

from shakeout.config.documents import load
from shakeout.config.schemas import schema_of
from shakeout.testing.fleet import Fleet

on_machines = pytest.mark.needs("root", "namespaces", "nsenter", "ping", "ip", "bridge", "sshd", "ssh")

HOST = """
    host: {name: dut%d, address: "dut%d.lab:9999", via: tls}
    params: {arch: x86_64, rack: %d}
    interfaces:
      - {id: eth1, hwaddr: "52:54:00:00:00:%02d", network: net1, params: {driver: mlx5_core}}
"""


def pool(user: User, *numbers: int, folder: str = "lab") -> None:
    """Host files; nobody is at these addresses."""
    for number in numbers:
        user.write(f"{folder}/dut{number}.yaml", HOST % (number, number, number, number))


# -- the files alone ----------------------------------------------------------------------------------


def test_list_shows_what_files_say_and_asks_nobody(user: User) -> None:
    pool(user, 2, 10)
    listed = user.shakeout("pool", "list", "--pool", "lab")
    assert listed.status == 0, listed.err
    assert [line.split() for line in listed.out.splitlines()] == [
        ["HOST", "POOL", "REACHED", "VIA", "INTERFACES", "PARAMS"],
        ["dut2", "lab", "tls", "dut2.lab:9999", "eth1:net1", "arch=x86_64,", "rack=2"],
        ["dut10", "lab", "tls", "dut10.lab:9999", "eth1:net1", "arch=x86_64,", "rack=10"],
    ]
    told = json.loads(user.shakeout("pool", "list", "--pool", "lab", "--format", "json").out)
    assert [one["name"] for one in told] == ["dut2", "dut10"]
    assert told[0]["interfaces"][0]["params"] == {"driver": "mlx5_core"}


def test_all_configured_pools_or_those_that_are_named(user: User) -> None:
    pool(user, 1, folder="a")
    pool(user, 2, folder="b")
    user.write("shakeout.toml", '[pools]\nnorth = "a"\nsouth = "b"\n')
    assert user.shakeout("pool", "list").out.count("dut") == 4
    south = user.shakeout("pool", "list", "--pool", "south").out
    assert "dut2" in south
    assert "dut1" not in south


def test_a_file_that_changes_is_read_again(user: User) -> None:
    """Whatever is kept of it."""
    pool(user, 1)
    file = user.folder / "lab/dut1.yaml"
    long_ago = time.time() - 1000
    os.utime(file, (long_ago, long_ago))
    for rack in (1, 1, 5):
        text = file.read_text().replace("rack: 1", f"rack: {rack}")
        if rack == 5:
            file.write_text(text)
            os.utime(file, (long_ago, long_ago))
        listed = user.shakeout("pool", "list", "--pool", "lab", XDG_CACHE_HOME=str(user.folder / "cache"))
        assert f"rack={rack}" in listed.out
    file.unlink()
    pool(user, 3)
    listed = user.shakeout("pool", "list", "--pool", "lab", XDG_CACHE_HOME=str(user.folder / "cache"))
    assert "dut3" in listed.out
    assert "dut1" not in listed.out


def test_a_cache_that_cannot_be_written_or_read_is_done_without(user: User) -> None:
    pool(user, 1)
    cache = user.write("cache", "a file, no folder")
    assert "dut1" in user.shakeout("pool", "list", "--pool", "lab", XDG_CACHE_HOME=str(cache)).out


@pytest.mark.parametrize("words", [
    ("list",), ("reserve", "dut1", "--for", "1h"),
])  # fmt: skip
def test_pools_that_are_none(user: User, words: tuple[str, ...]) -> None:
    assert "no pool is configured" in user.shakeout("pool", *words).complaint
    pool(user, 1)
    user.write("shakeout.toml", '[pools]\nracks = "lab"\n')
    (user.folder / "empty").mkdir()
    for name, said in {
        "rakcs": "no pool is called 'rakcs' (did you mean 'racks'?)",
        "empty": "there are no hosts in empty: ",
        "lab/dut1.yaml": "lab/dut1.yaml is a file; a pool is a directory of host files: say lab",
    }.items():
        ended = user.shakeout("pool", *words, "--pool", name)
        assert ended.status == 2
        assert said in ended.complaint
    user.write("lab/twin.yaml", HOST % (1, 1, 1, 9))
    ended = user.shakeout("pool", *words, "--pool", "lab")
    assert ended.status == 2
    for part in ("'dut1'", "lab/dut1.yaml", "lab/twin.yaml"):
        assert part in ended.complaint
    (user.folder / "lab/twin.yaml").unlink()
    (user.folder / "lab/broken.yaml").symlink_to("nowhere")
    ended = user.shakeout("pool", *words, "--pool", "lab")
    assert ended.status == 2
    assert "lab/broken.yaml: cannot be read: No such file or directory" in ended.complaint


@pytest.mark.parametrize("words", [
    ("check", "dut3"), ("show", "dut3"), ("reserve", "dut1", "dut3", "--for", "1h"), ("release", "dut3"),
])  # fmt: skip
def test_a_host_that_is_none(user: User, words: tuple[str, ...]) -> None:
    pool(user, 1)
    ended = user.shakeout("pool", *words, "--pool", "lab")
    assert ended.status == 2
    assert "no host is called 'dut3' (did you mean 'dut1'?)" in ended.complaint


@pytest.mark.parametrize("length", ["0", "-1h", "2x", "1m2h", "", "nan", "inf"])
def test_lengths_of_time_that_are_none(user: User, length: str) -> None:
    pool(user, 1)
    ended = user.shakeout("pool", "reserve", "dut1", "--pool", "lab", f"--for={length}")
    assert ended.status == 2
    assert "is no length of time; say 90s, 30m, 2h, 1d or 1h30m" in ended.complaint


@pytest.mark.parametrize(("target", "said"), [
    ("root@", "is no host"), ("@dut1", "is no host"), ("-oProxyCommand=x@dut1", "is no host"),
    ("a:b:c:", "is no"), ("dut1:99999", "is no address"), ("nowhere/agent.sock", "No such file or directory"),
])  # fmt: skip
def test_targets_that_are_none(user: User, target: str, said: str) -> None:
    ended = user.shakeout("pool", "add", "--pool", "lab", "--", target)
    assert ended.status in (2, 3)
    assert said in ended.complaint
    assert not (user.folder / "lab").exists()


# -- machines -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(tls=("rack1", "rack2"), ssh=("desk1",)) as made:
        yield made


@pytest.fixture
def tester(fleet: Fleet, tmp_path: Path) -> Iterator[User]:
    """Somebody who may use the machines."""
    with on_fleet(tmp_path, fleet) as someone:
        yield someone


@on_machines
def test_hosts_are_added_and_used(tester: User, fleet: Fleet) -> None:
    """Two that see each other are on one network; the file needs no more work to be run on."""
    for number, name in enumerate(("rack1", "desk1"), 1):
        machine = fleet.machines[name]
        machine.run(["ip", "address", "add", f"192.0.2.{number}/24", "dev", "eth0"])
        machine.run(["ip", "link", "set", "eth0", "up"])
    fleet.machines["rack1"].run(["ping", "-c", "1", "-W", "5", "192.0.2.2"])
    try:
        first = tester.shakeout("pool", "add", fleet.machines["rack1"].address, "--pool", "lab")
        assert first.status == 0, first.err
        assert "wrote lab/rack1.yaml: rack1 with 2 interfaces" in first.out
        assert "check: mgmt is left out: it carries the connection to the host" in first.out
        second = tester.shakeout("pool", "add", "root@desk1", "--pool", "lab")
        assert second.status == 0, second.err
        assert "check: eth0 is taken to be on rack1-eth0: it sees rack1.eth0" in second.out
        assert "check: nothing says what eth1 is cabled to" in second.out
    finally:
        for name in ("rack1", "desk1"):
            fleet.machines[name].run(["ip", "address", "flush", "dev", "eth0"])
    files = {name: tester.folder / f"lab/{name}.yaml" for name in ("rack1", "desk1")}
    told = {name: load(file, schema=schema_of("pool")).data for name, file in files.items()}
    assert told["rack1"]["host"] == {"name": "rack1", "address": fleet.machines["rack1"].address, "via": "tls"}
    assert told["desk1"]["host"] == {"name": "desk1", "address": "desk1", "via": "ssh", "user": "root"}
    for name, data in told.items():
        assert [one["id"] for one in data["interfaces"]] == ["eth0", "eth1"]
        assert data["interfaces"][0]["hwaddr"] == fleet.machines[name].hwaddr("eth0")
        assert data["interfaces"][0]["network"] == "rack1-eth0"
        assert data["interfaces"][1]["network"] == f"{name}-eth1"
        assert "A guess: nothing was seen that says what eth1 is cabled to" in files[name].read_text()

    again = tester.shakeout("pool", "add", fleet.machines["rack1"].address, "--pool", "lab")
    assert again.status == 2
    assert "rack1 is in the pool already, in lab/rack1.yaml; --force replaces its file" in again.complaint
    other = tester.shakeout("pool", "add", "desk1", "--via", "ssh", "--pool", "lab", "--name", "second")
    assert other.status == 2
    assert "this host seems to be in the pool already: its eth0" in other.complaint
    forced = tester.shakeout("pool", "add", fleet.machines["rack1"].address, "--pool", "lab", "--force")
    assert forced.status == 0, forced.err

    tester.recipe("""
        class Sees(BaseRecipe):
            m1, m2 = HostReq(), HostReq()
            m1.eth0, m2.eth0 = DeviceReq(label="net"), DeviceReq(label="net")

            def test(self):
                m1, m2 = self.matched.m1, self.matched.m2
                m1.eth0.ip_add("192.0.2.1/24")
                m2.eth0.ip_add("192.0.2.2/24")
                m1.eth0.up()
                m2.eth0.up()
                m1.run(Ping(dst="192.0.2.2", count=1))
    """)
    ran = tester.shakeout("run", "my.py", "--pool", "lab")
    assert ran.status == 0, ran.out + ran.err


@on_machines
def test_check_compares_files_with_hosts(tester: User, fleet: Fleet) -> None:
    checked = tester.shakeout("pool", "check", "--pool", fleet.pools["all"])
    assert checked.status == 0, checked.out
    assert [line.split()[:2] for line in checked.out.splitlines()[1:]] == [
        ["desk1", "free"], ["rack1", "free"], ["rack2", "free"],
    ]  # fmt: skip
    address = fleet.machines["rack2"].address
    tester.write("lab/rack2.yaml", f"""
        host: {{name: rack2, address: "{address}"}}
        interfaces:
          - {{id: eth0, hwaddr: "52:54:00:00:00:99", network: n}}
          - {{id: mgmt, hwaddr: "{fleet.machines["rack2"].hwaddr("mgmt")}", network: n, params: {{speed: 7}}}}
          - {{id: eth7, network: n}}
    """)  # fmt: skip
    checked = tester.shakeout("pool", "check", "rack2", "--pool", "lab")
    assert checked.status == 0, checked.err
    for part in (
        "eth0: no interface of the host has the hardware address 52:54:00:00:00:99; eth0 there has 52:54:",
        "mgmt: mgmt carries the connection to the host, so it cannot be tested with",
        "mgmt: mgmt runs at 10000 Mbit/s, its file says 7",
        "eth7: the host has no interface of this name",
    ):
        assert part in checked.out
    (told,) = json.loads(tester.shakeout("pool", "check", "--pool", "lab", "--format", "json").out)
    assert len(told["differs"]) == 4


@on_machines
def test_check_takes_as_long_as_the_slowest_and_no_longer_than_it_may(tester: User, fleet: Fleet) -> None:
    fleet.agents["rack1"].signal(signal.SIGSTOP)
    fleet.machines["rack2"].cut()
    try:
        began = time.monotonic()
        checked = tester.shakeout("pool", "check", "--pool", fleet.pools["all"], "--timeout", "4s")
        took = time.monotonic() - began
    finally:
        fleet.agents["rack1"].signal(signal.SIGCONT)
        fleet.machines["rack2"].heal()
    assert checked.status == 1
    states = {line.split()[0]: line.split()[1] for line in checked.out.splitlines()[1:]}
    assert states == {"desk1": "free", "rack1": "unreachable", "rack2": "unreachable"}
    assert "2 of 3 hosts do not answer" in checked.err
    assert 4 <= took < 8


@on_machines
@pytest.mark.parametrize("host", ["rack1", "desk1"])
def test_reserving_and_releasing(tester: User, fleet: Fleet, host: str) -> None:
    where = ("--pool", fleet.pools["all"])
    reserved = tester.shakeout("pool", "reserve", host, "--for", "1h30m", "--reason", "debugging the NIC", *where)
    assert reserved.status == 0, reserved.err
    owner = "tester" if host.startswith("rack") else "root@"
    assert reserved.out.startswith(f"{host} is reserved for {owner}")
    assert " for 1 h 30 min" in reserved.out
    shown = tester.shakeout("pool", "show", host, *where)
    assert re.search(r"^memory: +[0-9.]+ GB$", shown.out, re.M), shown.out
    assert "debugging the NIC" in shown.out
    assert fleet.machines[host].hwaddr("eth0") in shown.out
    (told,) = json.loads(tester.shakeout("pool", "check", host, "--format", "json", *where).out)
    assert (told["state"], told["reservation"]["reason"]) == ("reserved", "debugging the NIC")

    tester.recipe(f'class Mine(BaseRecipe):\n    m1 = HostReq(name="{host}")\n    def test(self): pass\n')
    ran = tester.shakeout("run", "my.py", *where)
    assert ran.status == 0, ran.err  # it is one's own
    released = tester.shakeout("pool", "release", host, *where)
    assert f"{host} is not reserved for {owner}" in released.out
    assert f"{host} was not reserved" in tester.shakeout("pool", "release", host, *where).out
