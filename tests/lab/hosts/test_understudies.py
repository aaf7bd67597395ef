"""Modules that follow each other: each in a process of its own, though that was forked before."""

from __future__ import annotations

import signal

from tests.lab.hosts import cases

from shakeout.hosts.host import Host
from shakeout.hosts.waiting import wait_all


def test_each_finds_a_fresh_process(host: Host) -> None:
    found = [host.run(cases.Remembers()).result for _ in range(12)]
    assert [one["before"] for one in found] == [0] * 12
    assert len({one["pid"] for one in found}) == 12
    assert len({one["chance"] for one in found}) == 12
    assert all(one["pid"] == one["group"] == one["session"] for one in found)


def test_many_at_once_all_come_back(host: Host) -> None:
    host.run(cases.Remembers())
    jobs = [host.run(cases.Remembers(), bg=True) for _ in range(30)]
    assert wait_all(jobs, timeout=30)
    assert all(job.passed for job in jobs)
    assert len({job.result["pid"] for job in jobs}) == 30


def test_another_source_is_known_to_the_next(host: Host) -> None:
    from tests.lab.hosts import one_more_case

    for _ in range(3):
        assert host.run(cases.Doubles(number=1)).result == {"doubled": 2}
    for _ in range(3):
        assert host.run(one_more_case.Triples(number=2)).result == 6


def test_directory_variables_user_and_signals_are_those_of_the_job(host: Host) -> None:
    for _ in range(3):
        host.run(cases.Remembers())
    assert host.run(cases.Where(), path="/usr", env={"WHO": "me"}).passed
    ignores = host.run(cases.Ignores(), bg=True)
    ignores.wait_output("ready")
    ignores.kill(signal.SIGTERM)
    assert not ignores.wait(0.2)
    ignores.kill()
    assert ignores.finished


def test_an_order_that_is_long_goes_another_way(host: Host) -> None:
    for _ in range(2):
        host.run(cases.Remembers())
    assert host.run(cases.Prints(text="x" * 200_000)).stdout == "x" * 200_000


def test_one_is_kept_ready_after_a_first_module_and_none_on_a_free_host(host: Host) -> None:
    named = "grep -sl '^shakeout-zygote$' /proc/[0-9]*/comm | wc -l"
    host.wait_for(f"[ $({named}) -le 1 ]", timeout=20)  # also where an earlier session had modules
    host.run(cases.Remembers())
    host.wait_for(f"[ $({named}) = 2 ]", timeout=20)
    host.run(cases.Remembers())
    host.wait_for(f"[ $({named}) = 2 ]", timeout=20)
