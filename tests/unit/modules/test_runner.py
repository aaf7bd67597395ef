"""What becomes of a test module on a host: verdict, result, output, errors."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

HEAD = """
from __future__ import annotations
import os, sys
from shakeout.modules import BaseTestModule
from shakeout.errors import ModuleFailed
from shakeout.params import IntParam, IpParam, ListParam, StrParam

"""

BODY = (
    HEAD
    + """
class Case(BaseTestModule):
    def run(self):
        {}
"""
)


@pytest.fixture
def run(load: Any, on_host: Any) -> Callable[..., Any]:
    """Run a test module whose run() is the given code."""

    def run_code(code: str, **options: Any) -> Any:
        module = load(case=BODY.format(code.replace("\n", "\n        ")))
        return on_host(module.Case(), **options)

    return run_code


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("pass", None),
        ("return True", None),
        ("self._res_data = {'a': 1}", {"a": 1}),
        ("self._res_data = {'a': 1}; return True", {"a": 1}),
        ("return {'b': (1, 2)}", {"b": (1, 2)}),
        ("return 0", 0),
        ("self._res_data = 5; sys.exit()", 5),
    ],
)
def test_a_run_that_passes_gives_its_result(run: Any, code: str, result: Any) -> None:
    ran = run(code)
    assert ran.passed
    assert ran.result == result
    assert ran.exit_status == 0


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("return False", "failed", "run() returned False"),
        ("raise ModuleFailed('3 of 5 lost')", "failed", "3 of 5 lost"),
        ("assert 1 == 2, 'sums differ'", "failed", "sums differ"),
        ("assert 1 == 2", "failed", "AssertionError"),
        ("1 / 0", "error", "ZeroDivisionError: division by zero"),
        ("sys.exit(3)", "error", "SystemExit: run() called sys.exit(3)"),
        ("raise KeyboardInterrupt", "interrupted", "KeyboardInterrupt"),
        ("raise BaseException('odd')", "error", "BaseException: odd"),
        ("return object()", "error", "CannotTravel: the result of run() is an object; only plain data"),
        ("return {'s': [sys]}", "error", "the result of run()['s'][0] is a module; only plain data travels"),
        ("return 'x' * (65 << 20)", "error", "the result of run() is too large to travel"),
        ("import nonesuch.part", "error", "there is no Python module 'nonesuch' on host m1 (Python 3."),
        ("raise ValueError('\\ud800')", "error", "ValueError: \\ud800"),
    ],
)
def test_a_run_that_does_not_pass_says_why(run: Any, code: str, kind: str, message: str) -> None:
    ran = run(code)
    assert not ran.passed
    assert ran.outcome.error.kind == kind
    assert message in ran.message
    assert ran.exit_status == 1


def test_a_failed_run_still_gives_the_data_it_had(run: Any) -> None:
    ran = run("self._res_data = {'sent': 3}; assert False, 'lost'")
    assert ran.outcome.result == {"sent": 3}


def test_data_that_cannot_travel_does_not_hide_the_error(run: Any) -> None:
    ran = run("self._res_data = object(); assert False, 'lost'")
    assert ran.message == "lost"


def test_what_is_printed_arrives_and_is_no_result(run: Any) -> None:
    ran = run("print('hello \\udcff'); print('bad', file=sys.stderr)\nreturn 1")
    assert (ran.stdout, ran.stderr, ran.result) == ("hello \\udcff\n", "bad\n", 1)


def test_a_module_that_closes_its_output_still_has_an_outcome(run: Any) -> None:
    assert run("sys.stdout.close(); os.close(2)\nreturn 1").result == 1


def test_standard_input_can_be_read(run: Any) -> None:
    assert run("return sys.stdin.read()", stdin=b"in\xff").result == "in\udcff"


def test_an_interrupt_is_told_with_the_data_so_far(run: Any) -> None:
    code = "self._res_data = 7\nos.write(int(os.environ['TOLD_FD']), b'x')\nimport signal; signal.pause()"
    ran = run(code, signal_number=signal.SIGINT)
    assert ran.outcome.error.kind == "interrupted"
    assert ran.outcome.result == 7


def test_sigterm_ends_it_like_any_program(run: Any) -> None:
    code = "os.write(int(os.environ['TOLD_FD']), b'x')\nimport signal; signal.pause()"
    ran = run(code, signal_number=signal.SIGTERM)
    assert ran.exit_status == -signal.SIGTERM
    assert ran.outcome is None


def test_only_one_side_of_a_fork_in_run_speaks(run: Any) -> None:
    ran = run("pid = os.fork()\nif pid: os.waitpid(pid, 0)\nreturn 'parent' if pid else 'child'")
    assert ran.result == "parent"


def test_parameters_and_state_arrive_and_init_is_not_run_again(load: Any, on_host: Any) -> None:
    module = load(
        case=HEAD
        + """
