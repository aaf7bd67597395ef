"""Test modules on hosts: what comes back, however they end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.lab.hosts import cases
from tests.lab.hosts.observing import alive

from shakeout.errors import CannotTravel, UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import JobFinished
from shakeout.testing import Connected, Recording

FILE = str(Path(cases.__file__).resolve())


def line_of(text: str) -> int:
    return Path(FILE).read_text().splitlines().index(text) + 1


def test_the_result_comes_back_and_siblings_go_along(host: Host) -> None:
    job = host.run(cases.Doubles(number="21"))
    assert job.passed
    assert job.result == {"doubled": 42}
    assert job.what == "Doubles(number=21)"
    assert str(job) == "doubled: 42"
    assert (job.exit_status, job.signal, job.reason) == (0, None, "")


def test_an_exception_comes_back_with_its_traceback_on_local_lines(host: Host) -> None:
    job = host.run(cases.Raises())
    assert not job.passed
    assert job.result == {"until then": 1}
    assert job.error is not None
    assert job.error.message == "ValueError: the flux is out of phase"
    shown = job.error_text()
    assert "on host m1" in shown
    here = line_of('        raise ValueError("the flux is out of phase")')
    assert f'File "{FILE}", line {here}, in Raises.deeper' in shown
    assert 'raise ValueError("the flux is out of phase")' in shown
    assert "runner.py" not in shown
    assert shown in str(job)


@pytest.mark.parametrize(("module", "message"), [
    (cases.Fails, "7 of 10 packets were lost"), (cases.Asserts, "sums"),
])  # fmt: skip
def test_a_failure_says_why(host: Host, module: type, message: str) -> None:
    job = host.run(module())
    assert not job.passed
    assert job.error is not None
    assert (job.error.kind, job.error.message) == ("failed", message)
    assert host.run(module(), fail=True).passed


def test_what_it_prints(host: Host) -> None:
    job = host.run(cases.Prints(text="žluť\n"))
    assert (job.stdout, job.stderr, job.result) == ("žluť\n", "to stderr\n", 5)
    assert str(job) == "žluť\nto stderr\n5"


def test_a_module_that_prints_nothing_has_no_output(host: Host) -> None:
    job = host.run(cases.Silent())
    assert job.stdout is None
    assert job.stderr is None
    assert job.result == [1, "zwei", None]
    assert job.stdout_bytes == b""


def test_a_result_that_cannot_travel(host: Host) -> None:
    job = host.run(cases.ReturnsWhatCannotTravel())
    assert not job.passed
    assert job.result is None
    assert job.error is not None
    assert "handle" in job.error.message
    assert "object" in job.error.message


def test_large_results(host: Host) -> None:
    assert host.run(cases.ReturnsMuch(megabytes=20)).result == b"r" * (20 << 20)
    job = host.run(cases.ReturnsMuch(megabytes=80))
    assert not job.passed
    assert job.error is not None
    assert "the result of run()" in job.error.message
    assert host.run("true").passed


@pytest.mark.parametrize("status", [0, 1, 127])
def test_a_module_that_leaves_by_force(host: Host, status: int) -> None:
    job = host.run(cases.LeavesByForce(status=status))
    assert not job.passed
    assert job.exit_status == status
    assert job.reason == "it ended without an outcome"


def test_a_module_that_exits(host: Host) -> None:
    assert host.run(cases.Exits(status=0)).passed
    job = host.run(cases.Exits(status=3))
    assert not job.passed
    assert job.error is not None
    assert "sys.exit(3)" in job.error.message


def test_a_module_that_is_killed(host: Host, recording: Recording) -> None:
    job = host.run(cases.IsKilled())
    assert not job.passed
    assert (job.exit_status, job.signal) == (None, 9)
    assert job.reason == "it was ended by SIGKILL"
    assert recording.of(JobFinished)[-1].reason == job.reason


def test_a_module_that_ignores_sigterm(host: Host) -> None:
    job = host.run(cases.Ignores(), bg=True)
    job.wait_output("ready")
    job.kill(signal.SIGTERM)
    assert job.wait(0.2) is False
    job.kill()
    assert job.signal == 9
    late = host.run(cases.Ignores(), timeout=0.3)
    assert late.reason == "timed out after 0.3 s, killed"


def test_a_module_killed_right_after_its_start(host: Host) -> None:
    for _ in range(10):
        job = host.run(cases.Ignores(), bg=True)
        job.kill()
        assert job.finished


def test_a_module_that_detaches(connected: Connected) -> None:
    host = connected.host
    job = host.run(cases.Detaches(), timeout=20)
    assert job.passed
    assert alive(host, job.result)
    assert len(connected.end().survivors) == 1


def test_what_a_module_left_is_gone_in_the_next_session(connect_to_agent) -> None:  # type: ignore[no-untyped-def]
    first = connect_to_agent()
    pid = first.host.run(cases.Detaches()).result
    first.end()
    second = connect_to_agent()
    assert not alive(second.host, pid)


def test_kill_reaches_what_a_module_detached(host: Host) -> None:
    pid = host.run(cases.Detaches()).result
    other = host.run(cases.Ignores(), bg=True)
    other.wait_output("ready")
    other.kill()
    assert alive(host, pid)  # that was another job's


def test_a_module_that_forks_and_returns_twice(host: Host) -> None:
    job = host.run(cases.ForksAndReturnsTwice())
    assert job.passed
    assert job.result == "both"


def test_the_state_of_an_instance_travels_and_init_is_not_run_again(host: Host) -> None:
    module = cases.HasState()
    made_by, ran_in, table = host.run(module).result
    assert made_by == module.made_by
    assert ran_in != made_by
    assert table == {"a": (1, 2), "b": {3}}


def test_state_that_cannot_travel_is_named_before_anything_is_sent(host: Host) -> None:
    with pytest.raises(CannotTravel, match="attribute 'callback' of HasStateThatCannotTravel"):
        host.run(cases.HasStateThatCannotTravel())
    assert host.run("true").passed


def test_a_class_instead_of_an_instance(host: Host) -> None:
    with pytest.raises(UsageError, match="make an instance of it"):
        host.run(cases.Silent)  # type: ignore[arg-type]


def test_a_device_as_parameter(host: Host) -> None:
    job = host.run(cases.TakesDevice(dev=host.eth0))
    eth0 = host.eth0
    assert job.result == [eth0.hwaddr, eth0.hwaddr, eth0.if_index, 1500]


def test_the_options_of_run_hold_for_modules(host: Host) -> None:
    host.run("ip netns add green")
    result = host.run(
        cases.Where(), path="/usr", user="nobody", env={"A": "ä"}, netns="green", stdin="given", desc="there"
    ).result
    assert (result["cwd"], result["uid"], result["env"]["A"], result["stdin"]) == ("/usr", 65534, "ä", "given")
    assert host.run("ip netns del green").passed
    assert host.run(cases.Where(), path="/no/such", fail=True).passed
    job = host.run(cases.Where(), user="nosuchuser")
    assert job.reason == "there is no user 'nosuchuser' on this host"


def test_a_module_is_sent_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    send = host._session._connection.send

    def listening(message: object, *rest: object) -> None:
        sent.append(type(message).__name__)
        send(message, *rest)

    monkeypatch.setattr(host._session._connection, "send", listening)
    for _ in range(3):
        assert host.run(cases.Doubles(number=1)).passed
    assert sent.count("SourceText") >= 2
    before = sent.count("SourceText")
    assert host.run(cases.Raises(), fail=True).passed
    assert sent.count("SourceText") == before


def test_a_user_who_may_not_read_pythons_library_is_told_so(host: Host) -> None:
    job = host.run(cases.ImportsLate(), user="nobody")
    assert job.result == "read" or "nobody may not read what test modules need on this host" in job.reason
