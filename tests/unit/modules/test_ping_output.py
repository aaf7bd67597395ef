"""What is understood of the programs called ping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.modules import Ping
from shakeout.modules.ping_output import explain_complaint, parse_statistics

IPUTILS = """PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.

--- 10.0.0.2 ping statistics ---
5 packets transmitted, 4 received, +2 duplicates, +1 errors, 20% packet loss, time 4081ms
rtt min/avg/max/mdev = 0.025/0.031/0.040/0.005 ms, pipe 2
"""
IPUTILS_FLOOD = """PING fe80::1%eth0(fe80::1%eth0) 56 data bytes

--- fe80::1%eth0 ping statistics ---
3 packets transmitted, 2 received, +1 corrupted, 33.3333% packet loss, time 0ms
rtt min/avg/max/mdev = 0.007/0.010/0.021/0.003 ms, ipg/ewma 0.110/0.016 ms
"""
IPUTILS_NONE = """PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.

--- 10.0.0.9 ping statistics ---
2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 1002ms
pipe 2
"""
BUSYBOX = """PING 10.0.0.2 (10.0.0.2): 56 data bytes

--- 10.0.0.2 ping statistics ---
4 packets transmitted, 3 packets received, 1 duplicates, 25% packet loss
round-trip min/avg/max = 0.050/0.060/0.070 ms
"""
INETUTILS = """PING 10.0.0.2 (10.0.0.2): 56 data bytes
--- 10.0.0.2 ping statistics ---
2 packets transmitted, 2 packets received, +1 duplicates, 0% packet loss
round-trip min/avg/max/stddev = 0.031/0.040/0.049/0.009 ms
"""
TWICE = IPUTILS_NONE.replace("2 packets", "1 packets") + IPUTILS


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (IPUTILS, (5, 4, 2, 0, 1, 20.0, 0.025, 0.031, 0.040, 0.005)),
        (IPUTILS_FLOOD, (3, 2, 0, 1, 0, pytest.approx(33.3333, abs=1e-3), 0.007, 0.010, 0.021, 0.003)),
        (IPUTILS_NONE, (2, 0, 0, 0, 2, 100.0, None, None, None, None)),
        (BUSYBOX, (4, 3, 1, 0, 0, 25.0, 0.050, 0.060, 0.070, None)),
        (INETUTILS, (2, 2, 1, 0, 0, 0.0, 0.031, 0.040, 0.049, 0.009)),
        (TWICE, (5, 4, 2, 0, 1, 20.0, 0.025, 0.031, 0.040, 0.005)),
    ],
)
def test_statistics_of_every_variant(text: str, numbers: tuple[float | None, ...]) -> None:
    result = parse_statistics(text)
    assert result is not None
    assert tuple(result.values()) == numbers


@given(st.text())
def test_other_text_has_no_statistics(text: str) -> None:
    assert parse_statistics(text) is None


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        ("ping: nosuch: Name or service not known", "the host name m2 is not known on this host"),
        ("ping: bad address 'nosuch'", "the host name m2 is not known"),
        ("ping: unknown host", "the host name m2 is not known"),
        ("ping: connect: Network is unreachable", "this host has no route to m2"),
        (
            "ping: cannot flood, minimal interval for user must be >= 2 ms, use -i 0.002",
            "only root may ping so fast",
        ),
        ("ping: socktype: SOCK_RAW\nping: socket: Operation not permitted", "run the job as root"),
        ("ping: permission denied (are you root?)", "ping may not open its socket"),
        ("ping: SO_BINDTODEVICE eth9: Invalid argument", "cannot send from eth9"),
        ("ping: invalid option -- 'M'\nUsage: ping", "install the package iputils-ping"),
        ("PING m2 (10.0.0.2)\nping: something new", "ping to m2 could not be done: something new"),
        ("", "ping to m2 could not be done: it said nothing"),
    ],
)
def test_complaints_are_explained(complaint: str, said: str) -> None:
    assert said in explain_complaint(complaint, "m2", "eth9")


def test_the_command_line_has_only_what_is_needed() -> None:
    assert Ping(dst="10.0.0.2").command() == ["ping", "-q", "-c", "5", "10.0.0.2"]
    ping = Ping(
        dst="m2",
        count=0,
        interval="0.0001",
        size=1000,
        iface="eth0",
        ttl=3,
        timeout="500ms",
        df=True,
        family=6,
    )
    assert " ".join(ping.command()) == "ping -q -i 0.0001 -s 1000 -I eth0 -t 3 -W 0.5 -M do -6 m2"


def test_bad_parameters_are_refused_where_ping_is_made() -> None:
    with pytest.raises(BadParameters, match="is missing"):
        Ping()
    with pytest.raises(BadParameters, match="give count or deadline"):
        Ping(dst="10.0.0.2", count=0, flood=True)
    with pytest.raises(BadParameters, match=r"dst=10.0.0.2 is an IPv4 address"):
        Ping(dst="10.0.0.2", family=6)
    with pytest.raises(BadParameters, match="iface"):
        Ping(dst="10.0.0.2", iface="-f")


def test_a_result_is_shown_on_one_line() -> None:
    ping = Ping(dst="10.0.0.2")
    assert ping.format_result(parse_statistics(IPUTILS)) == (
        "5 sent, 4 received, 20 % lost, 2 duplicates, 1 errors, 0.025/0.031/0.040 ms"
    )
    assert ping.format_result(parse_statistics(IPUTILS_NONE)) == "2 sent, 0 received, 100 % lost, 2 errors"
    assert ping.format_result({"other": 1}) == "other: 1"
    assert str(ping) == "Ping(dst=10.0.0.2)"
