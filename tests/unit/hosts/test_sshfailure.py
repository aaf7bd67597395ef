"""What ssh says, and what somebody is told of it."""

from __future__ import annotations

import pytest

from shakeout.hosts.sshfailure import why_ended, why_none


@pytest.mark.parametrize(
    ("status", "said", "advice"),
    [
        (255, ["tester@dut1: Permission denied (publickey)."], "ssh -o BatchMode=yes tester@dut1 true works"),
        (255, ["No ED25519 host key is known for dut1", "Host key verification failed."], "log in once by hand"),
        (
            255,
            ["@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "Host key verification failed."],
            "ssh-keygen -R",
        ),
        (255, ["ssh: connect to host dut1 port 22: Connection refused"], "Connection refused; does ssh"),
        (1, ["sudo: a password is required"], "NOPASSWD"),
        (1, ["/bin/sh: 1: sudo: not found"], "there is no sudo"),
        (1, ["Unknown option: -I", "usage: python2 [option]"], "older than Python 3.4"),
        (1, [], "said: nothing, and it ended with status 1"),
    ],
)
def test_each_failure_comes_with_what_to_try(status: int, said: list[str], advice: str) -> None:
    text = why_none("tester@dut1", status, said, "")
    assert advice in text
    assert "\n" not in text


def test_what_a_login_printed_is_told() -> None:
    greeting = "; its login printed 'This account is currently not available.'"
    assert why_none("dut1", 1, [], greeting).endswith("not available.'")


def test_the_end_of_a_connection() -> None:
    assert why_ended(0, []) == ""
    assert why_ended(0, ["Connection to dut1 closed."]) == ""
    timeout = ["Timeout, server dut1 not responding."]
    assert why_ended(255, timeout) == "the ssh connection broke: Timeout, server dut1 not responding."
    assert why_ended(1, ["Traceback", "MemoryError"]).endswith("last it said: Traceback / MemoryError")
