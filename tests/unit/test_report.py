"""What a run's reports say, and that nothing a host prints can break one."""

from __future__ import annotations

import html.parser
import json
import os
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.told import HEADER, began, ended

from shakeout.errors import UsageError
from shakeout.journal.events import (
    ClockMeasured,
    Event,
    FileTransfer,
    Header,
    HostConnected,
    HostLost,
    HostSetAside,
    JobStarted,
    Log,
    Match,
    PartFinished,
    PartStarted,
    ResultAdded,
    RunFinished,
    UndoFinished,
)
from shakeout.journal.reader import State
from shakeout.journal.verdict import Verdict
from shakeout.journal.writer import create_run
from shakeout.report import formats
from shakeout.report.compare import comparison
from shakeout.report.fold import fold, load
from shakeout.report.html import html as html_page
from shakeout.report.jsonreport import json_report
from shakeout.report.junit import junit
from shakeout.report.ktap import ktap
from shakeout.report.outcome import RunOutcome
from shakeout.report.page import page
from shakeout.report.summary import lines, summary
from shakeout.report.text import data_lines, one_line, raised, result_lines, seconds, with_units
from shakeout.report.timeline import MAX_LANES, timeline

S = 1_000_000_000


def run_of(*events: Event, verdict: Verdict | None = Verdict.PASSED, **part: object) -> RunOutcome:
    """A run of one part with these events."""
    whole: list[Event] = [PartStarted(t_ns=0, part=1, recipe="Hello"), *events]
    if verdict:
        whole.append(PartFinished(t_ns=S, part=1, verdict=verdict, **part))  # type: ignore[arg-type]
        whole.append(RunFinished(t_ns=S, verdict=verdict, duration_s=1.3149))
    return fold(HEADER, whole)


def shown(outcome: RunOutcome) -> list[str]:
    """The lines between the first and the last of the summary."""
    first, *middle, _last = summary(outcome, tracebacks=True).splitlines()
    assert first == "RESULTS SUMMARY:"
    return middle


def test_the_summary_of_the_specification() -> None:
    outcome = run_of(
        began("m1", 1),
        ended("m1", 1, result="…"),
        began("m2", 1, bg=True),
        began("m1", 3),
        ended("m1", 3, passed=False, result="…", exit_status=None),
        ended("m2", 1),
        ResultAdded(part=1, passed=True, description="throughput", data={"gbps": 9.41, "runs": [1, 2]}),
        ResultAdded(part=1, description="seen"),
        verdict=Verdict.FAILED,
    )
    assert summary(outcome) == (
        "RESULTS SUMMARY:\n"
        "    Host m1 Job 1 XYZ PASS (0.250 s)\n"
        "        Formatted results: …\n"
        "    Host m2 Job 1 XYZ started\n"
        "    Host m1 Job 3 XYZ FAIL (0.250 s)\n"
        "        Formatted results: …\n"
        "    Host m2 Job 1 XYZ PASS (0.250 s)\n"
        "    Custom summary record: throughput PASS\n"
        "        Formatted results:\n"
        "            gbps: 9.41\n"
        "            runs: 1, 2\n"
        "    Custom summary record: seen\n"
        "RESULT FAIL (0 passed, 1 failed, 0 errors, 1.31 s) run 20261120-134501-4000\n"
    )


def test_a_long_summary_ends_with_what_went_wrong() -> None:
    steps = [event for number in range(1, 60) for event in (began("m1", number), ended("m1", number))]
    failed = [
        event
        for number in range(60, 73)
        for event in (began("m1", number), ended("m1", number, passed=False, error="on host m1 (module X):\nOops: no"))
    ]
    last = [began("m1", 99), ResultAdded(part=1, passed=False, description="too few")]
    assert "WHAT WENT WRONG:" not in summary(run_of(*failed[:10]))
    assert "WHAT WENT WRONG:" not in summary(run_of(*steps))
    told = summary(run_of(*steps, *failed, *last, verdict=Verdict.FAILED)).splitlines()
    assert told[-13:-10] == [
        "WHAT WENT WRONG:",
        "    Host m1 Job 60 XYZ: Oops: no",
        "    Host m1 Job 61 XYZ: Oops: no",
    ]
    assert told[-2] == "    … and 4 more"
    assert told[-1].startswith("RESULT FAIL")


