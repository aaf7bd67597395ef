"""What the kernel says in /proc, as it says it on this machine, on others, and if it said anything else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shakeout.modules.machine import procstat
from shakeout.modules.machine.procstat import DiskStat, counted, shares

STAT = """cpu  10 1 20 300 5 2 3 4 7 8
cpu0 10 1 20 300 5 2 3 4 7 8
cpu3 0 0 0 1
intr 12345 0 1 2
ctxt 999
btime 1700000000
processes 55
procs_running 2
procs_blocked 1
"""


def test_the_machine_as_it_is() -> None:
    stat = procstat.parse_stat(Path("/proc/stat").read_text())
    assert stat.cpus["cpu"][3] > 0
    assert stat.running >= 1
    assert stat.context_switches > stat.forks > 0
    assert procstat.parse_meminfo(Path("/proc/meminfo").read_text())["MemTotal"] > 1 << 20
    assert len(procstat.parse_load(Path("/proc/loadavg").read_text())) == 3


def test_columns_that_an_old_kernel_lacks_are_zero() -> None:
    stat = procstat.parse_stat(STAT)
    assert stat.cpus["cpu"] == (10, 1, 20, 300, 5, 2, 3, 4)
    assert stat.cpus["cpu3"] == (0, 0, 0, 1, 0, 0, 0, 0)
    assert (stat.interrupts, stat.context_switches, stat.forks) == (12345, 999, 55)
    assert (stat.running, stat.blocked) == (2, 1)


def test_shares_are_of_the_time_that_passed() -> None:
    before = (100, 0, 0, 100, 0, 0, 0, 0)
    found = shares(before, (150, 0, 25, 125, 0, 0, 0, 0))
    assert found is not None
    assert (found["user"], found["system"], found["idle"], found["busy"]) == (50, 25, 25, 75)
    assert shares(before, before) is None


@given(*[st.tuples(*[st.integers(0, 1 << 40)] * 8)] * 2)
def test_shares_add_up(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    found = shares(before, after)
    if found is not None:
        assert abs(sum(found[kind] for kind in procstat.CPU_KINDS) - 100) < 1e-6
        assert all(-1e-9 <= share <= 100 + 1e-9 for share in found.values())


def test_memory_is_in_bytes_and_counts_are_counts() -> None:
    text = "MemTotal:       100 kB\nHugePages_Total:       3\nnonsense\nActive(anon):  1 kB\nBad: x kB\n"
    assert procstat.parse_meminfo(text) == {"MemTotal": 102400, "HugePages_Total": 3, "Active(anon)": 1024}


def test_pressure_is_in_microseconds() -> None:
    text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
    assert procstat.parse_pressure(text) == {"some": 77, "full": 5}


def test_disks_of_old_and_new_kernels() -> None:
    line = "   8       0 sda 10 1 200 30 4 1 80 50 0 60 70"
    disk = DiskStat(reads=10, writes=4, read_bytes=102400, written_bytes=40960, read_ms=30, write_ms=50, busy_ms=60)
    assert procstat.parse_disks(f"{line}\n{line} 1 2 3 4 5 6\nshort 1 2\n") == {"sda": disk}


def test_counters_that_go_round_or_begin_anew() -> None:
    assert counted(5, 9) == 4
    assert counted((1 << 32) - 10, 5) == 15
    assert counted(1000, 5) == 5
    assert counted(1 << 40, 5) == 5


@given(st.integers(0, 1 << 64), st.integers(0, 1 << 64))
def test_nothing_counts_backwards(before: int, after: int) -> None:
    assert 0 <= counted(before, after) <= max(after, 1 << 32)


@given(
    st.text() | st.lists(st.sampled_from(["cpu", "cpu0", "1", "-1", ":", "kB", "total=", "\n", " ", "²"])).map("".join)
)
def test_any_text_is_survived(text: str) -> None:
    procstat.parse_stat(text)
    procstat.parse_load(text)
    procstat.parse_meminfo(text)
    procstat.parse_pressure(text)
    procstat.parse_disks(text)
