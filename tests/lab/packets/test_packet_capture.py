"""Packets captured on hosts, and read again by another program."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from tests.lab.module_process import LO_UP, ModuleProcess, run
from tests.lab.packets.senders import AnswerTunnel, ReadCounters, SendFrames
from tests.unit.modules.frames import ether, icmp, ipv4, udp

from shakeout.errors import BadParameters
from shakeout.hosts.matched import Matched
from shakeout.modules import PacketAssert, PacketCapture, Ping, UdpSend
from shakeout.testing import Recording

NOISE = ether(udp(data=b"noise"), 0x88B5, dst="ff:ff:ff:ff:ff:ff")
TAGGED = ether(ipv4(icmp(8), 1), 0x0800, dst="ff:ff:ff:ff:ff:ff", tags=(5,))


def tcpdump(path: Path | str, *options: str) -> list[str]:
    """What tcpdump reads in a file."""
    done = subprocess.run(["tcpdump", "-nr", str(path), *options], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if not line.startswith("\t")]  # those are contents


@pytest.mark.needs("tcpdump", "ping")
def test_what_was_captured_is_an_artifact_that_tcpdump_reads(row: Matched, recording: Recording) -> None:
    m1, m2 = row.m1, row.m2
    capture = m2.run(PacketCapture(dev=m2.eth0, filter="icmp or icmp6 and not ip6 multicast"), bg=True)
    assert capture.wait_output("listening on eth0")
    assert m1.run(Ping(dst="10.0.2.2", count=3, interval=0.01)).passed
    assert m1.run(Ping(dst="2001:db8:2::2", count=2, interval=0.01)).passed
    capture.kill(signal.SIGINT)
    assert capture.wait(10)
    assert capture.passed, capture
    result = capture.result
    assert (result["dropped"], result["ended"], result["downs"]) == (0, "interrupt", 0)
    [artifact] = capture.artifacts
    lines = tcpdump(artifact)
    assert len(lines) == result["packets"]
    assert sum("ICMP echo re" in line for line in lines) == 6
    assert sum("ICMP6, echo re" in line for line in lines) == 4
    assert artifact.parent == recording.artifact_path("artifacts")
    assert not m2.run(["test", "-e", result["file"]]).passed  # it was a temporary one
    assert f"{result['packets']} packets" in str(capture)


@pytest.mark.needs("tcpdump")
def test_tags_directions_and_sizes(row: Matched) -> None:
    m1, router = row.m1, row.router
    tagged = router.run(PacketCapture(dev="eth0", filter="vlan 5 and icmp", count=2, file="/tmp/tagged.pcap"), bg=True)
    incoming = router.run(PacketCapture(dev="eth0", filter="icmp", direction="in", snaplen=60), bg=True)
    outgoing = m1.run(PacketCapture(dev="eth0", filter="icmp and vlan", direction="out", count=2), bg=True)
    none = m1.run(PacketCapture(dev="eth0", filter="icmp and vlan", direction="in"), bg=True)
    for job in (tagged, incoming, outgoing, none):
        job.wait_output("listening")
    long = ether(ipv4(icmp(8, data=bytes(500)), 1), 0x0800, dst="ff:ff:ff:ff:ff:ff")
    assert m1.run(SendFrames(frames=[TAGGED.hex(), NOISE.hex(), long.hex(), TAGGED.hex()])).passed
    assert tagged.wait(10)
    assert outgoing.wait(10)
    for job in (incoming, none):
        job.kill(signal.SIGINT)
        assert job.wait(10)
    assert [job.result["packets"] for job in (tagged, incoming, outgoing, none)] == [2, 3, 2, 0]
    assert tagged.result["ended"] == "count"
    assert router.run(["test", "-e", "/tmp/tagged.pcap"]).passed  # it has a name of its own
    assert all("vlan 5" in line and "echo request" in line for line in tcpdump(tagged.artifacts[0], "-e"))
    assert incoming.result["bytes"] == 2 * len(TAGGED) + len(long)
    assert "length 542" in "".join(tcpdump(incoming.artifacts[0], "-e"))  # the real length, of which 60 bytes are there
    assert incoming.artifacts[0].stat().st_size == 24 + 3 * 16 + 46 + 60 + 46


@pytest.mark.needs("tcpdump")
def test_a_ring_of_files(row: Matched) -> None:
    m1 = row.m1
    capture = m1.run(
        PacketCapture(dev="eth0", filter="ether proto 0x88b5", max_size=1000, files=2, file="/tmp/ring.pcap"), bg=True
    )
    capture.wait_output("listening")
    assert m1.run(SendFrames(frames=[NOISE.hex()], count=100)).result == {"sent": 100, "lost": 0}
    capture.kill(signal.SIGINT)
    assert capture.wait(10)
    result = capture.result
    each = (1000 - 24) // (16 + len(NOISE))
    assert result["packets"] == 100
    assert result["removed"] == 99 // each - 1
    assert result["files"] == [f"/tmp/ring.pcap.{99 // each - 1}", f"/tmp/ring.pcap.{99 // each}"]
    assert [len(tcpdump(path)) for path in capture.artifacts] == [each, 100 - each * (99 // each)]
    one = m1.run(PacketCapture(dev="eth0", filter="ether proto 0x88b5", max_size=1000), bg=True)
    one.wait_output("listening")
    m1.run(SendFrames(frames=[NOISE.hex()], count=100))
    assert one.wait(10)
    assert (one.result["packets"], one.result["ended"]) == (each, "size")


@pytest.mark.parametrize("buffer", [1, 64])
def test_a_flood_is_counted_whole(row: Matched, buffer: int) -> None:
    m1, router = row.m1, row.router
    before = router.run(ReadCounters(dev="eth0")).result["rx_packets"]
    capture = router.run(
        PacketCapture(dev="eth0", filter="ether proto 0x88b5", buffer=buffer, file="/dev/shm/flood.pcap", snaplen=64),
        bg=True,
    )
    capture.wait_output("listening")
    sent = m1.run(SendFrames(frames=[NOISE.hex()], count=200_000), timeout=50)
    assert sent.passed, sent
    capture.kill(signal.SIGINT)
    assert capture.wait(30)
    received = router.run(ReadCounters(dev="eth0")).result["rx_packets"] - before
    result = capture.result
    assert sent.result["sent"] <= received < sent.result["sent"] + 100
    assert result["packets"] + result["dropped"] == sent.result["sent"]
    if buffer == 64:
        assert result["packets"] > 0.5 * sent.result["sent"]


def test_an_interface_that_is_down_and_one_that_goes(row: Matched) -> None:
    m1 = row.m1
    assert m1.run("ip link add v2 type veth peer name v3 && ip link set v3 up").passed
    capture = m1.run(PacketCapture(dev="v2", filter="ether proto 0x88b5"), bg=True)
    capture.wait_output("listening on v2")
    assert m1.run("ip link set v2 up && ip link set v2 down && ip link set v2 up").passed
    assert m1.run(SendFrames(dev="v3", frames=[NOISE.hex()], count=3)).passed
    assert m1.run("ip link set v2 down && ip link del v2").passed
    assert capture.wait(10)
    assert not capture.passed
    assert capture.error is not None
    assert capture.error.message == "v2 went away while its packets were captured; 3 were until then"
    assert (capture.result["packets"], capture.result["downs"], capture.result["ended"]) == (3, 3, "gone")
    assert len(capture.artifacts) == 1


@pytest.mark.needs("tcpdump")
def test_an_interface_without_ethernet(row: Matched) -> None:
    m2 = row.m2
    tunnel = m2.run(AnswerTunnel(address="10.8.0.1/24"), bg=True)
    tunnel.wait_output("ready")
    capture = m2.run(PacketCapture(dev="tun0", filter="udp port 7 and dst host 10.8.0.1"), bg=True)
    both = m2.run(PacketAssert(dev="tun0", filter="udp and ip[8] > 0", payload="^echo$", count=2), bg=True)
    for job in (capture, both):
        job.wait_output("listening on tun0")
    assert m2.run(UdpSend(dst="10.8.0.9", port=7, payload="echo")).passed
    assert tunnel.wait(10)  # and so the device goes
    assert capture.wait(10)
    assert both.wait(10)
    assert capture.error is not None
    assert "tun0 went away" in capture.error.message
    [line] = tcpdump(capture.artifacts[0])
    assert "IP 10.8.0.9." in line
    assert line.endswith("> 10.8.0.1.7: UDP, length 4") or "> 10.8.0.1.echo: UDP, length 4" in line
    assert both.result["seen"] == 2
    assert both.result["examples"][0].endswith("> 10.8.0.9:7: UDP, 4 bytes")


@pytest.mark.needs("unshare")
def test_what_cannot_be_captured_says_why(tmp_path: Path) -> None:
    def said(**options: object) -> str:
        outcome = run(PacketCapture(**{"dev": "lo", "duration": 0.01, **options}), LO_UP)
        assert outcome.error is not None
        return outcome.error.message

    assert said(dev="lo0") == "there is no interface 'lo0' on this host (did you mean 'lo'?)"
    assert "cannot be written to /nonesuch/x: No such file" in said(file="/nonesuch/x")
    assert "is understood by neither shakeout ('icpm' at character 1" in said(filter="icpm")
    assert "cannot be written to /dev/full" in said(file="/dev/full", snaplen=14)
    outcome = run(PacketCapture(dev="lo", duration=0.01, filter="icpm"), env={"PATH": str(tmp_path)})
    assert outcome.error is not None
    assert "install the package tcpdump on this host (Debian, Ubuntu and Fedora)" in outcome.error.message


@pytest.mark.needs("unshare", "setpriv")
def test_without_the_right_to_look() -> None:
    outcome = run(PacketCapture(dev="lo", duration=0.1), LO_UP + '; set -- setpriv --bounding-set -net_raw "$@"')
    assert outcome.error is not None
    assert "may not look at packets on this host: run it as root" in outcome.error.message


def test_a_device_of_another_host_is_noticed(row: Matched) -> None:
    job = row.m1.run(PacketCapture(dev=row.m2.eth0, duration=0.1))
    assert job.error is not None
    assert "is it one of another host?" in job.error.message


@pytest.mark.needs("unshare")
def test_a_duration_ends_it_and_sigterm_leaves_a_whole_file(tmp_path: Path) -> None:
    outcome = run(PacketCapture(dev="lo", duration=0.05, file=tmp_path / "a.pcap"), LO_UP)
    assert outcome.passed
    assert (outcome.result["ended"], outcome.result["packets"]) == ("duration", 0)
    assert (tmp_path / "a.pcap").stat().st_size == 24
    assert (tmp_path / "a.pcap").stat().st_mode & 0o777 == 0o600
    with ModuleProcess(PacketCapture(dev="lo", file=tmp_path / "b.pcap"), LO_UP) as endless:
        assert endless.line() == "listening on lo"
        endless.process.send_signal(signal.SIGINT)
        assert endless.outcome().passed


@pytest.mark.parametrize("options", [
    {}, {"dev": ""}, {"dev": "a/b"}, {"dev": "x" * 16}, {"dev": 3}, {"dev": "lo", "filter": "(tcp"},
    {"dev": "lo", "filter": "a\nb"}, {"dev": "lo", "files": 2}, {"dev": "lo", "direction": "up"},
    {"dev": "lo", "snaplen": 10}, {"dev": "lo", "count": -1},
])  # fmt: skip
def test_bad_parameters_are_refused_at_once(options: dict[str, object]) -> None:
    with pytest.raises(BadParameters):
        PacketCapture(**options)
