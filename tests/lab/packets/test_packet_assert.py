"""Packets that must come, and packets that must not."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from tests.lab.module_process import LO_UP, ModuleProcess, reason, run
from tests.lab.packets.senders import SendFrames
from tests.unit.modules.frames import ether, ipv4, tcp, udp

from shakeout.errors import BadParameters
from shakeout.hosts.matched import Matched
from shakeout.journal.events import JobFinished, SeriesStarted
from shakeout.modules import PacketAssert, Ping
from shakeout.testing import Recording

ALL = "ff:ff:ff:ff:ff:ff"
HELLO = ether(ipv4(udp(5000, 53, b"hello, world"), 17), 0x0800, dst=ALL)
BYE = ether(ipv4(udp(5000, 54, b"good bye"), 17), 0x0800, dst=ALL)
SYN = ether(ipv4(tcp(5000, 80, 0x02), 6), 0x0800, dst=ALL)


def looks(row: Matched, *frames: bytes, times: int = 1, **options: Any) -> Any:
    """What a PacketAssert at one end of a quiet wire made of frames that were sent into the other."""
    job = row.m1.run(PacketAssert(dev="v0", direction="in", **options), bg=True)
    job.wait_output("listening on v0")
    assert row.m1.run(SendFrames(dev="v1", frames=[frame.hex() for frame in frames], count=times)).passed
    if options.get("duration") is None and not job.wait(0.2):
        job.kill(signal.SIGINT)
    assert job.wait(20)
    return job


@pytest.mark.needs("ping")
def test_a_recipe_counts_echo_requests(row: Matched) -> None:
    job = row.m2.run(PacketAssert(dev=row.m2.eth0, filter="icmp[icmptype] = icmp-echo", count=3, duration=0.3), bg=True)
    job.wait_output("listening")
    row.m1.run(Ping(dst="10.0.2.2", count=3, interval=0.01))
    assert job.wait(10)
    assert job.passed, job
    result = job.result
    assert result["seen"] == 3
    assert 0 <= result["first_s"] < result["last_s"] <= result["seconds"]
    assert result["rate"] == pytest.approx(3 / result["seconds"], rel=1e-3)
    assert result["examples"][2].startswith("10.0.1.1 > 10.0.2.2: ICMP echo request, id ")
    assert any("echo reply" in line for line in result["others"])
    assert "3 packets, " in str(job)


@pytest.mark.parametrize(("options", "frames", "passed"), [
    ({"filter": "udp port 53"}, [HELLO], True),
    ({"filter": "udp port 53", "count": 2}, [HELLO], False),
    ({"filter": "udp port 53", "count": 2}, [HELLO, HELLO], True),
    ({"filter": "udp port 53", "count": 2}, [HELLO] * 3, False),
    ({"filter": "udp port 53", "count": (2, None)}, [HELLO] * 3, True),
    ({"filter": "udp port 53", "count": "-2"}, [HELLO] * 3, False),
    ({"filter": "udp port 53", "count": (None, 3)}, [HELLO] * 3, True),
    ({"filter": "tcp", "none": True}, [HELLO], True),
    ({"filter": "tcp", "none": True}, [HELLO, SYN], False),
    ({"filter": "udp", "payload": "^good"}, [HELLO, BYE], True),
    ({"filter": "udp", "payload": "o.*o", "count": 2}, [HELLO, BYE], True),
    ({"filter": "udp", "payload": "o, w", "count": 2}, [HELLO, BYE], False),
    ({"grep": [":54: UDP", r"10\.0\.0\.1"], "filter": "udp", "count": 1}, [HELLO, BYE], True),
    ({"grep": ["SYN"], "none": True, "filter": "ip"}, [HELLO, BYE], True),
])  # fmt: skip
def test_verdicts(row: Matched, options: dict[str, Any], frames: list[bytes], passed: bool) -> None:
    assert looks(row, *frames, **options).passed is passed


def test_a_failure_says_what_came_instead(row: Matched) -> None:
    job = looks(row, HELLO, SYN, filter="udp port 99", count=2, duration=0.2)
    lines = job.error.message.splitlines()
    assert lines[0].startswith("on v0 (udp port 99) in 0.2")
    assert lines[0].endswith(" s: 0 packets were seen, expected are 2")
    assert lines[1] == "instead:"
    assert "  10.0.0.1:5000 > 10.0.0.2:53: UDP, 12 bytes" in lines
    assert "  10.0.0.1:5000 > 10.0.0.2:80: TCP SYN, 0 bytes" in lines
    job = looks(row, SYN, filter="tcp", none=True)
    lines = job.error.message.splitlines()
    assert lines[0].endswith("1 packets were seen, expected were none")
    assert lines[1:] == ["seen:", "  10.0.0.1:5000 > 10.0.0.2:80: TCP SYN, 0 bytes"]
    job = looks(row, HELLO, filter="udp port 53", payload="bye", duration=0.1)
    assert "instead:\n  10.0.0.1:5000 > 10.0.0.2:53: UDP, 12 bytes" in job.error.message


def test_it_ends_as_soon_as_it_can_be_told(row: Matched) -> None:
    assert looks(row, SYN, filter="tcp", duration=60).result["seconds"] < 20
    failed = looks(row, SYN, SYN, filter="tcp", duration=60, count=1)
    assert not failed.passed
    assert failed.result["seconds"] < 20


def test_rates_and_samples(row: Matched, recording: Recording) -> None:
    job = looks(row, SYN, times=100, filter="tcp", duration=0.4, rate=(100, 260), interval=0.1)
    assert job.passed, job
    assert job.result["seen"] == 100
    [finished] = [event for event in recording.of(JobFinished) if (event.host, event.job) == ("m1", job.id)]
    assert finished.passed
    [series] = [event for event in recording.of(SeriesStarted) if (event.host, event.job) == ("m1", job.id)]
    assert (series.name, series.columns) == ("packets", {"rate": "1/s", "bits": "bit/s"})
    job = looks(row, SYN, filter="tcp", duration=0.2, rate=1000)
    assert "packets a second came, expected are at least 1000" in job.error.message


def test_a_flood_is_counted_whole_though_there_is_no_room(row: Matched) -> None:
    job = row.m1.run(PacketAssert(dev="v0", direction="in", filter="tcp", count=200_000, buffer=1), bg=True)
    job.wait_output("listening")
    sent = row.m1.run(SendFrames(dev="v1", frames=[SYN.hex()], count=200_000), timeout=50)
    assert sent.result == {"sent": 200_000, "lost": 0}
    job.kill(signal.SIGINT)
    assert job.wait(30)
    assert job.passed, job
    assert job.result["seen"] == 200_000


def test_an_interface_that_is_down_is_named(row: Matched) -> None:
    assert row.m1.run("ip link add v2 type veth peer name v3").passed
    job = row.m1.run(PacketAssert(dev="v2", duration=0.05))
    assert job.error.message.endswith("0 packets were seen, expected are at least 1; the interface was down 1 times")


@pytest.mark.needs("unshare", "tcpdump")
def test_filters_that_only_tcpdump_knows(row: Matched) -> None:
    text = "udp and ip[2:2] - 20 > 15"
    assert looks(row, HELLO, BYE, filter=text, count=2).passed
    assert looks(row, SYN, BYE, HELLO, filter=text + " and udp[2:2] * 2 = 108", count=1).result["others"]
    assert "nor tcpdump (" in reason(run(PacketAssert(dev="lo", filter="udp and and"), LO_UP))


@pytest.mark.needs("unshare")
def test_stopped_before_anything_came() -> None:
    with ModuleProcess(PacketAssert(dev="lo", filter="icmp"), LO_UP) as job:
        assert job.line() == "listening on lo"
        outcome = job.outcome(signal.SIGINT)
    assert "0 packets were seen, expected are at least 1" in reason(outcome)
    assert outcome.result["first_s"] is None


@pytest.mark.parametrize(("options", "said"), [
    ({"count": "x"}, "expected a whole number, or two"), ({"count": (3, 2)}, "the least comes first"),
    ({"count": -1}, "expected"), ({"count": (None, None)}, "expected"), ({"count": 1.5}, "expected"),
    ({"count": [1, 2, 3]}, "expected"), ({"count": True}, "expected"), ({"rate": "inf"}, "expected a number"),
    ({"none": True, "count": 2}, "none=True contradicts"), ({"grep": ["("]}, "is no regular expression"),
    ({"payload": "[a"}, "is no regular expression"), ({"filter": "[tcp"}, "do not match"),
])  # fmt: skip
def test_bad_parameters_are_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameters) as caught:
        PacketAssert(dev="lo", **options)
    assert said in str(caught.value)