def test_started_and_finished_shorten_to_one_line_only_side_by_side() -> None:
    outcome = run_of(
        began("m1", 1, bg=True),
        Log(part=1, text="is not reported in the summary"),
        ended("m1", 1),
        began("m1", 2),
        began("m2", 2),
        ended("m1", 2),
        ended("m2", 2),
    )
    assert shown(outcome) == [
        "    Host m1 Job 1 XYZ PASS (0.250 s)",
        "    Host m1 Job 2 XYZ started",
        "    Host m2 Job 2 XYZ started",
        "    Host m1 Job 2 XYZ PASS (0.250 s)",
        "    Host m2 Job 2 XYZ PASS (0.250 s)",
    ]


def test_hosts_stand_in_the_order_of_the_recipe_whichever_connected_first() -> None:
    outcome = run_of(
        ClockMeasured(part=1, host="m2", offset_ns=0, error_ns=1),
        ClockMeasured(part=1, host="m1", offset_ns=0, error_ns=1),
        Match(part=1, description=(), hosts={"m1": "dut1", "m2": "dut2"}),
    )
    assert [(host.name, host.machine) for host in outcome.parts[0].hosts] == [("m1", "dut1"), ("m2", "dut2")]


def test_a_job_left_on_a_kept_host_did_not_end() -> None:
    outcome = run_of(began("m1", 1), ended("m1", 1, exit_status=None, reason="left running on the kept host"))
    assert shown(outcome)[1] == "        Left running on the kept host"


@pytest.mark.parametrize(
    ("finished", "reason"),
    [
        ({"exit_status": 2, "stderr_head": "one\ntwo\n"}, "exit status 2: two"),
        ({"exit_status": 1, "error": "on host m1:\nModuleFailed: lost"}, "ModuleFailed: lost"),
        ({"exit_status": 4}, "exit status 4"),
    ],
)
def test_the_list_of_failures_says_why(finished: dict[str, object], reason: str) -> None:
    outcome = run_of(began("m1", 1), ended("m1", 1, passed=False, **finished), verdict=Verdict.FAILED)
    assert [failure.reason for failure in page(outcome).failures] == [reason]


def test_a_failed_job_says_why() -> None:
    outcome = run_of(
        began("m1", 1, "cat /x"),
        ended(
            "m1",
            1,
            passed=False,
            stderr_head="cat: /x: \x1b[31mNo such file\x1b[0m\r\n",
            stdout_head="first\n",
            stdout_tail="last\n",
            stdout_bytes=1_000_011,
            stdout_artifact="artifacts/m1-1.out",
        ),
        began("m1", 2, "sleep 100", desc="a nap"),
        ended("m1", 2, passed=False, exit_status=None, signal=9, reason="timed out after 60 s, killed"),
        began("m1", 3, "Boom()", kind="module"),
        ended("m1", 3, passed=False, exit_status=None, error="Traceback:\n  line 3\nValueError: no"),
        verdict=Verdict.FAILED,
    )
    assert shown(outcome) == [
        "    Host m1 Job 1 cat /x FAIL (0.250 s)",
        "        Ended with exit status 1",
        "        stderr:",
        "            cat: /x: \\x1b[31mNo such file\\x1b[0m",
        "        stdout:",
        "            first",
        "",
        "            … (1000000 bytes left out) …",
        "            last",
        "        Whole output: artifacts/m1-1.out",
        "    Host m1 Job 2 a nap FAIL (0.250 s)",
        "        Ended with signal SIGKILL: timed out after 60 s, killed",
        "    Host m1 Job 3 Boom() FAIL (0.250 s)",
        "        error:",
        "            Traceback:",
        "              line 3",
        "            ValueError: no",
    ]


