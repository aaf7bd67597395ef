"""`shakeout run`: verdicts, exit statuses, and that hosts are put back whatever a recipe does."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, Ended, User

pytestmark = pytest.mark.needs("namespaces")


def one(user: User, body: str, *arguments: str, **more: str) -> Ended:
    """Run a recipe with one host m1 and this body of test()."""
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    user.recipe(
        "import os, signal, sys, threading, time\n\n"
        "class One(BaseRecipe):\n    m1 = HostReq()\n    m1.eth0 = DeviceReq(label='net1')\n\n"
        f"    def test(self):\n        m1 = self.matched.m1\n{lines}\n"
    )
    return user.shakeout("run", "my.py", *arguments, **more)


FIRST_LINE = 11  # of the body, in the file


def restored(user: User) -> bool:
    """Whether the journal says of every host that it was put back."""
    journal = user.journal()
    return journal.count('"undo-finished"') == journal.count('"host-connected"') > 0 and '"failed":[' not in journal


# -- what fails and what breaks -----------------------------------------------------------------------


def test_nothing_failed(user: User) -> None:
    done = one(user, "m1.run('true')\nm1.run('false', fail=True)\nself.add_result(None, 'noted')")
    assert done.status == 0
    assert done.result.startswith("RESULT PASS (1 passed, 0 failed, 0 errors, ")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("m1.run('exit 3')", "Ended with exit status 3"),
        ("m1.run('true', fail=True)", "FAIL"),
        ("m1.run('sleep 60', timeout=0.1)", "timed out after 0.1 s, killed"),
        ("self.add_result(False, 'too slow', {'ms': 70})", "Custom summary record: too slow FAIL"),
        ("assert 1 + 1 == 3", "AssertionError: assert 1 + 1 == 3 ("),
        ("assert False, 'no\\nway'", "AssertionError: no way ("),
    ],
)
def test_what_fails(user: User, body: str, said: str) -> None:
    done = one(user, body)
    assert done.status == 1, done.err
    assert said in done.out
    assert "Traceback" not in done.out + done.err
    assert done.result.startswith("RESULT FAIL (0 passed, 1 failed, 0 errors, ")
    assert restored(user)


def test_a_job_that_failed_fails_the_recipe_though_the_rest_goes_on(user: User) -> None:
    done = one(user, "m1.run('false')\nself.add_result(True, 'went on')")
    assert done.status == 1
    assert "went on PASS" in done.out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')", "JSONDecodeError: Expecting property name"),
        ("self.matched.m7", "no matched host is called 'm7'"),
        ("m1.props.arhc", "did you mean 'arch'"),
        ("m1.nodevice.mtu", "nodevice"),
        ("m1.run('true', timeout='soon')", "a timeout is a number of seconds"),
        ("raise SystemExit(0)", "the recipe called sys.exit(0)"),
        ("sys.exit('bye')", "the recipe called sys.exit('bye')"),
        ("raise BaseException('base')", "BaseException: base"),
        ("class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd", "its text cannot be shown"),
        ("m1.eth0.mtu = 1", "eth0"),
    ],
)
def test_what_breaks_is_an_error_at_a_line_of_the_recipe(user: User, body: str, said: str) -> None:
    done = one(user, body)
    assert done.status == 3, done.err
    (paragraph,) = [line for line in done.summary if line.startswith("    Error: ")]
    assert said in paragraph
    line = FIRST_LINE + len(body.splitlines()) - 1
    assert f"({user.folder / 'my.py'}:{line})" in paragraph
    assert "Traceback" not in done.out + done.err
    assert done.result.startswith("RESULT ERROR (0 passed, 0 failed, 1 errors, ")
    assert restored(user)


def test_the_traceback_comes_with_debug(user: User) -> None:
    done = one(user, "1 / 0", "-d")
    assert done.status == 3
    assert "Traceback (most recent call last)" in done.out
    assert "1 / 0" in done.out


def test_the_place_is_named_in_a_folder_called_shakeout_too(user: User) -> None:
    user.recipe("class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): 1 / 0\n", "shakeout/my.py")
    done = user.shakeout("run", "shakeout/my.py")
    assert f"({user.folder}/shakeout/my.py:5)" in done.out


def test_the_place_is_in_a_file_beside_the_recipe(user: User) -> None:
    user.write("beside.py", "def check():\n    raise ValueError('odd')\n")
    user.recipe(
        "class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self):\n        import beside\n        beside.check()\n"
    )
    assert f"ValueError: odd ({user.folder}/beside.py:2)" in user.shakeout("run", "my.py").out


def test_one_failing_recipe_does_not_stop_the_others(user: User) -> None:
    user.recipe(
        """
        class One(BaseRecipe):
            m1 = HostReq()
            def test(self): assert not "this"

        class Two(BaseRecipe):
            m1 = HostReq()
            def test(self): self.matched.m1.run("true")

        class Three(BaseRecipe):
            m1 = HostReq()
            def test(self): raise RuntimeError("that")
        """
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 3
    assert done.result.startswith("RESULT ERROR (1 passed, 1 failed, 1 errors, ")
    parts = [line for line in done.out.splitlines() if line.startswith("Part ")]
    assert ["FAIL" in parts[0], "PASS" in parts[1], "ERROR" in parts[2]] == [True] * 3


# -- what the laboratory lacks ------------------------------------------------------------------------


def test_what_the_laboratory_lacks_is_undone_and_not_a_failure(user: User) -> None:
    done = one(
        user, "m1.eth0.ip_add('192.0.2.1/24')\nm1.procfs_set('sys/kernel/panic', 7)\nself.add_result(False, 'x')"
    )
    assert done.status == 2, done.out
    assert "panic" in done.err
    assert "--lab" in done.err
    assert restored(user)
    assert Path("/proc/sys/kernel/panic").read_text() != "7\n"


# -- time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "m1.run('sleep 60')",
        "time.sleep(60)",
        "while True:\n    try:\n        time.sleep(60)\n    except Exception:\n        pass",
        "job = m1.run('sleep 60', bg=True)\njob.wait()",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\nm1.wait_for('false')",
    ],
)
def test_a_recipe_that_takes_too_long(user: User, body: str) -> None:
    done = one(user, body, "--timeout", "0.3")
    assert done.status == 1, done.err + done.out
    assert "the recipe took longer than the 0.3 s that it may take" in done.out
    assert restored(user)


def test_the_time_is_for_each_recipe(user: User) -> None:
    user.recipe(
        "".join(
            f"class R{n}(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.matched.m1.run('sleep 0.3')\n"
            for n in range(3)
        )
    )
    assert user.shakeout("run", "my.py", "--timeout", "0.7").status == 0


# -- recipes that do what they should not -------------------------------------------------------------


def test_printing_goes_before_the_summary(user: User) -> None:
    done = one(user, "print('hello', end='')\nprint('trouble', file=sys.stderr)")
    assert done.status == 0
    assert done.out.startswith("hello")
    assert done.result.startswith("RESULT PASS")
    assert "trouble" in done.err


@pytest.mark.parametrize(
    "body",
    [
        "sys.stdout.close()",
        "os.close(1)",
        "sys.stdout = None",
        "sys.stdout = open('/dev/null', 'w')",
        "os.closerange(0, 3)",
        "sys.stdin.close()",
        "os.close(0)",
    ],
)
def test_standard_streams_in_disorder(user: User, body: str) -> None:
    done = one(user, body, "--junit", "report.xml")
    assert done.status == 0, done.err
    assert "Traceback" not in done.err
    assert 'failures="0"' in (user.folder / "report.xml").read_text()
    if "os.close" not in body or "0)" in body.replace("os.closerange(0, 3)", ""):
        assert "RESULT PASS" in done.out + done.err


def test_a_changed_working_directory(user: User) -> None:
    (user.folder / "elsewhere").mkdir()
    done = one(user, "os.chdir('elsewhere')", "--html", "report.html", "--out", "runs")
    assert done.status == 0, done.err
    assert (user.folder / "report.html").is_file()
    assert len(list((user.folder / "runs").iterdir())) == 1


def test_a_working_directory_that_is_gone(user: User) -> None:
    done = one(user, "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\nm1.run('true')", "--html", "report.html")
    assert done.status == 0, done.err
    assert (user.folder / "report.html").is_file()


def test_threads_that_never_end(user: User) -> None:
    done = one(user, "threading.Thread(target=threading.Event().wait).start()")
    assert done.status == 0
    assert done.result.startswith("RESULT PASS")
    assert "thread" in done.err


def test_a_thread_may_use_hosts(user: User) -> None:
    done = one(
        user,
        "said = []\n"
        "threads = [threading.Thread(target=lambda n=n: said.append(m1.run(f'echo {n}').stdout)) for n in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "self.add_result(sorted(map(int, said)) == list(range(8)), 'all of them')",
    )
    assert done.status == 0, done.out


def test_a_changed_environment_and_limits(user: User) -> None:
    done = one(user, "os.environ.clear()\nos.umask(0o777)\nm1.run(Ping(dst='127.0.0.1', count=1))", "--html", "r.html")
    assert done.status == 0, done.out + done.err


def test_signal_handlers_of_its_own(user: User) -> None:
    """They are the recipe's while it runs; what they leave does not keep the run from being ended later."""
    user.recipe(
        """
        import os, signal

        class Own(BaseRecipe):
            m1 = HostReq()
            def test(self):
                got = []
                signal.signal(signal.SIGINT, lambda *_: got.append("SIGINT"))
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGTERM)
                self.add_result(got == ["SIGINT"], "mine")

        class Next(BaseRecipe):
            m1 = HostReq()
            def test(self):
                os.kill(os.getpid(), signal.SIGTERM)
                self.matched.m1.run("sleep 60")

        class Never(BaseRecipe):
            m1 = HostReq()
            def test(self): self.add_result(False, "should not run")
        """
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 130
    assert "mine PASS" in done.out
    assert "should not run" not in done.out
    assert "RESULT ERROR (1 passed, 0 failed, 1 errors, " in done.result


def test_os_exit_ends_everything_at_once(user: User) -> None:
    done = one(user, "m1.run('sleep 600', bg=True)\nos._exit(9)")
    assert done.status == 9
    shown = user.shakeout("run", "--match-only", "my.py")
    assert shown.status == 0


def test_forking(user: User) -> None:
    done = one(user, "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\nm1.run('true')")
    assert done.status == 0, done.err


def test_standard_input_is_closed_from_the_start(user: User) -> None:
    user.recipe("class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.matched.m1.run('cat', stdin='x')\n")
    for closing in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = user.command("bash", "-c", f'"$0" run my.py --json report.json {closing}', SHAKEOUT)
        assert done.status == 0, (closing, done.err)
        assert '"passed"' in (user.folder / "report.json").read_text()
        (user.folder / "report.json").unlink()


def test_nobody_reads_the_output(user: User) -> None:
    user.recipe("class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.matched.m1.run('true')\n")
    done = user.command("bash", "-c", '"$0" run my.py --json report.json | true; exit ${PIPESTATUS[0]}', SHAKEOUT)
    assert done.status in (0, 141)
    assert "Traceback" not in done.err
    assert (user.folder / "report.json").is_file()


def test_the_output_has_no_room(user: User) -> None:
    user.recipe("class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): assert False\n")
    done = user.command("bash", "-c", '"$0" run my.py > /dev/full', SHAKEOUT)
    assert done.status == 1
    assert "No space left on device" in done.err
    assert "RESULT FAIL" in done.err


# -- interrupts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_restores_and_says_so(user: User, number: signal.Signals) -> None:
    user.recipe(
        """
        class Waits(BaseRecipe):
            m1 = HostReq()
            def test(self):
                print("waiting", flush=True)
                self.matched.m1.run("sleep 600", timeout=0)
        """
    )
    process = subprocess.Popen(
        ["env", "--default-signal=INT,HUP", SHAKEOUT, "run", "my.py"],
        cwd=user.folder,
        env=user.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, err
    assert f"{number.name}: interrupting the recipe" in err
    assert out.splitlines()[-1].startswith("RESULT ERROR (0 passed, 0 failed, 1 errors, ")
    assert restored(user)


def test_nohup_is_obeyed(user: User) -> None:
    user.recipe(
        """
        import os, signal
        class R(BaseRecipe):
            m1 = HostReq()
            def test(self): os.kill(os.getpid(), signal.SIGHUP)
        """
    )
    assert user.command("nohup", SHAKEOUT, "run", "my.py").status == 0


def test_debug_shows_a_traceback_and_changes_no_status(user: User) -> None:
    for words in (("run", "nowhere.py"), ("report", "nothing"), ("run", "--timeout", "x", "my.py")):
        plain, debug = user.shakeout(*words), user.shakeout("-d", *words)
        assert plain.status == debug.status == 2
        assert "Traceback" not in plain.err
    assert "Traceback" in user.shakeout("-d", "run", "nowhere.py").err


def test_when_shakeout_itself_breaks_it_says_so_in_one_paragraph(user: User) -> None:
    user.recipe(
        "import shakeout.report.summary\nshakeout.report.summary.summary = None\n"
        "class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): pass\n"
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 3
    assert "Traceback" not in done.err
    assert "it broke, by a mistake of its own or of a plugin's: TypeError" in done.err.splitlines()[-1]
    assert user.shakeout("-d", "run", "my.py").status == 3


def test_a_run_that_breaks_between_its_parts_ends_with_3_and_a_summary(user: User) -> None:
    user.recipe(
        "from shakeout.labs.provider import DefaultLab\n"
        "class A(BaseRecipe):\n    m1 = HostReq()\n    def test(self): DefaultLab.open = broken\n"
        "class B(BaseRecipe):\n    m1 = HostReq()\n    def test(self): pass\n"
        "def broken(self, match): raise OSError(24, 'Too many open files')\n"
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 3
    assert "shakeout: OSError: [Errno 24] Too many open files" in done.err
    assert done.result.startswith("RESULT ERROR (1 passed")
