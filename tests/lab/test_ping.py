"""Ping with the real program: on loopback, and in a network namespace that goes with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shakeout.modules import Ping
from shakeout.modules.order import encode_order
from shakeout.modules.outcome import Outcome, decode_outcome
from shakeout.modules.source import order_for

pytestmark = pytest.mark.needs("ping", "unshare", "ip")

#: Runs one order in a process of its own, as its own process group; the outcome goes to stdout.
PROGRAM = """
import os, sys
from shakeout.modules.runner import run_module
from shakeout.modules.shipped import CodeCache
result = os.dup(1)
os.dup2(2, 1)
sys.exit(run_module(bytes.fromhex(sys.argv[1]), CodeCache(), result))
"""


def start(ping: Ping, before: str = "", **options: Any) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", PROGRAM, encode_order(order_for(ping, "m1")[0]).hex()]
    if before:
        argv = ["unshare", "-n", "sh", "-c", before + '; exec "$@"', "sh", *argv]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)


def run(ping: Ping, before: str = "", **options: Any) -> Outcome:
    with start(ping, before, **options) as process:
        data, _ = process.communicate()
    return decode_outcome(data)


def reason(outcome: Outcome) -> str:
    assert not outcome.passed
    assert outcome.error is not None
    assert outcome.error.kind == "failed"
    return outcome.error.message


LO_UP = "ip link set lo up"


@pytest.mark.parametrize("dst", ["127.0.0.1", "::1", "localhost"])
def test_all_answers_come(dst: str) -> None:
    outcome = run(Ping(dst=dst, count=3, interval=0.01), LO_UP)
    assert outcome.passed
    assert (outcome.result["transmitted"], outcome.result["received"], outcome.result["loss"]) == (3, 3, 0.0)
    assert 0 < outcome.result["min_ms"] <= outcome.result["avg_ms"] <= outcome.result["max_ms"]


def test_options_reach_the_program() -> None:
    ping = Ping(
        dst="127.0.0.1", count=2, interval=0.0, size=1000, ttl=3, iface="lo", timeout=1, df=True, flood=True
    )
    assert run(ping, LO_UP).passed


def test_loss_above_the_limit_fails_and_keeps_the_numbers() -> None:
    # Addresses of a peer that does not exist: the kernel answers for it with an error after a second.
    silent = "ip link add d0 type veth peer name d1; ip addr add 10.9.0.1/24 dev d0; "
    silent += "ip link set d0 up; ip link set d1 up; ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev d0"
    ping = Ping(dst="10.9.0.2", count=2, interval=0.01, timeout=0.05)
    outcome = run(ping, silent)
    assert reason(outcome) == "2 of 2 packets to 10.9.0.2 were lost (100 %)"
    assert outcome.result["received"] == 0
    assert run(Ping(dst="10.9.0.2", count=1, timeout=0.05, max_loss=100), silent).passed


def test_what_cannot_be_sent_is_explained() -> None:
    assert "no route to 10.9.0.2" in reason(run(Ping(dst="10.9.0.2", count=1), LO_UP))
    assert "the host name nonesuch.invalid is not known" in reason(run(Ping(dst="nonesuch.invalid"), LO_UP))
    assert "cannot send from nodev0" in reason(run(Ping(dst="127.0.0.1", iface="nodev0"), LO_UP))
    wide = Ping(dst="127.0.0.1", count=1, size=9000, df=True, timeout=0.05)
    assert "df forbids fragments" in reason(run(wide, LO_UP + " mtu 1500"))


def test_a_missing_program_names_its_package(tmp_path: Path) -> None:
    outcome = run(Ping(dst="127.0.0.1"), env={**os.environ, "PATH": str(tmp_path)})
    assert outcome.error is not None
    assert "install the package iputils-ping" in outcome.error.message


def test_a_deadline_ends_it_with_what_was_sent_until_then() -> None:
    outcome = run(Ping(dst="127.0.0.1", count=0, interval=0.01, deadline=0.2), LO_UP)
    assert outcome.passed
    assert outcome.result["transmitted"] > 2


@pytest.fixture
def endless() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A Ping without an end that has had an answer, and the pid of its program."""
    with start(Ping(dst="127.0.0.1", count=0, interval=0.01), LO_UP) as process:
        try:
            yield process, _answered(process)
        finally:
            process.kill()


def _answered(process: subprocess.Popen[bytes]) -> int:
    while process.poll() is None:
        try:
            for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                counts = Path(f"/proc/{pid}/net/snmp").read_text().split("Icmp: ")[2].split()
                if Path(f"/proc/{pid}/comm").read_text() == "ping\n" and int(counts[0]) > 4:
                    return int(pid)
        except OSError:
            continue  # it is just becoming another program, or ending
    raise AssertionError(f"ended with {process.returncode}")


def test_an_interrupt_gives_the_statistics_so_far(endless: tuple[subprocess.Popen[bytes], int]) -> None:
    process, pid = endless
    process.send_signal(signal.SIGINT)
    outcome = decode_outcome(process.communicate()[0])
    assert outcome.passed
    assert outcome.result["received"] >= 1
    assert not Path(f"/proc/{pid}").exists()


def test_sigterm_ends_the_program_too(endless: tuple[subprocess.Popen[bytes], int]) -> None:
    process, pid = endless
    process.terminate()
    data, _ = process.communicate()
    assert process.returncode == -signal.SIGTERM
    assert data == b""
    assert not Path(f"/proc/{pid}").exists()