def test_a_job_that_was_expected_to_fail() -> None:
    outcome = run_of(
        began("m1", 1, expected_fail=True),
        ended("m1", 1, exit_status=1),
        began("m1", 2, expected_fail=True),
        ended("m1", 2, passed=False, exit_status=0),
        verdict=Verdict.FAILED,
    )
    assert shown(outcome) == [
        "    Host m1 Job 1 XYZ PASS (0.250 s)",
        "        Ended with exit status 1: failed as expected",
        "    Host m1 Job 2 XYZ FAIL (0.250 s)",
        "        Ended with exit status 0: was expected to fail, but did not",
    ]


def test_what_went_wrong_besides_jobs() -> None:
    outcome = run_of(
        HostSetAside(part=1, host="dut3", reason="does not answer"),
        began("m2", 4, bg=True),
        HostLost(part=1, host="m2", reason="connection reset"),
        UndoFinished(part=1, host="m1", steps=3, failed=("link eth0: no such device",)),
        UndoFinished(part=1, host="m3", steps=3),
        Log(part=1, level="warning", text="clocks are\nfar apart", host="m1"),
        verdict=Verdict.ERROR,
        error="HostLost: m2: connection reset",
        traceback="Traceback\n  File x",
    )
    assert shown(outcome) == [
        "    Host dut3 was set aside: does not answer",
        "    Host m2 Job 4 XYZ started",
        "    Host m2 was lost: connection reset",
        "    Host m1 could not be put back as it was:",
        "        link eth0: no such device",
        "    Host m2 Job 4 XYZ did not finish",
        "    Host m1 Warning: clocks are far apart",
        "    Error: HostLost: m2: connection reset",
        "    Traceback:",
        "        Traceback",
        "          File x",
    ]
    assert summary(outcome).splitlines()[-1].startswith("RESULT ERROR (0 passed, 0 failed, 1 errors")


def test_parts_have_headings_when_there_are_several() -> None:
    outcome = fold(
        HEADER,
        [
            PartStarted(t_ns=0, part=1, recipe="Hello", params={"mtu": 8000}, match_index=1),
            Match(t_ns=0, part=1, hosts={"m1": "dut1", "m2": "dut7"}),
            began("m1", 1),
            ended("m1", 1),
            PartFinished(t_ns=S, part=1, verdict=Verdict.PASSED, duration_s=1.0),
            PartStarted(t_ns=S, part=2, recipe="Other"),
            PartFinished(t_ns=2 * S, part=2, verdict=Verdict.CANCELLED, duration_s=0.5),
            RunFinished(t_ns=2 * S, verdict=Verdict.CANCELLED, duration_s=2),
        ],
    )
    assert summary(outcome).splitlines() == [
        "RESULTS SUMMARY:",
        "Part 1: Hello, mtu=8000, match 1 m1=dut1 m2=dut7 PASS (1.00 s)",
        "    Host m1 Job 1 XYZ PASS (0.250 s)",
        "Part 2: Other ERROR (0.500 s)",
        "RESULT ERROR (1 passed, 0 failed, 1 errors, 2.00 s) run 20261120-134501-4000",
    ]


def test_colours_only_when_asked_for() -> None:
    outcome = run_of(began("m1", 1), ended("m1", 1))
    assert "\x1b" not in summary(outcome)
    assert "XYZ \x1b[32mPASS\x1b[0m (0.250 s)" in summary(outcome, color=True)


def test_a_run_that_goes_on_and_one_that_was_killed() -> None:
    events: list[Event] = [PartStarted(t_ns=0, part=1, recipe="Hello"), began("m1", 1)]
    running = summary(fold(HEADER, events, State.RUNNING))
    assert running.splitlines()[-2:] == [
        "    Host m1 Job 1 XYZ started",
        "RUNNING (0 passed, 0 failed, 0 errors, 0.00 s so far) run 20261120-134501-4000",
    ]
    killed = summary(fold(HEADER, events, State.ABORTED)).splitlines()
    assert "    Host m1 Job 1 XYZ did not finish" in killed
    assert "    Aborted: the controller ended before this part did" in killed
    assert killed[-1].startswith("RESULT FAIL (0 passed, 1 failed, 0 errors")


