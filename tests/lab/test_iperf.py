"""Iperf with the real program, between two network namespaces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.module_process import ModuleProcess, reason, run
from tests.lab.pair import Side, pair

from shakeout.modules import IperfClient, IperfServer
from shakeout.modules.base import format_plain
from shakeout.wire.samples import Declared, Rows

pytestmark = pytest.mark.needs("iperf3", "nft", "ip", "root")


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    with pair() as both:
        yield both


def serving(side: Side, **params: object) -> ModuleProcess:
    """A server that listens."""
    server = side.start(IperfServer(**params))
    line = server.line()
    if not line.startswith("listening on "):
        server.__exit__()
        raise AssertionError(line)
    return server


def test_tcp_in_both_directions_over_ipv6(sides: tuple[Side, Side]) -> None:
    a, b = sides
    client = IperfClient(dst=b.ipv6, duration=1, interval=0.2, bidirectional=True, streams=2, bind=a.ipv6, cpu=0)
    with serving(b, bind=b.ipv6) as server:
        with a.start(client) as process:
            outcome = process.outcome()
            series = [frame.name for frame in process.samples if isinstance(frame, Declared)]
        heard = server.outcome()
    assert outcome.passed, outcome.error
    assert series == ["throughput", "throughput_back"]
    test = outcome.result
    assert test["received_bps"] > 1e6
    assert test["back"]["received_bps"] > 1e6
    assert len(test["streams"]) == len(test["back"]["streams"]) == 2
    assert test["uncertainty_bps"] > 0
    assert (heard.passed, heard.result["address"], len(heard.result["tests"])) == (True, b.ipv6, 1)
    assert heard.result["tests"][0]["received_bytes"] == test["received_bytes"]
    assert "Mbit/s" in client.format_result(test)
    assert client.format_result({"foreign": 1}) == format_plain({"foreign": 1})


def test_datagrams_that_are_dropped_on_their_way_are_counted(sides: tuple[Side, Side]) -> None:
    a, b = sides
    b.do(
        "nft add table inet lossy",
        "nft add chain inet lossy input '{ type filter hook input priority 0; }'",
        "nft add rule inet lossy input udp dport 5201 ip length '>=' 200 numgen inc mod 4 == 3 drop",
    )
    try:
        with serving(b) as server:
            outcome = a.run(IperfClient(dst=b.ipv4, protocol="udp", rate=2e6, length=500, duration=1))
            heard = server.outcome()
    finally:
        b.do("nft delete table inet lossy")
    assert outcome.passed
    assert outcome.result["loss"] == pytest.approx(25, abs=1)
    assert heard.result["tests"][0]["lost"] == outcome.result["lost"] > 50


def test_a_server_serves_until_it_is_stopped(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b, oneoff=False, port=5555) as server:
        for reverse in (False, True):
            assert a.run(IperfClient(dst=b.ipv4, port=5555, duration=1, reverse=reverse, zerocopy=True)).passed
        heard = server.outcome(signal.SIGINT)
    assert heard.passed
    assert [test["reverse"] for test in heard.result["tests"]] == [False, True]


def test_what_came_before_an_interrupt_counts(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b) as server, a.start(IperfClient(dst=b.ipv4, duration=60, interval=0.1)) as client:
        moved(b)
        mine = client.outcome(signal.SIGINT)
        theirs = server.outcome()
    assert mine.passed, mine.error
    assert mine.result["sent_bytes"] > 0
    assert mine.result["error"] == "interrupt - the client has terminated"
    assert "the client has terminated" in reason(theirs)


def test_a_server_that_dies_fails_the_client_with_what_it_has(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b) as server, a.start(IperfClient(dst=b.ipv4, duration=60, interval=0.1)) as client:
        moved(b)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        mine = client.outcome()
        theirs = server.outcome()
    assert f"throughput to {b.ipv4}:5201 could not be measured: " in reason(mine)
    assert mine.result["sent_bytes"] > 0
    assert "did not come to its end" in reason(theirs)


def test_a_version_that_tells_each_event_is_listened_to_as_it_does(tmp_path: Path) -> None:
    """The program of Debian 12 cannot: this one says what a newer one would, and then waits to be stopped."""
    capture = Path(__file__).parents[1] / "unit" / "modules" / "iperf" / "client-streams.json"
    document = json.loads(capture.read_text())
    events = [("start", document["start"]), *(("interval", part) for part in document["intervals"])]
    lines = "".join(json.dumps({"event": name, "data": data}) + "\n" for name, data in events)
    last = json.dumps({"event": "end", "data": document["end"]})
    program = tmp_path / "iperf3"
    program.write_text(
        f"#!{sys.executable}\nimport signal, sys\n"
        "if sys.argv[1] == '--help': sys.exit('has --json-stream')\n"
        f"signal.signal(signal.SIGINT, lambda *_: (print({last!r}), sys.exit(1)))\n"
        f"print({lines!r}, flush=True)\nsignal.pause()\n"
    )
    program.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with ModuleProcess(IperfClient(dst="127.0.0.1", duration=60), env=path) as client:
        client.wait_for_sample()
        outcome = client.outcome(signal.SIGINT)
        rows = sum(len(frame.data) // 16 for frame in client.samples if isinstance(frame, Rows))
    assert outcome.passed, outcome.error
    assert outcome.result["sent_bytes"] == 3106406400
    assert rows == 2


def moved(side: Side, size: int = 200 << 20) -> None:
    """Wait until much has come in through the link of *side*."""
    argv = ["ip", "netns", "exec", side.name, "sh", "-c"]
    script = f"while [ $(cat /sys/class/net/{side.link}/statistics/rx_bytes) -lt $1 ]; do sleep 0.02; done"
    path = f"cat /sys/class/net/{side.link}/statistics/rx_bytes"
    now = int(subprocess.run([*argv, path], capture_output=True, check=True).stdout)
    subprocess.run([*argv, script, "sh", str(now + size)], check=True, timeout=20)


def test_what_cannot_be_done_says_why(sides: tuple[Side, Side], tmp_path: Path) -> None:
    a, b = sides
    said = reason(a.run(IperfClient(dst=b.ipv4, duration=1)))
    assert "unable to connect to server: Connection refused; nobody listens there: start IperfServer" in said
    assert "10.78.0.1" in reason(a.run(IperfClient(dst="10.78.0.1", duration=1)))
    assert "no client came within 0.2 s" in reason(b.run(IperfServer(timeout=0.2)))
    assert "cannot serve on port 5201" in reason(b.run(IperfServer(bind="192.0.2.1", timeout=5)))
    with serving(b):
        taken = reason(b.run(IperfServer(timeout=5)))
        assert "Address already in use" in taken
        bad = reason(a.run(IperfClient(dst=b.ipv4, duration=1, congestion="nonesuch")))
        assert "nonesuch" in bad or "congestion" in bad.lower()
    missing = run(IperfClient(dst="127.0.0.1"), env={**os.environ, "PATH": str(tmp_path)})
    assert missing.error is not None
    assert "install the package iperf3" in missing.error.message
