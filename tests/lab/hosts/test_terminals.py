"""Jobs on a terminal of the host's, as `shakeout shell` starts them."""

from __future__ import annotations

from shakeout.hosts.host import Host
from shakeout.hosts.job import Job
from shakeout.journal.events import JobStarted
from shakeout.testing import Connected
from shakeout.wire.messages import Resize, StartJob


def on_terminal(connected: Connected, argv: tuple[str, ...], stdin: bytes = b"") -> Job:
    session = connected.session
    number = session.jobs.next_number()
    job = Job(session, number, argv[0], kind="argv", stdin_open=True)
    order = StartJob(number, argv=argv, stdin=stdin, keep_stdin=True, terminal=(31, 97))
    session.start(job, order, JobStarted(host="m1", job=number))
    return job


def agent_descriptors(host: Host) -> str | None:
    return host.run("ls /proc/1/fd | wc -l").stdout


def test_it_has_a_size_and_takes_what_is_typed(connected: Connected) -> None:
    job = on_terminal(connected, ("bash", "-c", "stty size; read a; read b; stty size; echo $a-$b"), b"one\n")
    job.wait_output("31 97")
    connected.session.send(Resize(job.id, 5, 6))
    job.write("two\n")
    assert job.wait(20)
    assert (job.stdout or "").split()[-3:] == ["5", "6", "one-two"]


def test_nothing_of_it_is_left_in_the_agent(connected: Connected) -> None:
    host = connected.host
    before = agent_descriptors(host)
    for _ in range(5):
        assert on_terminal(connected, ("true",)).wait(20)
        nothing = on_terminal(connected, ("/no/such/program",))
        assert nothing.wait(20)
        assert "there is no program" in nothing.reason
    lived_on = on_terminal(connected, ("bash", "-c", "trap '' HUP; sleep 600 & exit 3"))
    assert lived_on.wait(20)
    connected.session.send(Resize(lived_on.id, 10, 10))
    assert lived_on.exit_status == 3
    host.run("pkill -9 -f 'sleep 60[0]'")
    host.wait_for(f"test $(ls /proc/1/fd | wc -l) -le {before}", timeout=10)