def test_the_summary_of_a_journal_on_disk_tells_of_damage(tmp_path: Path) -> None:
    with create_run(tmp_path) as journal:
        journal.write(PartStarted(part=1, recipe="Hello"))
    with (journal.folder / "journal.jsonl").open("a") as file:
        file.write('garbage\n{"event":"new-thing"}\n{"event":"lo')
    notes = [line for line in summary(load(journal.folder)).splitlines() if "Note:" in line]
    assert notes == [
        "    Note: 1 events of a newer version of shakeout were left out",
        "    Note: 1 lines of the journal are damaged and were left out",
        "    Note: the last line of the journal is cut off",
    ]


def test_times_of_jobs_come_from_the_host_s_clock_where_its_offset_is_known() -> None:
    outcome = run_of(
        ClockMeasured(part=1, host="m1", offset_ns=7 * S, error_ns=1000),
        JobStarted(part=1, t_ns=1 * S, host="m1", job=1),
        ended("m1", 1, t_ns=9 * S, started_host_ns=9 * S, finished_host_ns=10 * S),
        JobStarted(part=1, t_ns=1 * S, host="m2", job=1),
        ended("m2", 1, t_ns=9 * S, started_host_ns=9 * S, finished_host_ns=10 * S),
    )
    one, two = outcome.parts[0].jobs
    assert (one.began_ns, one.ended_ns) == (2 * S, 3 * S)
    assert (two.began_ns, two.ended_ns) == (1 * S, 9 * S)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0 s"),
        (0.00213, "0.0021 s"),
        (0.2139, "0.214 s"),
        (2.5, "2.50 s"),
        (12.34, "12.3 s"),
        (75.4, "75 s"),
    ],
)
def test_durations(duration: float, text: str) -> None:
    assert seconds(duration) == text


def test_data_is_laid_out_for_people() -> None:
    value = {"ok": True, "rtt": {"min": 0.0112, "all": [1, 2.5]}, "rows": [{"a": 1}, [2, [3]]], "none": None}
    assert data_lines(value) == [
        "ok: yes",
        "rtt: min: 0.0112, all: [1, 2.5]",
        "rows:",
        "    - a: 1",
        "    -",
        "        - 2",
        "        - 3",
        "none: none",
    ]
    assert data_lines("two\nlines\n") == ["two", "lines"]
    assert len(data_lines(list(map(str, range(1000))))) == 1
    assert data_lines({str(n): n for n in range(1000)})[-1] == "…"


def test_data_that_is_long_has_a_line_for_each_part() -> None:
    packets = ["10.0.0.1 > 10.0.0.2: ICMP echo request, id 7", "10.0.0.2 > 10.0.0.1: ICMP echo reply, id 7"]
    row = {f"column_{number}": "word " * 3 for number in range(9)}
    assert data_lines({"seen": packets, "rows": [row]}) == [
        "seen:",
        *(f"    {packet}" for packet in packets),
        "rows:",
        "    -",
        *(f"        column_{number}: word word word" for number in range(9)),
    ]


def test_numbers_whose_names_say_what_they_are_can_be_read() -> None:
    value = {"sent_bps": 9.41e9, "sent_bytes": 1_234_567, "back": {"sent_bps": 12}, "bps": 3e9}
    assert data_lines(value) == [
        "sent_bps: 9.41 Gbit/s",
        "sent_bytes: 1.235 MB",
        "back: sent_bps: 12 bit/s",
        "bps: 3e+09",
    ]


