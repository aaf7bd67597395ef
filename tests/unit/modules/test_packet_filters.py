"""Filters of packets: what is understood, and that the compiled program says the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.modules import bpf_machine, frames
from tests.unit.modules.frames import arp, ether, icmp, ipv4, ipv6, tcp, udp

from shakeout.errors import UsageError
from shakeout.modules.packets import bpf
from shakeout.modules.packets.filtercode import compile_filter
from shakeout.modules.packets.filtersyntax import parse

PING = ether(ipv4(icmp(8), 1), 0x0800)
PING6 = ether(ipv6(icmp(128), 58), 0x86DD)
SYN = ether(ipv4(tcp(5000, 80, 0x02), 6), 0x0800)
SYN6 = ether(ipv6(tcp(5000, 80, 0x02), 6), 0x86DD)
DNS = ether(ipv4(udp(5000, 53, b"x" * 100), 17), 0x0800)
WHO_HAS = ether(arp(), 0x0806, dst="ff:ff:ff:ff:ff:ff")
LATER_FRAGMENT = ether(ipv4(udp(80, 80), 17, fragment=10), 0x0800)
TAGGED = ether(ipv4(icmp(8), 1), 0x0800, tags=(5,))
TWICE = ether(ipv4(icmp(8), 1), 0x0800, tags=(5, 6))
LISTENER = ether(ipv6(b"\x3a\0\x05\x02\0\0\1\0" + icmp(143), 0, dst="ff02::16"), 0x86DD, dst="33:33:00:00:00:16")
FRAGMENT6 = ether(ipv6(b"\x11\0\0\x01\0\0\0\1" + udp(5000, 53), 44), 0x86DD)
LATER_FRAGMENT6 = ether(ipv6(b"\x11\0\0\x09\0\0\0\1" + udp(5000, 53), 44), 0x86DD)
ALL = {
    "ping": PING, "ping6": PING6, "syn": SYN, "syn6": SYN6, "dns": DNS, "arp": WHO_HAS, "later": LATER_FRAGMENT,
    "tagged": TAGGED, "twice": TWICE, "mld": LISTENER, "fragment6": FRAGMENT6, "later6": LATER_FRAGMENT6,
}  # fmt: skip


def passes(text: str, frame: bytes, **aside: int) -> bool:
    program = compile_filter(parse(text), 1000)
    numbers = {"packet_type": 4, "vlan_tag": 44, "vlan_present": 48}
    return bpf_machine.run(program, frame, aside={numbers[name]: value for name, value in aside.items()}) == 1000


@pytest.mark.parametrize(("text", "wanted"), [
    ("", "ping ping6 syn syn6 dns arp later tagged twice mld fragment6 later6"),
    ("icmp", "ping tagged twice"),
    ("icmp6", "ping6 mld"),
    ("arp", "arp"),
    ("ip", "ping syn dns later tagged twice"),
    ("ip6", "ping6 syn6 mld fragment6 later6"),
    ("tcp", "syn syn6"),
    ("udp", "dns later fragment6 later6"),
    ("vlan", "tagged twice"),
    ("vlan 5", "tagged twice"),
    ("vlan 5 and vlan 6", "twice"),
    ("vlan 7", ""),
    ("not vlan and icmp", "ping"),
    ("port 53", "dns fragment6"),
    ("port 80 or 443", "syn syn6"),
    ("tcp port 80 or udp port 53", "syn syn6 dns fragment6"),
    ("dst port 80", "syn syn6"),
    ("src port 80", ""),
    ("src port 5000 and not tcp", "dns fragment6"),
    ("src and dst port 80", ""),
    ("portrange 50-60", "dns fragment6"),
    ("tcp portrange 1-100", "syn syn6"),
    ("host 10.0.0.1", "ping syn dns arp later tagged twice"),
    ("src host 10.0.0.2", ""),
    ("dst 10.0.0.2 and icmp", "ping tagged twice"),
    ("host 10.0.0.9 or 10.0.0.2 and arp", "arp"),
    ("arp host 10.0.0.2", "arp"),
    ("ip host 10.0.0.2 and tcp", "syn"),
    ("host 2001:db8::2", "ping6 syn6 fragment6 later6"),
    ("net 10.0.0.0/24 and tcp", "syn"),
    ("net 2001:db8::/32 and tcp", "syn6"),
    ("net ::/0", "ping6 syn6 mld fragment6 later6"),
    ("ether host 02:00:00:00:00:02 and arp", ""),
    ("ether src 02:00:00:00:00:01 and arp", "arp"),
    ("broadcast", "arp"),
    ("ether multicast", "arp mld"),
    ("ip6 multicast", "mld"),
    ("ether proto 0x806", "arp"),
    ("ether proto \\arp", "arp"),
    ("ip proto 6", "syn"),
    ("proto udp", "dns later fragment6 later6"),
    ("greater 100", "dns"),
    ("less 42 and not arp", "ping later"),
    ("icmp[icmptype] = icmp-echo", "ping tagged twice"),
    ("icmp[0] == 0", ""),
    ("icmp6[icmp6type] == icmp6-echo", "ping6"),
    ("tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn", "syn syn6"),
    ("tcp[13] & tcp-ack != 0", ""),
    ("ip[6:2] & 0x1fff != 0", "later"),
    ("ip[8] < 65 and ip[8] >= 64 and ip[8] <= 64 and ip[8] > 63 and tcp", "syn"),
    ("ether[12:2] = 0x86dd", "ping6 syn6 mld fragment6 later6"),
    ("! (tcp || udp) && ip && not vlan", "ping"),
    ("not not arp", "arp"),
])  # fmt: skip
def test_what_a_filter_means(text: str, wanted: str) -> None:
    assert [name for name, frame in ALL.items() if passes(text, frame)] == wanted.split()


def test_a_tag_that_the_kernel_has_taken_out_counts() -> None:
    assert passes("vlan 9 and icmp", PING, vlan_present=1, vlan_tag=0x2009)
    assert passes("vlan 9 and vlan 5", TAGGED, vlan_present=1, vlan_tag=9)
    assert not passes("not vlan", PING, vlan_present=1, vlan_tag=9)
    assert not passes("vlan 0", PING)


@pytest.mark.parametrize(("text", "said"), [
    ("icpm", "did you mean 'icmp'"),
    ("tcp port", "it ends where more is expected"),
    ("host 10.0.0.300", "is no address"),
    ("host example.org", "names are not looked up"),
    ("net 10.0.0.1/24", "has host bits set"),
    ("port 70000", "not from 0 to 65535"),
    ("port http", "is no number"),
    ("icmp port 5", "icmp has no ports"),
    ("ip host ::1", "ip has no IPv6 addresses"),
    ("ip6 host 10.0.0.1", "ip6 has no IPv4 addresses"),
    ("(tcp", "')' is expected"),
    ("tcp)", "and, or, or the end"),
    ("tcp udp", "'udp' at character 5"),
    ("tcp[13]", "a comparison"),
    ("tcp[0:3] = 1", "3 bytes wide"),
    ("tcp[tcpflags] & tcp-sin != 0", "did you mean 'tcp-"),
    ("ether host 1:2:3", "no link-layer address"),
    ("vlan 5000", "not from 0 to 4095"),
    ("arp multicast", "there is no arp multicast"),
    ("ip; rm -rf /", "';' at character 3"),
    ("(" * 100, "levels deep"),
    ("not " * 100, "levels deep"),
    ("tcp or " * 1000, "longer than the limit"),
    (" or ".join(f"host 10.0.{number}.1" for number in range(100)), "but the kernel takes 4096"),
])  # fmt: skip
def test_what_is_not_understood_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        compile_filter(parse(text), 100)
    assert said in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        compile_filter(parse(text), 100)
    except UsageError:
        pass


WORDS = st.sampled_from((
    "ip", "ip6", "tcp", "udp", "icmp", "vlan", "host", "net", "port", "src", "dst", "and", "or", "not", "(", ")",
    "[", "]", "=", "&", "less", "ether", "proto",
    "10.0.0.1", "::1", "80", "5-9", "0:2", "tcp-syn",
))  # fmt: skip


@given(st.lists(WORDS, max_size=12))
def test_any_words_are_understood_or_refused(words: list[str]) -> None:
    try:
        program = compile_filter(parse(" ".join(words)), 100)
    except UsageError:
        return
    assert bpf_machine.run(program, PING) in (0, 100)


LEAVES = st.sampled_from(("icmp", "tcp", "arp", "ip6", "host 10.0.0.1", "src net 10.0.0.0/8", "dst port 80", "vlan 5"))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda part: f"not ({part})"),
        st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda three: "({}) {} ({})".format(*three)),
    ),
    max_leaves=12,
)


@given(TREES, frames.frames, st.integers(0, 200))
def test_combinations_mean_what_their_parts_do(text: str, frame: bytes, length: int) -> None:
    frame = frame[: 14 + length]
    whole = compile_filter(parse(text), 100)
    python = text
    for leaf in ("host 10.0.0.1", "src net 10.0.0.0/8", "dst port 80", "vlan 5", "icmp", "tcp", "arp", "ip6"):
        program = compile_filter(parse(leaf), 100)
        try:
            strict = bpf_machine.run(program, frame, strict=True)
        except bpf_machine.OutsideError:
            return  # too short for a part: the kernel gives up on the whole
        python = python.replace(f"({leaf})", f"({bool(strict)})") if python != leaf else str(bool(strict))
    assert bool(bpf_machine.run(whole, frame)) is eval(python)
    turned = bpf_machine.run(bpf.opposite(whole, 50), frame)
    assert bool(turned) is not eval(python)


def test_a_long_filter_reaches_its_ends() -> None:
    text = " or ".join(f"host 10.0.{number}.1" for number in range(90))
    program = compile_filter(parse(text), 100)
    assert len(program) > 600
    assert all(each.jt < 256 and each.jf < 256 for each in program)
    assert bpf_machine.run(program, ether(ipv4(tcp(), 6, dst="10.0.89.1"), 0x0800)) == 100
    assert bpf_machine.run(program, ether(ipv4(tcp(), 6, "10.9.0.1", "10.1.99.1"), 0x0800, tags=(4,))) == 0


@pytest.mark.parametrize(("direction", "of_others", "own"), [("in", 100, 0), ("out", 0, 100), ("both", 100, 100)])
def test_directions(direction: str, of_others: int, own: int) -> None:
    program = bpf.towards(compile_filter(parse("icmp"), 100), direction)
    assert bpf_machine.run(program, PING, aside={4: 0}) == of_others
    assert bpf_machine.run(program, PING, aside={4: 4}) == own
    assert bpf_machine.run(program, SYN, aside={4: 4}) == 0


def test_without_an_ethernet_header() -> None:
    program = compile_filter(parse("icmp and host 10.0.0.1"), 100, "ip")
    assert bpf_machine.run(program, PING[14:], aside={0: 0x0800}) == 100
    assert bpf_machine.run(program, SYN[14:], aside={0: 0x0800}) == 0
    assert bpf_machine.run(compile_filter(parse("broadcast"), 100, "ip"), PING[14:], aside={0: 0x0800}) == 0
