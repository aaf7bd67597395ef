"""Ping with the real program: on loopback, and in a network namespace that goes with its process."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.module_process import LO_UP, ModuleProcess, reason, run

from shakeout.errors import ProtocolError
from shakeout.modules import Ping

pytestmark = pytest.mark.needs("ping", "unshare", "ip")


@pytest.mark.parametrize("dst", ["127.0.0.1", "::1", "localhost"])
def test_all_answers_come(dst: str) -> None:
    outcome = run(Ping(dst=dst, count=3, interval=0.01), LO_UP)
    assert outcome.passed
    assert (outcome.result["transmitted"], outcome.result["received"], outcome.result["loss"]) == (3, 3, 0.0)
    assert 0 < outcome.result["min_ms"] <= outcome.result["avg_ms"] <= outcome.result["max_ms"]


def test_options_reach_the_program() -> None:
    ping = Ping(dst="127.0.0.1", count=2, interval=0.0, size=1000, ttl=3, iface="lo", timeout=1, df=True, flood=True)
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
def endless() -> Iterator[tuple[ModuleProcess, int]]:
    """A Ping without an end that has had an answer, and the pid of its program."""
    with ModuleProcess(Ping(dst="127.0.0.1", count=0, interval=0.01), LO_UP) as running:
        yield running, _answered(running.process)


def _answered(process: subprocess.Popen[str]) -> int:
    while process.poll() is None:
        try:
            for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                counts = Path(f"/proc/{pid}/net/snmp").read_text().split("Icmp: ")[2].split()
                if Path(f"/proc/{pid}/comm").read_text() == "ping\n" and int(counts[0]) > 4:
                    return int(pid)
        except OSError:
            continue  # it is just becoming another program, or ending
    raise AssertionError(f"ended with {process.returncode}")


def test_an_interrupt_gives_the_statistics_so_far(endless: tuple[ModuleProcess, int]) -> None:
    running, pid = endless
    outcome = running.outcome(signal.SIGINT)
    assert outcome.passed
    assert outcome.result["received"] >= 1
    assert not Path(f"/proc/{pid}").exists()


def test_sigterm_ends_the_program_too(endless: tuple[ModuleProcess, int]) -> None:
    running, pid = endless
    with pytest.raises(ProtocolError, match="0 bytes are no outcome"):
        running.outcome(signal.SIGTERM)
    assert running.process.returncode == -signal.SIGTERM
    assert not Path(f"/proc/{pid}").exists()