def test_a_temporary_file_is_named_where_it_is_now() -> None:
    old, new = "/tmp/shakeout-eth0-k3jx2abc.pcap", "artifacts/m1-job1-PacketCapture-eth0.pcap"
    moved = FileTransfer(part=1, direction="receive", host="m1", source=old, job=1, artifact=new)
    outcome = run_of(began("m1", 1), ended("m1", 1, result={"file": old, "other": "/tmp/x"}), moved)
    assert f"            file: {new}" in shown(outcome)
    assert "            other: /tmp/x" in shown(outcome)
    assert not any("k3jx2abc" in line for line in shown(outcome))


def test_results_have_the_units_that_their_module_declares() -> None:
    result = {"loss": 0.0, "used": {"min": 1.5e9, "max": 2e9}, "streams": [{"loss": 2}], "sent": 3, "x": 1, "ok": True}
    units = {"loss": "%", "used": "B", "x": "Kb<b>/", "ok": "%"}
    assert with_units(result, units) == {
        "loss": "0 %", "used": {"min": "1.5 GB", "max": "2 GB"}, "streams": [{"loss": "2 %"}], "sent": 3,
        "x": "1 Kb<b>/", "ok": True,
    }  # fmt: skip
    outcome = run_of(began("m1", 1), ended("m1", 1, result=result, result_units=units))
    assert "            loss: 0 %" in shown(outcome)
    assert "loss: 0 %" in html_page(outcome)


def test_what_does_not_apply_is_left_out_of_results_of_jobs() -> None:
    assert result_lines({"a": 1, "jitter_ms": None, "said": "", "deep": {"b": 0, "c": None}}) == ["a: 1", "deep: b: 0"]
    assert result_lines({"a": None}) == ["a: none"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("on host m1 (module X):\nModuleFailed: hop 1 is 10.0.0.1:\n 1 ms\nok", "ModuleFailed: hop 1 is 10.0.0.1:"),
        ("on host m1:\nTraceback (most recent call last):\n  File 'x.py'\nValueError: one\ntwo", "ValueError: one"),
        ("lost", "lost"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_was_raised_stands_before_the_rest_of_its_message(error: str, line: str) -> None:
    assert raised(error) == line


def test_deeply_nested_data_takes_no_time() -> None:
    value: object = "x"
    for _ in range(24):
        value = {"k": [value, value]} if not isinstance(value, dict) else {"k": value}
    assert len(data_lines(value)) <= 40


def rich_run(*, junk: str = "") -> RunOutcome:
    """A run in which *junk* stands wherever hosts and users put text."""
    return fold(
        msg_header(junk),
        [
            PartStarted(t_ns=0, part=1, recipe="R" + junk, file=junk, params={junk: junk}, match_index=1),
            Match(t_ns=0, part=1, description=(junk,), hosts={"m1" + junk: junk}),
            HostConnected(t_ns=0, part=1, host="m1" + junk, machine=junk, props={"k" + junk: [junk]}),
            began("m1" + junk, 1, junk, desc=junk, netns=junk),
            ended("m1" + junk, 1, result={junk: junk}, stdout_head=junk, stderr_head=junk),
            began("m1" + junk, 2, junk),
            ended("m1" + junk, 2, passed=False, reason=junk, error=junk, stdout_head=junk, stderr_tail=junk),
            began("m1" + junk, 3, junk),
            ResultAdded(part=1, passed=False, description=junk, data={junk: [junk]}),
            ResultAdded(part=1, description=junk, data=junk),
            HostLost(part=1, host="m1" + junk, reason=junk),
            UndoFinished(part=1, host="m1" + junk, failed=(junk,)),
            Log(part=1, level="error", text=junk, host=junk),
            PartFinished(t_ns=S, part=1, verdict=Verdict.ERROR, error=junk, traceback=junk),
            RunFinished(t_ns=S, verdict=Verdict.ERROR, error=junk, duration_s=1.0),
        ],
    )


def msg_header(junk: str) -> Header:
    return Header(run="r" + junk, kind=junk, started=junk, command=(junk,), hostname=junk, version=junk)


nasty = st.text(max_size=40) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "]]>",
        '"><img src=x onerror=y>',
        "&amp;",
        "{{ 7*7 }}",
        "\x00\x1b[2J",
        "'",
        "# SKIP",
    ]
)