class Case(BaseTestModule):
    dst = IpParam(mandatory=True)
    sizes = ListParam(IntParam(), default=[64])
    note = StrParam()

    def __init__(self, extra, **kwargs):
        super().__init__(**kwargs)
        self.extra = {extra: {1, 2}}
        self.made_by = os.getpid()

    def run(self):
        p = self.params
        return [str(p.dst), p.sizes, p.note, self.dst == p.dst, self.extra, self.made_by, list(p)]
"""
    )
    instance = module.Case("x", dst="10.0.0.2", sizes=["1", 2])
    dst, sizes, note, same, extra, made_by, pairs = on_host(instance).result
    assert (dst, sizes, note, same, extra) == ("10.0.0.2", [1, 2], None, True, {"x": {1, 2}})
    assert made_by == instance.made_by
    assert [name for name, _ in pairs] == ["dst", "sizes"]


def test_a_traceback_shows_the_controllers_lines(load: Any, on_host: Any) -> None:
    module = load(
        case=HEAD
        + """
class Case(BaseTestModule):
    def run(self):
        try:
            self.deeper()
        except ZeroDivisionError as error:
            raise ValueError("no sum") from error

    def deeper(self):
        1 / 0  # here
"""
    )
    ran = on_host(module.Case())
    assert ran.traceback.splitlines() == [
        "on host m1 (module Case):",
        "Traceback (most recent call last):",
        f'  File "{module.__file__}", line 12, in Case.run',
        "    self.deeper()",
        f'  File "{module.__file__}", line 17, in Case.deeper',
        "    1 / 0  # here",
        "ZeroDivisionError: division by zero",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        f'  File "{module.__file__}", line 14, in Case.run',
        '    raise ValueError("no sum") from error',
        "ValueError: no sum",
    ]


def test_contexts_notes_groups_and_endless_recursion_are_shown(run: Any) -> None:
    ran = run(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n"
        "    group = ExceptionGroup('two', [ValueError('a'), TypeError('b')])\n"
        "    group.add_note('a note'); raise group"
    )
    assert "During handling of the above exception" in ran.traceback
    assert "ExceptionGroup: two (2 sub-exceptions)\n  ValueError: a\n  TypeError: b\na note" in ran.traceback
    ran = run("def f(): f()\nf()")
    assert "more levels" in ran.traceback
    assert "RecursionError" in ran.message


def test_a_module_that_prints_its_own_traceback_has_source_lines(run: Any) -> None:
    ran = run("import traceback\ntry:\n    1 / 0  # marked\nexcept ArithmeticError:\n    traceback.print_exc()")
    assert "1 / 0  # marked" in ran.stderr


def test_a_background_process_does_not_hold_the_outcome(run: Any) -> None:
    ran = run("import subprocess\nreturn subprocess.Popen(['sleep', '60']).pid")
    try:
        assert ran.result > 0
    finally:
        subprocess.run(["kill", str(ran.result)], check=True)


def test_warming_up_leaves_no_trace_of_an_agent() -> None:
    code = (
        "import sys, signal\nfrom shakeout.modules import runner\n"
        "before = sys.meta_path[:], signal.getsignal(signal.SIGINT)\nrunner.warm_up()\n"
        "assert before == (sys.meta_path[:], signal.getsignal(signal.SIGINT))\n"
        "assert 'shakeout_rehearsal' not in sys.modules and 'asyncio' not in sys.modules\n"
        "from shakeout.matching.values import Not\nassert isinstance(Not, type)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
