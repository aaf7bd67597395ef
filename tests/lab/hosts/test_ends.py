"""How jobs end: by themselves, killed, timed out, or leaving something behind."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from tests.lab.hosts.observing import alive

from shakeout.errors import UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import JobFinished
from shakeout.testing import Connected, Recording

# A daemon as books have it: two forks and a session of its own; it says its number when it is ready.
DAEMON = """
import os, sys, time
if os.fork(): os.wait(); print("leader done", flush=True); os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
{close}
open("daemon.pid", "w").write(str(os.getpid()))
os.rename("daemon.pid", "daemon")
time.sleep(1000)
"""
CLOSED = "null = os.open('/dev/null', 2); [os.dup2(null, n) for n in (0, 1, 2)]"


def daemon(*, holds_pipes: bool) -> list[str]:
    return [sys.executable, "-c", DAEMON.format(close="" if holds_pipes else CLOSED)]


def test_a_timeout_kills_and_says_so(host: Host, recording: Recording) -> None:
    job = host.run("sleep 1000", timeout=0.2)
    assert job.finished
    assert not job.passed
    assert (job.exit_status, job.signal) == (None, 9)
    assert job.reason == "timed out after 0.2 s, killed"
    assert recording.of(JobFinished)[0].reason == job.reason
    assert 0.15 < job.duration < 5


def test_a_timeout_kills_all_that_the_job_started(host: Host) -> None:
    job = host.run("sleep 987 & setsid sleep 987 & (setsid setsid sleep 987 &) ; echo ready; wait", timeout=0.3)
    assert job.reason == "timed out after 0.3 s, killed"
    assert host.run("pgrep -f 'sleep 98[7]'", fail=True).passed


def test_timeout_zero_waits_for_ever(host: Host) -> None:
    assert host.run("sleep 0.3", timeout=0).passed
    assert host.run("sleep 0.1", timeout=float("inf")).passed


def test_the_timeout_does_not_count_in_the_background(host: Host) -> None:
    job = host.run("sleep 0.3", bg=True, timeout=0.01)
    assert not job.finished
    assert job.wait(10)
    assert job.passed


def test_a_background_job_is_not_passed_while_it_runs(host: Host) -> None:
    job = host.run("sleep 1000", bg=True)
    assert not job.finished
    assert not job.passed
    assert job.wait(0.05) is False
    assert not job.finished
    job.kill()
    assert job.finished


def test_a_job_that_ignores_sigterm(host: Host) -> None:
    job = host.run("trap '' TERM; echo ready; while true; do sleep 0.01; done", bg=True)
    job.wait_output("ready")
    job.kill(signal.SIGTERM)
    assert job.wait(0.2) is False
    job.kill()
    assert (job.finished, job.signal) == (True, 9)
    assert job.reason == "ended by SIGKILL, sent by the recipe"


def test_a_job_that_was_killed_on_purpose_is_no_failure(host: Host) -> None:
    job = host.run("sleep 1000", bg=True)
    job.kill(signal.SIGTERM)
    assert job.wait(10)
    assert (job.signal, job.passed) == (15, True)
    ended_by_itself = host.run("kill $$")
    assert (ended_by_itself.signal, ended_by_itself.passed) == (15, False)


def test_kill_takes_the_whole_tree(host: Host) -> None:
    job = host.run("sleep 986 & setsid sleep 986 & (setsid setsid sleep 986 &); echo ready; wait", bg=True)
    job.wait_output("ready")
    job.kill()
    assert host.run("pgrep -f 'sleep 98[6]'", fail=True).passed


def test_killing_a_finished_job_does_nothing(host: Host) -> None:
    job = host.run("true")
    job.kill(signal.SIGTERM)
    job.kill()
    assert job.passed
    assert job.reason == ""


def test_a_kill_right_after_the_start_is_not_lost(host: Host) -> None:
    # With a working directory the job is forked by another process, whose answer comes later than the signal.
    for _ in range(20):
        job = host.run("sleep 1000", bg=True, path="/")
        job.kill()
        assert job.signal == 9


@pytest.mark.parametrize("number", [0, -1, 999, "TERM", None])
def test_what_is_no_signal_is_refused(host: Host, number: object) -> None:
    job = host.run("sleep 1000", bg=True)
    with pytest.raises(UsageError, match="no signal"):
        job.kill(number)  # type: ignore[arg-type]
    job.kill()


def test_stop_and_continue(host: Host) -> None:
    job = host.run("sleep 0.1; echo done", bg=True)
    job.kill(signal.SIGSTOP)
    assert job.wait(0.3) is False
    job.kill(signal.SIGCONT)
    assert job.wait(10)
    assert job.stdout == "done\n"


@pytest.mark.parametrize("holds_pipes", [True, False])
def test_a_job_ends_with_its_leader_and_what_it_left_is_ended_with_the_session(
    connected: Connected, holds_pipes: bool
) -> None:
    host = connected.host
    began = time.monotonic()
    job = host.run(daemon(holds_pipes=holds_pipes), timeout=20)
    assert job.stdout == "leader done\n"
    assert job.passed
    assert time.monotonic() - began < 10
    host.wait_for("test -e daemon", timeout=10)
    pid = (host.run("cat daemon; rm daemon").stdout or "").strip()
    assert alive(host, pid)
    ended = connected.end()
    assert len(ended.survivors) == 1
    assert "os.setsid" in ended.survivors[0]


def test_what_survived_is_gone_in_the_next_session(connect_to_agent, agent) -> None:  # type: ignore[no-untyped-def]
    first = connect_to_agent()
    first.host.run(daemon(holds_pipes=False))
    first.host.wait_for("test -e daemon", timeout=10)
    pid = (first.host.run("cat daemon; rm daemon").stdout or "").strip()
    first.end()
    second = connect_to_agent()
    assert not alive(second.host, pid)
    second.end()


def test_running_jobs_are_ended_with_the_session_and_are_no_survivors(connected: Connected) -> None:
    job = connected.host.run("sleep 1000 & sleep 1000", bg=True)
    ended = connected.end()
    assert job.finished
    assert job.reason == "still running at the end of the recipe, killed"
    assert job.passed
    assert ended.survivors == ()


def test_a_survivor_that_floods_does_not_delay_the_end(host: Host) -> None:
    job = host.run("yes & echo leader", timeout=20)
    assert job.passed
    assert job.duration < 5
    host.run("pkill -x yes")


def test_output_of_a_survivor_still_comes(host: Host) -> None:
    job = host.run("(until test -e go; do sleep 0.01; done; echo late; touch said) & echo early")
    assert job.stdout == "early\n"
    host.run("touch go")
    host.wait_for("test -e said", timeout=10)
    host.run("rm go said")
    assert job.stdout == "early\nlate\n"


def test_an_interrupted_wait_kills_its_job(host: Host) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt) as caught:
            host.run("sleep 1000")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    (job,) = host.jobs  # held by the traceback
    del caught
    job.dismiss()  # as the end of the recipe does, perhaps before it is dead
    assert job.wait(10)
    assert job.reason == "interrupted, killed"
    assert not job.passed


def test_jobs_leave_no_zombies_and_no_descriptors(connect_to_agent) -> None:  # type: ignore[no-untyped-def]
    one = connect_to_agent()
    host = one.host

    def count() -> int:
        # Counted by the shell alone: a pipeline would count what it is made of, never the same.
        listed = host.run("set -- /proc/[0-9]*/fd/*; echo $#; ps ax | grep -c '[d]efunct'").stdout or ""
        descriptors, zombies = listed.split()
        assert zombies == "0"
        return int(descriptors)

    host.run("true")
    before = count()
    for number in range(50):
        host.run("true", path="/" if number % 2 else "")
        host.run(["no-such-program"])
    assert count() < before + 25  # of 100 jobs; the one that counts may have a few more or less at the moment
    one.end()


def test_the_pid_is_known(host: Host) -> None:
    job = host.run("echo $$")
    assert job.stdout == f"{job.pid}\n"
    job = host.run("echo $$", path="/")
    assert job.stdout == f"{job.pid}\n"