@settings(max_examples=60, deadline=None)
@given(nasty)
def test_junit_is_xml_whatever_was_printed(junk: str) -> None:
    root = ET.fromstring(junit(rich_run(junk=junk)))
    assert root.tag == "testsuites"
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert int(suite.get("tests", "")) == len(cases) == 5
    assert (suite.get("failures"), suite.get("errors")) == ("2", "2")


def test_junit_says_which_job_failed_and_why() -> None:
    root = ET.fromstring(
        junit(
            run_of(
                began("m1", 1, "ping x"),
                ended("m1", 1, stdout_head="3 packets\n"),
                began("m1", 2, "false"),
                ended("m1", 2, passed=False, stderr_head="oh no\n"),
                verdict=Verdict.FAILED,
            )
        )
    )
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == ["Hello", "Host m1 Job 1 ping x", "Host m1 Job 2 false"]
    assert cases["Host m1 Job 1 ping x"].findtext("system-out") == "3 packets\n"
    failure = cases["Host m1 Job 2 false"].find("failure")
    assert failure is not None and failure.get("message") == "exit status 1"
    assert cases["Hello"].find("failure") is None


def test_a_part_that_failed_by_itself_fails_in_junit() -> None:
    root = ET.fromstring(junit(run_of(verdict=Verdict.FAILED)))
    assert root.get("failures") == "1"


@settings(max_examples=40, deadline=None)
@given(nasty)
def test_json_is_json_whatever_was_printed(junk: str) -> None:
    document = json.loads(json_report(rich_run(junk=junk)), parse_constant=pytest.fail)
    assert document["schema"] == 1
    assert document["verdict"] == "error"
    assert document["counts"] == {"passed": 0, "failed": 0, "errors": 1}
    (part,) = document["parts"]
    assert [job["passed"] for job in part["jobs"]] == [True, False, None]
    assert part["jobs"][0]["result"] == {junk: junk}
    assert [record["passed"] for record in part["results"]] == [False, None]


@settings(max_examples=60, deadline=None)
@given(nasty)
def test_ktap_lines_are_what_they_say(junk: str) -> None:
    text = ktap(rich_run(junk=junk)).split("\n")
    assert text[0] == "KTAP version 1"
    results = [line for line in text if line.lstrip().startswith(("ok ", "not ok "))]
    assert len(results) == 6
    assert results[-1].endswith("# ERROR")
    assert [line.strip().split()[0] for line in results] == ["ok", "not", "not", "not", "ok", "not"]
    for line in text:
        assert line == "" or line.lstrip().startswith(("ok ", "not ok ", "1..", "#", "KTAP version 1"))
        assert all(c.isprintable() or c in "\t\xa0" or ord(c) > 127 for c in line)


