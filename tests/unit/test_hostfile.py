"""From what an agent says to a host's file, and back: what is guessed, what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.config.documents import parse
from shakeout.config.schemas import schema_of
from shakeout.errors import BadInventory, UsageError
from shakeout.hosts.dialing import Endpoint
from shakeout.labs.enrolment import endpoint_of
from shakeout.labs.hostfile import Other, check_new, draft, text_of, write_file
from shakeout.labs.survey import differences
from shakeout.matching.inventory import HostEntry, Port

HERE = Endpoint("ssh", "dut1", "root")


def link(name: str, hwaddr: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "hwaddr": hwaddr, "candidate": True, "driver": "mlx5_core", "speed": 25000, **more}


def said(*links: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What an agent says of its host."""
    return {"hostname": "dut1", "arch": "x86_64", "interfaces": list(links), "neighbours": {}, "lldp": [], **more}


def other(name: str, hwaddr: str, network: str, **inspection: Any) -> Other:
    entry = HostEntry(name, "lab", ports=(Port("eth9", network, hwaddr),), source=f"lab/{name}.yaml")
    return Other(entry, said(link("eth9", hwaddr), **inspection) if inspection else {})


MINE, THEIRS = "52:54:00:00:00:01", "52:54:00:00:00:02"


def test_what_is_seen_says_which_network() -> None:
    told = said(link("eth1", MINE), neighbours={"eth1": [{"hwaddr": THEIRS, "address": "192.0.2.2"}]})
    (one,) = draft("dut1", HERE, told, [other("dut2", THEIRS, "blue")]).interfaces
    assert (one.network, one.why) == ("blue", f"it sees dut2.eth9 ({THEIRS})")


def test_who_is_seen_by_others_is_on_their_network() -> None:
    others = [other("dut2", THEIRS, "blue", neighbours={"eth9": [{"hwaddr": MINE, "address": "192.0.2.1"}]})]
    (one,) = draft("dut1", HERE, said(link("eth1", MINE)), others).interfaces
    assert (one.network, one.why) == ("blue", "dut2.eth9 sees it")


def test_one_switch_is_one_network() -> None:
    def at(interface: str) -> list[dict[str, str]]:
        return [{"interface": interface, "system": "sw 7", "chassis": "00:11:22:33:44:55", "port": "Eth7"}]

    told = said(link("eth1", MINE), lldp=at("eth1"))
    (one,) = draft("dut1", HERE, told, [other("dut2", THEIRS, "blue", lldp=at("eth9"))]).interfaces
    assert (one.network, one.why) == ("blue", "it is on the same switch (sw_7) as dut2.eth9")
    (one,) = draft("dut1", HERE, told, []).interfaces
    assert one.network == "sw_7"
    assert "several VLANs" in one.why


def test_nobody_seen_is_a_guess_of_its_own() -> None:
    made = draft("dut1", HERE, said(link("eth1", MINE)), [other("dut2", THEIRS, "blue")])
    assert [(one.network, one.why) for one in made.interfaces] == [("dut1-eth1", "")]
    assert "# A guess: " in text_of(made, "shakeout pool add")
    assert any("nothing says what eth1 is cabled to" in line for line in made.to_check)


@pytest.mark.parametrize(("facts", "why"), [
    ({"connection": True}, "it carries the connection to the host"),
    ({"default_route": True}, "the host's default route leads through it"),
    ({"master": "br0"}, "it is a part of br0"),
    ({"kind": "veth"}, "it is virtual (veth)"),
    ({}, "it is no network card"),
])  # fmt: skip
def test_what_is_left_out_and_why(facts: dict[str, Any], why: str) -> None:
    loopback = link("lo", "", candidate=False, kind="loopback")
    made = draft("dut1", HERE, said(link("eth1", MINE, candidate=False, **facts), loopback), [])
    assert made.left_out == (("eth1", why),)
    assert f"# Left out: eth1, because {why}." in text_of(made, "shakeout pool add")


words = st.text(min_size=1, max_size=20)


@given(
    name=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True), address=words, user=words, arch=words,
    links=st.lists(st.tuples(words, words, words, st.one_of(st.none(), st.integers(1, 400000))), max_size=4),
    switch=words,
)  # fmt: skip
def test_whatever_a_host_says_its_file_is_one(
    name: str, address: str, user: str, arch: str, links: list[tuple[str, str, str, int | None]], switch: str
) -> None:
    endpoint = Endpoint("ssh", address, user)
    told = said(*(link(a, b, driver=c, speed=d) for a, b, c, d in links), arch=arch)
    told["lldp"] = [{"interface": links[0][0], "system": switch}] if links else []
    made = draft(name, endpoint, told, [])
    data = parse(text_of(made, "shakeout pool add x --pool y"), schema=schema_of("pool")).data
    assert data["host"] == {"name": name, "address": address, "via": "ssh", "user": user}
    assert data["params"] == {"arch": arch}
    assert len(data.get("interfaces", [])) == len(links)
    for one, (_, _, driver, speed) in zip(data.get("interfaces", []), links, strict=True):
        assert one["params"] == {"driver": driver, **({"speed": speed} if speed else {})}


