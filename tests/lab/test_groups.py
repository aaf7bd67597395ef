"""What is left of a process group is ended; a stranger that has got its number is not."""

from __future__ import annotations

import os
import select
import signal
import subprocess

import pytest

from shakeout.processes.groups import kill_orphaned_group, ticks

pytestmark = pytest.mark.needs("setsid", "bash")


def ended(pid: int, seconds: float = 10.0) -> bool:
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([end], (), (), seconds)[0])
    finally:
        os.close(end)


def test_all_that_a_leader_left_is_ended_whatever_it_forks() -> None:
    """One from before its end, and one that this has forked since; the environment of both is empty."""
    script = "(read go; sleep 1000 & echo $!; exec sleep 1000) <&3 & echo $!"
    ours, theirs = os.pipe()
    leader = subprocess.Popen(
        ["env", "-i", "/bin/bash", "-c", f"exec 3<&{ours}; {script}"], pass_fds=[ours], stdout=subprocess.PIPE,
        start_new_session=True, text=True,
    )  # fmt: skip
    os.close(ours)
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    leader.wait()
    moment = ticks()
    os.write(theirs, b"go\n")
    os.close(theirs)
    grandchild = int(leader.stdout.readline())
    leader.stdout.close()
    kill_orphaned_group(leader.pid, moment)
    assert ended(child)
    assert ended(grandchild)


def test_a_group_that_began_later_is_a_stranger() -> None:
    moment = ticks() - 1
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        kill_orphaned_group(stranger.pid, moment)
        assert not ended(stranger.pid, 0.1)
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()


def test_a_group_that_is_gone_is_no_error() -> None:
    gone = subprocess.Popen(["true"], start_new_session=True)
    gone.wait()
    kill_orphaned_group(gone.pid, ticks())
