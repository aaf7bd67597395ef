"""`run`: what it takes, and what the job then says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests.lab.hosts.observing import home

from shakeout.errors import UsageError
from shakeout.hosts.host import PIPE, Host
from shakeout.journal.events import JobFinished, JobStarted
from shakeout.testing import Recording


def test_a_string_goes_through_bash(host: Host) -> None:
    job = host.run("echo $((6 * 7)) | tr 4 x; [[ $BASH_VERSION ]] && echo bash")
    assert (job.passed, job.finished, job.exit_status, job.signal) == (True, True, 0, None)
    assert job.stdout == "x2\nbash\n"
    assert job.stderr == ""
    assert job.reason == ""
    assert job.duration > 0


def test_a_list_goes_without_a_shell(host: Host) -> None:
    job = host.run(["printf", "%s|", "$HOME", "a b", "*", Path("/x"), 7])
    assert job.stdout == "$HOME|a b|*|/x|7|"


def test_numbers_count_from_one_on_each_host(host: Host) -> None:
    assert [host.run("true").id for _ in range(3)] == [1, 2, 3]


def test_both_streams_are_kept_apart_and_str_has_both(host: Host) -> None:
    job = host.run("echo out; echo err >&2")
    assert (job.stdout, job.stderr) == ("out\n", "err\n")
    assert str(job) == "out\nerr\n"


@pytest.mark.parametrize(("command", "fail", "passed"), [
    ("true", False, True), ("false", False, False), ("true", True, False), ("exit 3", True, True),
])  # fmt: skip
def test_fail_passes_if_and_only_if_it_fails(host: Host, command: str, fail: bool, passed: bool) -> None:
    assert host.run(command, fail=fail).passed is passed


def test_the_exit_status_and_the_signal(host: Host) -> None:
    assert host.run("exit 42").exit_status == 42
    job = host.run("kill -SEGV $$")
    assert (job.exit_status, job.signal, job.passed) == (None, 11, False)


def test_a_program_that_does_not_exist(host: Host) -> None:
    job = host.run(["no-such-program", "x"])
    assert not job.passed
    assert job.finished
    assert "no-such-program" in job.reason
    assert host.run(["no-such-program"], fail=True, path="/").passed
    assert host.run("no-such-program").exit_status == 127


@pytest.mark.parametrize("what", ["", "  ", [], [""], None, 7, b"true", {"a": 1}, ["true", None]])
def test_what_is_no_command_is_refused_before_anything_happens(host: Host, what: object) -> None:
    with pytest.raises(UsageError):
        host.run(what)  # type: ignore[arg-type]
    assert host.jobs == []


@pytest.mark.parametrize("options", [
    {"what": "echo \0"}, {"what": ["echo", "\0"]}, {"what": "true", "path": "/\0"},
    {"what": "true", "env": {"A": "\0"}},
    {"what": "true", "env": {"A=B": "1"}}, {"what": "true", "env": {"": "1"}}, {"what": "true", "user": "r\0"},
    {"what": "true", "netns": "a/b"}, {"what": "true", "netns": ".."}, {"what": ["echo", "\udcff"]},
    {"what": "x" * (5 << 20)}, {"what": "true", "timeout": -1}, {"what": "true", "timeout": float("nan")},
    {"what": "true", "timeout": "5"}, {"what": "true", "timeout": True}, {"what": "true", "timeout": None},
    {"what": "true", "stdin": 5}, {"what": "true", "stdin": ["a"]},
])  # fmt: skip
def test_options_that_make_no_sense_are_refused_and_the_session_goes_on(host: Host, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        host.run(**options)  # type: ignore[arg-type]
    assert host.run("echo still here").stdout == "still here\n"


def test_a_command_longer_than_the_kernel_takes_is_a_failed_job(host: Host) -> None:
    job = host.run("true " + "x" * 300_000)
    assert not job.passed
    assert "too long" in job.reason.lower()


def test_path_is_the_working_directory(host: Host) -> None:
    assert host.run("pwd", path="/usr/bin").stdout == "/usr/bin\n"
    host.run("mkdir 'a ü'")
    assert host.run("pwd", path="a ü").stdout == f"{home(host)}/a ü\n"


def test_without_a_path_jobs_start_at_home(host: Host) -> None:
    assert host.run("pwd").stdout == home(host) + "\n"
    assert host.run("echo $HOME").stdout == home(host) + "\n"


@pytest.mark.parametrize("path", ["/no/such/place", "/etc/passwd"])
def test_a_path_that_is_no_directory(host: Host, path: str) -> None:
    job = host.run("true", path=path)
    assert not job.passed
    assert path in job.reason


def test_json_becomes_the_result(host: Host) -> None:
    job = host.run("""echo '{"a": [1, 2.5, null], "ü": true}'""", json=True)
    assert job.passed
    assert job.result == {"a": [1, 2.5, None], "ü": True}


@pytest.mark.parametrize("command", ["echo '{\"a\":'", "true", "printf '\\xff\\xfe{'"])
def test_what_is_no_json_fails_and_says_so(host: Host, command: str) -> None:
    job = host.run(command, json=True)
    assert not job.passed
    assert job.exit_status == 0
    assert "JSON" in job.reason


def test_json_of_more_than_a_mebibyte_comes_from_the_artifact(host: Host) -> None:
    program = "import json; print(json.dumps({'rows': list(range(400_000))}))"
    job = host.run([sys.executable, "-c", program], json=True)
    assert job.captured(1).size > 2 << 20
    assert job.result == {"rows": list(range(400_000))}


def test_json_of_a_command_that_fails(host: Host) -> None:
    job = host.run("echo '{\"why\": 3}'; exit 3", json=True)
    assert not job.passed
    assert job.result == {"why": 3}


def test_env_adds_variables(host: Host) -> None:
    job = host.run('echo "$GREETING $HOME"', env={"GREETING": "grüß\ngott", "N": 5})  # type: ignore[dict-item]
    assert job.stdout == f"grüß\ngott {home(host)}\n"


def test_nothing_secret_of_the_controller_reaches_jobs() -> None:
    from shakeout.testing import hosts

    os.environ["SECRET_TOKEN"] = "correct horse battery staple"
    try:
        with hosts("m1") as matched:
            for where in ("env", "cat /proc/1/environ", "cat /proc/[0-9]*/environ", "set"):
                seen = matched.m1.run(where).stdout_bytes
                assert b"SECRET_TOKEN=" not in seen
                assert b"battery" not in seen
    finally:
        del os.environ["SECRET_TOKEN"]


@pytest.mark.parametrize("text", ["über\n", b"\x00\xff\xfe\n", "x" * 65_536, ""])
def test_stdin_is_text_or_bytes(host: Host, text: str | bytes) -> None:
    raw = text.encode() if isinstance(text, str) else text
    assert host.run("cat", stdin=text).stdout_bytes == raw


def test_ten_megabytes_of_stdin(host: Host) -> None:
    raw = bytes(range(256)) * 40_000
    job = host.run("sha256sum", stdin=raw)
    import hashlib

    assert (job.stdout or "").split()[0] == hashlib.sha256(raw).hexdigest()


def test_stdin_that_nobody_reads_does_no_harm(host: Host) -> None:
    assert host.run("true", stdin=b"x" * (2 << 20)).passed
    assert host.run("exec <&-; echo ok", stdin=b"x" * (2 << 20)).stdout == "ok\n"


def test_without_stdin_there_is_nothing_to_read(host: Host) -> None:
    assert host.run("cat", timeout=10).stdout == ""


def test_a_pipe_stays_open_for_write(host: Host) -> None:
    job = host.run("while read line; do echo got $line; done; echo end", bg=True, stdin=PIPE)
    job.write("one\n")
    job.wait_output("got one")
    assert not job.finished
    job.write(b"two\n", end=True)
    assert job.wait(10)
    assert job.stdout == "got one\ngot two\nend\n"
    with pytest.raises(UsageError, match="stdin=PIPE"):
        host.run("true").write("x")


@pytest.mark.parametrize("user", ["nobody", "65534"])
def test_user_by_name_and_number(host: Host, user: str) -> None:
    job = host.run("id -un; id -u; echo $USER; umask; pwd", user=user)
    name, number, variable, *_ = (job.stdout or "").splitlines()
    assert (name, number, variable) == ("nobody", "65534", "nobody")
    assert job.stderr == ""


def test_user_with_a_working_directory(host: Host) -> None:
    assert host.run("pwd; id -un", user="nobody", path="/usr").stdout == "/usr\nnobody\n"
    job = host.run("true", user="nobody", path=home(host))
    others = int(host.run(["stat", "-c", "%a", home(host)]).stdout or "", 8) & 0o001
    assert job.passed is bool(others)
    assert host.run(["id", "-un"], user="nobody").stdout == "nobody\n"


def test_a_user_that_does_not_exist(host: Host) -> None:
    job = host.run("true", user="nosuchuser")
    assert not job.passed
    assert job.reason == "there is no user 'nosuchuser' on this host"


def test_netns_runs_in_that_namespace(host: Host) -> None:
    assert host.run("ip netns add blue && ip -n blue link set lo up").passed
    inside = host.run("ip -br link", netns="blue").stdout or ""
    assert inside.startswith("lo ")
    assert "eth0" not in inside
    assert "eth0" in (host.run("ip -br link").stdout or "")
    assert host.run(["ip", "-br", "link"], netns="blue").stdout == inside
    assert host.run("ip netns del blue").passed


def test_a_netns_that_does_not_exist(host: Host) -> None:
    job = host.run("true", netns="red")
    assert not job.passed
    assert job.reason == "there is no network namespace 'red' on this host"


def test_desc_names_the_job(host: Host, recording: Recording) -> None:
    job = host.run("true", desc="warm up")
    assert job.title == "warm up"
    assert host.run("true").title == "true"
    assert recording.of(JobStarted)[0].desc == "warm up"


def test_unicode_everywhere(host: Host) -> None:
    job = host.run("echo 'žluťoučký kůň 🐎'; echo \"$ÄÖ\"", env={"EUR": "€"}, desc="日本語")
    assert (job.stdout or "").splitlines()[0] == "žluťoučký kůň 🐎"
    assert host.run(["printenv", "EUR"], env={"EUR": "€"}).stdout == "€\n"


def test_what_is_no_utf8_is_shown_and_kept(host: Host) -> None:
    job = host.run(r"printf 'a\xff\xc3\xa9\x00b'")
    assert job.stdout_bytes == b"a\xff\xc3\xa9\x00b"
    assert job.stdout == "a\\xffé\0b"


def test_the_journal_has_start_and_end(host: Host, recording: Recording) -> None:
    host.run("echo out; echo err >&2; exit 5", desc="five")
    started, finished = recording.of(JobStarted)[0], recording.of(JobFinished)[0]
    assert (started.host, started.job, started.kind, started.desc) == ("m1", 1, "shell", "five")
    assert (finished.job, finished.exit_status, finished.passed) == (1, 5, False)
    assert (finished.stdout_head, finished.stderr_head) == ("out\n", "err\n")
    assert finished.finished_host_ns > finished.started_host_ns


def test_a_result_of_json_is_in_the_journal(host: Host, recording: Recording) -> None:
    host.run(["echo", json.dumps({"a": 1})], json=True)
    assert recording.of(JobFinished)[0].result == {"a": 1}


def test_a_job_that_hangs_has_not_failed_as_expected(host: Host) -> None:
    job = host.run("sleep 60", timeout=0.2, fail=True)
    assert not job.passed
    assert job.reason == "timed out after 0.2 s, killed"