def test_a_file_is_not_overwritten_by_accident(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "lab"
    path = write_file(folder, "dut1", "one")
    with pytest.raises(UsageError, match="is there already; --force replaces it"):
        write_file(folder, "dut1", "two")
    assert path.read_text() == "one"
    write_file(folder, "dut1", "two", replace=True)
    assert path.read_text() == "two"
    assert [one.name for one in folder.iterdir()] == ["dut1.yaml"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is a file; a pool is a directory"):
        write_file(tmp_path / "file", "dut1", "one")


def test_a_host_that_is_in_the_pool_by_another_name() -> None:
    made = draft("dut1", HERE, said(link("eth1", MINE)), [])
    with pytest.raises(BadInventory, match=r"its eth1 \(52:54:00:00:00:01\) is old.eth9 in lab/old.yaml"):
        check_new(made, [other("old", MINE, "n").entry])
    with pytest.raises(BadInventory, match="--force replaces"):
        check_new(made, [other("dut1", THEIRS, "n").entry])
    check_new(made, [other("dut1", MINE, "n").entry], replace=True)


@pytest.mark.parametrize(("target", "via", "endpoint"), [
    ("root@dut1", "", Endpoint("ssh", "dut1", "root")),
    ("root@dut1:2222", "", Endpoint("ssh", "dut1:2222", "root")),
    ("dut1", "ssh", Endpoint("ssh", "dut1")),
    ("dut1.lab", "", Endpoint("tls", "dut1.lab", name="dut1")),
    ("dut1.lab:9998", "", Endpoint("tls", "dut1.lab:9998", name="dut1")),
    ("192.0.2.7", "", Endpoint("tls", "192.0.2.7")),
    ("[2001:db8::7]:9999", "", Endpoint("tls", "[2001:db8::7]:9999")),
    ("/run/agent.sock", "", Endpoint("unix", "/run/agent.sock")),
])  # fmt: skip
def test_what_targets_mean(target: str, via: str, endpoint: Endpoint) -> None:
    assert endpoint_of(target, via, "") == endpoint


def test_a_file_that_is_as_the_host() -> None:
    ports = [Port("a", "n", MINE, {"driver": "mlx5_core", "speed": 25000}), Port("eth2", "n")]
    assert list(differences(ports, said(link("eth1", MINE), link("eth2", THEIRS)))) == []


def test_a_bond_that_has_its_ports_address_does_not_hide_it() -> None:
    """A bridge or bond takes over an address: it is the card that the file means."""
    card = link("eth1", MINE, physical=True, kind="", master="br0", candidate=False)
    told = said(link("br0", MINE, driver="", candidate=False, kind="bridge"), card, link("v7", MINE, kind="vlan"))
    assert list(differences([Port("a", "n", MINE, {"driver": "virtio_net"})], told)) == [
        "a: the driver of eth1 is mlx5_core, its file says virtio_net"
    ]


def test_what_differs_in_words() -> None:
    told = said(link("eth1", THEIRS), link("mgmt", MINE, connection=True, speed=None))
    ports = [Port("eth1", "n", "52:54:00:00:00:77"), Port("x", "n", MINE, {"speed": 10}), Port("eth7", "n")]
    assert list(differences(ports, told)) == [
        "eth1: no interface of the host has the hardware address 52:54:00:00:00:77; eth1 there has 52:54:00:00:00:02",
        "x: mgmt carries the connection to the host, so it cannot be tested with",
        "eth7: the host has no interface of this name, and its file gives no hardware address",
    ]


def test_nothing_is_written_along_somebody_elses_link(tmp_path: Path) -> None:
    """A pool may be shared with people who may not write to everything that we may."""
    (tmp_path / "victim").write_text("precious")
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / ".dut1.new").symlink_to(tmp_path / "victim")
    (pool / "dut1.yaml").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match="is there already"):
        write_file(pool, "dut1", "text")
    write_file(pool, "dut1", "text", replace=True)
    assert (tmp_path / "victim").read_text() == "precious"
    assert (pool / "dut1.yaml").read_text() == "text"
