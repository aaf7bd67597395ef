"""The rtnetlink client against the kernel: rows come back, errors are in words, big tables arrive whole."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest
from msgspec import structs
from tests.lab.devices.iproute import ip

from shakeout.devices.netlink import Change, Netlink, Peer, address_row
from shakeout.errors import DeviceError, LabLacks
from shakeout.wire.network import Qdisc, Route

pytestmark = pytest.mark.needs("root", "ip")


@pytest.fixture
def cabled(netlink: Netlink) -> int:
    """Index of v0, which has an address; its other end is v1; both are up."""
    index = netlink.link_add("veth", "v0", mtu=1400, hwaddr="52:54:00:00:00:01", peer=Peer("v1"))
    for each in (index, netlink.link("v1").index):
        # without link-local addresses, which the kernel makes when it sees fit
        ip("link", "set", "dev", netlink.link(each).name, "addrgenmode", "none")
        netlink.link_set(each, Change(up=True))
    netlink.address_add(address_row(index, "192.0.2.1/24"))
    netlink.address_add(address_row(index, "2001:db8::1/64", nodad=True))
    return index


def test_a_link_has_everything(netlink: Netlink, cabled: int) -> None:
    netlink.altname_add(cabled, "a-name-that-is-longer-than-sixteen")
    netlink.link_set(cabled, Change(txqlen=77, alias="the uplink", group=5))
    link = netlink.link("a-name-that-is-longer-than-sixteen")
    assert (link.index, link.name, link.kind, link.mtu) == (cabled, "v0", "veth", 1400)
    assert (link.hwaddr, link.up, link.carrier, link.operstate) == ("52:54:00:00:00:01", True, True, 6)
    assert (link.txqlen, link.alias, link.group) == (77, "the uplink", 5)
    assert link.altnames == ("a-name-that-is-longer-than-sixteen",)
    assert link.link == netlink.link("v1").index
    netlink.altname_del(cabled, "a-name-that-is-longer-than-sixteen")
    assert netlink.find_link("a-name-that-is-longer-than-sixteen") is None
    assert netlink.find_link(99999) is None


def test_counters_count(netlink: Netlink, cabled: int) -> None:
    before = netlink.link_stats(cabled)["tx_packets"]
    subprocess.run(["ping", "-c", "1", "-W", "0.1", "192.0.2.2"], capture_output=True, check=False)
    assert netlink.link_stats(cabled)["tx_packets"] > before


@pytest.mark.parametrize(
    "words",
    [
        "route add 198.51.100.0/24 via 192.0.2.254 metric 5",
        "route add 198.51.100.0/24 via 192.0.2.254 src 192.0.2.1 table 1000 proto static",
        "route add 198.51.100.0/24 nexthop via 192.0.2.253 weight 3 nexthop via 192.0.2.254",
        "route add 198.51.100.0/24 dev v0 mtu 1300 initcwnd 10",
        "route add blackhole 198.51.100.0/24",
        "route add 198.51.100.0/24 via inet6 2001:db8::2",
        "route add 198.51.100.0/24 via 203.0.113.1 dev v0 onlink",
        "route add default via 192.0.2.254",
        "-6 route add default via 2001:db8::2 pref high",
        "-6 route add 2001:db8:1::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::3",
        "-6 route add unreachable 2001:db8:1::/48",
    ],
)
def test_routes_removed_and_put_back_are_the_same(netlink: Netlink, cabled: int, words: str) -> None:
    before = configured(netlink)
    ip(*words.split())
    shown = routes_shown()
    added = [row for row in configured(netlink) if row not in before]
    assert len(added) == 1
    netlink.route_del(added[0])
    assert configured(netlink) == before
    netlink.route_add(added[0])
    assert routes_shown() == shown


def configured(netlink: Netlink) -> list[Route]:
    """Routes that are not the kernel's own, which come with the carrier."""
    return [row for row in netlink.routes() if row.protocol != 2]


def routes_shown() -> list[str]:
    """The same, as `ip` prints them."""
    both = ip("-o", "route", "show", "table", "all") + ip("-o", "-6", "route", "show", "table", "all")
    return [line for line in both.splitlines() if "proto kernel" not in line]


@pytest.mark.parametrize(
    "words",
    [
        "rule add from 192.0.2.0/24 table 100 priority 99",
        "rule add not fwmark 7/0xff iif v0 table 1000",
        "rule add to 198.51.100.0/24 tos 0x10 blackhole",
        "-6 rule add from 2001:db8::/32 ipproto tcp dport 80-90 table 100",
    ],
)
def test_rules_removed_and_put_back_are_the_same(netlink: Netlink, cabled: int, words: str) -> None:
    before = netlink.rules()
    ip(*words.split())
    shown = ip("rule"), ip("-6", "rule")
    added = [row for row in netlink.rules() if row not in before]
    assert len(added) == 1
    netlink.rule_del(added[0])
    assert netlink.rules() == before
    netlink.rule_add(added[0])
    assert (ip("rule"), ip("-6", "rule")) == shown


def test_addresses_removed_and_put_back_are_the_same(netlink: Netlink, cabled: int) -> None:
    for words in (
        "10.0.0.1/8 brd + label v0:one metric 50",
        "10.9.0.1 peer 10.9.0.2/30",
        "169.254.1.1/16 scope link noprefixroute",
    ):
        ip("address", "add", *words.split(), "dev", "v0")
    shown = ip("address", "show", "dev", "v0")
    rows = netlink.addresses(cabled, 2)
    for row in reversed(rows):
        netlink.address_del(row)
    assert netlink.addresses(cabled, 2) == []
    for row in rows:
        netlink.address_add(row)
    assert ip("address", "show", "dev", "v0") == shown