class Elements(html.parser.HTMLParser):
    """Collects the tags of a page, and what could run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.hrefs: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.hrefs.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def elements(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    found.close()
    return found


@cache
def plain_elements() -> Elements:
    return elements(html_page(rich_run(junk="x")))


@settings(max_examples=60)
@given(nasty)
def test_html_takes_nothing_that_was_printed_for_markup(junk: str) -> None:
    plain, page = plain_elements(), elements(html_page(rich_run(junk=junk)))
    assert page.attributes <= plain.attributes
    assert set(page.tags) <= set(plain.tags)
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    for href in page.hrefs:
        assert href[0] == "#"
        assert href[1:] in page.ids


def test_html_loads_nothing_and_shows_what_failed_first() -> None:
    page = html_page(
        run_of(
            began("m1", 1, "good"),
            ended("m1", 1),
            began("m1", 2, "bad"),
            ended("m1", 2, passed=False, stderr_head="the reason <b>"),
            verdict=Verdict.FAILED,
            error="AssertionError: broken",
        )
    )
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page.replace("url(#hatch)", "")
    found = elements(page)
    assert found.text.index("Host m1 Job 2 bad") < found.text.index("good")
    assert "the reason <b>" in found.text
    assert "AssertionError: broken" in found.text


def many(count: int, *, failing: Iterable[int] = (), output: str = "") -> list[Event]:
    """The events of a run with so many jobs."""
    bad = set(failing)
    events: list[Event] = [PartStarted(t_ns=0, part=1, recipe="Big")]
    for number in range(count):
        events.append(JobStarted(t_ns=number * 1000, part=1, host=f"m{number % 4}", job=number, what="true"))
        events.append(ended(f"m{number % 4}", number, number not in bad, t_ns=number * 1000 + 900, stdout_head=output))
    events.append(PartFinished(t_ns=count * 1000, part=1, verdict=Verdict.PASSED))
    events.append(RunFinished(t_ns=count * 1000, verdict=Verdict.PASSED))
    return events


def test_the_page_is_bounded_and_keeps_the_failures() -> None:
    page = html_page(fold(HEADER, many(20_000, failing=(19_998, 19_999), output="<&>" * 2000)))
    assert len(page) < 9_000_000
    assert "Host m3 Job 19999 true</a>" in page
    assert "17000 more jobs and records are not shown" in page


def test_a_page_of_many_parts_is_bounded_and_keeps_the_failures() -> None:
    events: list[Event] = []
    for part in range(1, 2001):
        verdict = Verdict.FAILED if part == 2000 else Verdict.PASSED
        events.append(PartStarted(t_ns=part, part=part, recipe="R", params={"n": part}))
        events.append(PartFinished(t_ns=part, part=part, verdict=verdict, error="x" if part == 2000 else ""))
    page = html_page(fold(HEADER, events))
    assert 'href="#part2000"' in page
    assert len(page) < 1_000_000


def timed(count: int) -> float:
    """Processor seconds to fold and summarise so many jobs; the best of three."""
    best = float("inf")
    events = many(count)
    for _ in range(3):
        begin = time.process_time()
        assert sum(1 for _ in lines(fold(HEADER, events))) == count + 2
        best = min(best, time.process_time() - begin)
    return best


def test_a_long_run_costs_in_proportion() -> None:
    assert timed(50_000) < 25 * timed(5_000)  # ten times the work


def test_outputs_of_a_long_run_do_not_fill_the_memory_but_those_of_failures_stay() -> None:
    outcome = fold(HEADER, many(10_000, failing=(9_999,), output="x" * 4096))
    kept = sum(len(job.finished.stdout_head) for job in outcome.parts[0].jobs if job.finished)
    assert kept < 20 << 20
    last = outcome.parts[0].jobs[-1].finished
    assert last is not None and len(last.stdout_head) == 4096
    assert "are left out here" in outcome.notes[0]


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 300) | st.none(), st.sampled_from("ab")), max_size=40))
def test_bars_of_one_lane_never_overlap_and_stay_on_the_time_line(
    spans: list[tuple[int, int | None, str]],
) -> None:
    events: list[Event] = [PartStarted(t_ns=0, part=1)]
    for job, (start, length, host) in enumerate(spans):
        events.append(JobStarted(t_ns=start * S, part=1, host=host, job=job))
        if length is not None:
            events.append(ended(host, job, t_ns=(start + length) * S))
    (part,) = fold(HEADER, events, State.RUNNING).parts
    drawn = timeline(part.jobs, part.began_ns, part.ended_ns)
    assert sum(len(row.bars) for row in drawn.rows) == len(spans)
    assert 1 <= len(drawn.ticks) <= 10
    for row in drawn.rows:
        lanes: dict[int, list[tuple[float, float]]] = {}
        for bar in row.bars:
            assert bar.x >= 0 and bar.x + bar.width <= 100.001
            assert bar.y < drawn.height
            lanes.setdefault(bar.y, []).append((part.jobs[bar.job].began_ns, bar.job))
        if len(lanes) < MAX_LANES:
            for jobs in lanes.values():
                told = [part.jobs[number].ended_ns for _, number in jobs]
                ends = [part.ended_ns if end is None else end for end in told]
                starts = [start for start, _ in jobs]
                assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def test_reports_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    outcome = run_of(began("m1", 1), ended("m1", 1))
    page = tmp_path / "page.html"
    page.write_text("old")
    page.chmod(0o640)
    formats.write(outcome, html=page, junit=tmp_path / "j.xml", json=tmp_path / "j.json", ktap=tmp_path / "k")
    assert "<!doctype html>" in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "k").read_text().startswith("KTAP")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j.json", "j.xml", "k", "page.html"]


def test_a_report_through_a_link_or_into_a_pipe(tmp_path: Path) -> None:
    outcome = run_of()
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    formats.write(outcome, ktap=tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text().startswith("KTAP")
    formats.write(outcome, json=Path(os.devnull))


def test_where_a_report_cannot_be_written_it_says_why_and_nothing_is_written(tmp_path: Path) -> None:
    outcome = run_of()
    with pytest.raises(UsageError, match=r"there is no folder .*missing; make it"):
        formats.write(outcome, json=tmp_path / "fine.json", html=tmp_path / "missing" / "x.html")
    with pytest.raises(UsageError, match="is a folder"):
        formats.write(outcome, html=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_line_is_one_line() -> None:
    assert one_line("a\n\tb  c\u202e") == "a b c\\u202e"
    assert one_line("x" * 500) == "x" * 119 + "…"
    assert len(one_line("y " * 5000)) <= 120


def test_two_runs_compared() -> None:
    before = run_of(
        began("m1", 1, "ping"),
        ended("m1", 1, duration_s=1.0),
        began("m1", 2, "ping"),
        ended("m1", 2, duration_s=1.0),
        began("m1", 3, "old"),
        ended("m1", 3),
        ResultAdded(part=1, passed=True, description="fast enough"),
    )
    after = run_of(
        began("m1", 7, "ping"),
        ended("m1", 7, duration_s=1.1),
        began("m1", 8, "ping"),
        ended("m1", 8, passed=False, duration_s=2.0),
        began("m1", 9, "new"),
        ResultAdded(part=1, passed=False, description="fast enough"),
    )
    assert comparison(before, after) == (
        "COMPARED run 20261120-134501-4000 with run 20261120-134501-4000:\n"
        "    Hello: Host m1 ping #2 PASS -> FAIL, 1.00 s -> 2.00 s (2.00 times)\n"
        "    Hello: Host m1 new is new: unfinished\n"
        "    Hello: fast enough PASS -> FAIL\n"
        "    Hello: Host m1 old is gone: PASS\n"
        "4 changed, 2 as before\n"
    )
    assert comparison(before, before).endswith("\n0 changed, 5 as before\n")


def test_files_that_a_job_left_are_named_and_hostile_paths_are_not() -> None:
    def came(artifact: str, job: int = 1) -> FileTransfer:
        return FileTransfer(part=1, host="m1", direction="receive", source="/tmp/x", job=job, artifact=artifact)

    paths = ["artifacts/m1-job1-x.pcap", "artifacts/../journal.jsonl", "/etc/passwd", ""]
    outcome = run_of(began("m1", 1), ended("m1", 1), *map(came, paths), came("artifacts/y", job=7))
    assert outcome.parts[0].jobs[0].artifacts == ("artifacts/m1-job1-x.pcap",)
    assert "        Files: artifacts/m1-job1-x.pcap" in shown(outcome)
    assert json.loads(json_report(outcome))["parts"][0]["jobs"][0]["artifacts"] == ["artifacts/m1-job1-x.pcap"]
    assert "artifacts/m1-job1-x.pcap" in html_page(outcome)