def test_lifetimes(netlink: Netlink, cabled: int) -> None:
    row = structs.replace(address_row(cabled, "2001:db8::5/64", nodad=True), valid=1000, preferred=500)
    netlink.address_add(row)
    found = next(one for one in netlink.addresses(cabled) if one.address == "2001:db8::5")
    assert 990 <= found.valid <= 1000
    assert 490 <= found.preferred <= 500


def test_neighbours_and_qdiscs(netlink: Netlink, cabled: int) -> None:
    ip(*["neighbour", "add", "192.0.2.9", "lladdr", "52:54:00:00:00:09", "dev", "v0"])
    row = next(one for one in netlink.neighbours() if one.dst == "192.0.2.9")
    assert (row.lladdr, row.index, row.state) == ("52:54:00:00:00:09", cabled, 0x80)
    netlink.neighbour_del(row)
    assert row not in netlink.neighbours()
    netlink.neighbour_add(row)
    assert row in netlink.neighbours()
    netlink.qdisc_set(Qdisc(cabled, "pfifo_fast"))
    assert [one.kind for one in netlink.qdiscs(cabled)] == ["pfifo_fast"]
    netlink.qdisc_del(netlink.qdiscs(cabled)[0])
    assert [one.kind for one in netlink.qdiscs(cabled)] == ["noqueue"]


@pytest.mark.parametrize(
    ("act", "number", "message"),
    [
        (lambda n, i: n.link("nosuch"), 19, "cannot read link nosuch: No such device"),
        (lambda n, i: n.link_set(i, Change(mtu=70000)), 22, "the kernel says: mtu greater than"),
        (lambda n, i: n.link_add("veth", "v0", peer=Peer("x")), 17, "cannot create veth v0: File exists"),
        (lambda n, i: n.link_del(99999, "remove it"), 19, "cannot remove it"),
        (lambda n, i: n.link_add("bridge", "br0", options={"fly": 1}), 0, "have no option 'fly'"),
    ],
)
def test_errors_are_in_words(
    netlink: Netlink, cabled: int, act: Callable[[Netlink, int], object], number: int, message: str
) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        act(netlink, cabled)
    assert caught.value.errno == number
    assert netlink.link(cabled).name == "v0"  # the next answer is the next question's


def test_an_unknown_kind(netlink: Netlink) -> None:
    with pytest.raises(LabLacks, match=r"no devices of kind 'nosuch'.*Unknown device type.*--lab uml"):
        netlink.link_add("nosuch", "x0")


def test_many_links_arrive_whole(netlink: Netlink) -> None:
    """More than fits into one datagram, with names that make a message large."""
    for number in range(60):
        index = netlink.link_add("bridge", f"br{number}")
        for alternative in range(4):
            netlink.altname_add(index, f"{number}-{alternative}-" + "x" * 110)
    links = netlink.links()
    assert {f"br{number}" for number in range(60)} <= {link.name for link in links}
    assert sum(len(link.altnames) for link in links) == 240


def test_tables_that_change_meanwhile(netlink: Netlink, cabled: int) -> None:
    """Every reading is of a moment: a route that stays is never missing while others come and go."""
    for number in range(200):
        ip_route = address_row(cabled, f"10.{number}.0.1/32")
        netlink.address_add(ip_route)
    child = os.fork()
    if child == 0:
        with Netlink() as other:
            while True:
                row = address_row(cabled, "10.250.0.1/32")
                other.address_add(row)
                other.address_del(row)
    try:
        for _ in range(50):
            found = {row.address for row in netlink.addresses(cabled, 2)}
            assert len(found - {"10.250.0.1"}) == 201
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_an_interrupted_dump_does_not_disturb_the_next(netlink: Netlink, cabled: int) -> None:
    class Stop(BaseException):
        pass

    def stop(number: int, frame: object) -> None:
        raise Stop

    for number in range(100):
        netlink.address_add(address_row(cabled, f"10.{number}.0.1/32"))
    earlier = signal.signal(signal.SIGALRM, stop)
    try:
        for delay in range(1, 40):
            try:
                signal.setitimer(signal.ITIMER_REAL, delay * 2e-5)
                while True:
                    netlink.addresses()
            except Stop:
                pass
            assert netlink.link(cabled).name == "v0"
            assert len(netlink.addresses(cabled, 2)) == 101
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


def test_across_namespaces(netlink: Netlink, cabled: int) -> None:
    """A link made here with its other end elsewhere, and one moved there."""
    name = f"shakeout-test-{os.getpid()}"
    ip("netns", "add", name)
    try:
        fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            with Netlink(fd) as there:
                index = netlink.link_add("veth", "p0", peer=Peer("eth0", netns_fd=fd, mtu=1300))
                assert there.link("eth0").mtu == 1300
                assert netlink.link(index).link_netnsid >= 0
                netlink.link_set(netlink.link("v1").index, Change(netns_fd=fd))
                assert netlink.find_link("v1") is None
                assert there.link("v1").kind == "veth"
                assert netlink.link_add("bridge", "br0", netns_fd=fd) == 0
                assert there.link("br0").kind == "bridge"
        finally:
            os.close(fd)
    finally:
        ip("netns", "delete", name)
