"""A run as JUnit XML: a test suite a part, a test case a job, a record of the recipe, and the part itself.

Jenkins, GitLab and others read this. The part's own case (named after the recipe) bears an error or a
failure that belongs to no job: an exception, a lost host, an undo that failed.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from shakeout.journal.events import Evaluated, JobFinished, ResultAdded
from shakeout.journal.verdict import Verdict
from shakeout.report.outcome import JobOutcome, PartOutcome, RunOutcome
from shakeout.report.text import data_lines, ending, harmless, one_line, output, raised, result_lines, scalar
from shakeout.report.values import details, origin, title

_ATTRIBUTE = 1000


def junit(outcome: RunOutcome) -> bytes:
    """The run as an XML document in UTF-8."""
    root = ET.Element("testsuites", name=_clean(f"shakeout run {outcome.header.run}"))
    started = outcome.header.started.partition(".")[0]  # the schema wants whole seconds without a zone
    for part in outcome.parts:
        suite = ET.SubElement(root, "testsuite", name=_suite_name(part), id=str(part.number - 1))
        suite.set("timestamp", _clean(started))
        suite.set("hostname", _clean(outcome.header.hostname))
        _properties(suite, outcome, part)
        _part_case(suite, part)
        for job in part.jobs:
            _job_case(suite, part, job)
        for number, record in enumerate(part.results, 1):
            if record.passed is not None:
                _record_case(suite, part, record, number)
        for number, value in enumerate(part.values, 1):
            if value.passed is not None:
                _value_case(suite, part, value, number)
        _count(suite, part.duration_s)
    _count(root, outcome.duration_s)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite_name(part: PartOutcome) -> str:
    name = part.title
    if part.match_index:
        name += f" match {part.match_index}"
    return _clean(name)


def _properties(suite: ET.Element, outcome: RunOutcome, part: PartOutcome) -> None:
    given = {"run": outcome.header.run, "file": part.file}
    given |= {f"param.{name}": scalar(value) for name, value in part.params.items()}
    given |= {f"host.{host.name}": host.machine for host in part.hosts}
    properties = ET.SubElement(suite, "properties")
    for name, value in given.items():
        if value:
            ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))


def _case(suite: ET.Element, part: PartOutcome, name: str, duration_s: float) -> ET.Element:
    return ET.SubElement(suite, "testcase", name=_clean(name), classname=_suite_name(part), time=f"{duration_s:.6f}")


def _part_case(suite: ET.Element, part: PartOutcome) -> None:
    case = _case(suite, part, part.title, part.duration_s)
    problems = [f"host {host.name} was lost: {host.lost}" for host in part.hosts if host.lost]
    problems += [f"host {host.name} not put back: {line}" for host in part.hosts for line in host.undo_failed]
    if part.error:
        problems.insert(0, part.error)
    if part.verdict in (Verdict.ERROR, Verdict.CANCELLED, Verdict.ABORTED):
        _problem(case, "error", part.verdict.value, problems or [part.verdict.value], part.traceback)
    elif part.verdict is Verdict.FAILED and (problems or not _failed_elsewhere(part)):
        _problem(case, "failure", part.verdict.value, problems or ["failed"], part.traceback)
    records = [record for record in part.results if record.passed is None]
    lines = [line for record in records for line in (record.description, *data_lines(record.data))]
    lines += [line for value in part.values if value.passed is None for line in (title(value), *details(value))]
    if lines:
        ET.SubElement(case, "system-out").text = _clean("\n".join(lines))


def _failed_elsewhere(part: PartOutcome) -> bool:
    """Whether another case of the part bears its failure."""
    jobs = any(job.passed is False for job in part.jobs)
    values = any(value.passed is False for value in part.values)
    return jobs or values or any(record.passed is False for record in part.results)


def _job_case(suite: ET.Element, part: PartOutcome, job: JobOutcome) -> None:
    name = f"Host {job.host} Job {job.job} {one_line(job.title)}"
    case = _case(suite, part, name, job.duration_s or 0.0)
    finished = job.finished
    if finished is None:
        if part.verdict is not None:
            _problem(case, "error", "unfinished", ["the job did not finish"], "")
        return
    if not finished.passed:
        _problem(case, "failure", "failed", [_reason(job, finished)], finished.error)
    shown = output(finished.stdout_head, finished.stdout_tail, finished.stdout_bytes)
    if finished.result is not None:
        shown = "\n".join([*result_lines(finished.result), shown])
    for tag, text in (
        ("system-out", shown),
        ("system-err", output(finished.stderr_head, finished.stderr_tail, finished.stderr_bytes)),
    ):
        if text.strip():
            ET.SubElement(case, tag).text = _clean(text)


def _reason(job: JobOutcome, finished: JobFinished) -> str:
    return raised(finished.error) or ending(job.started, finished) or "the job's check failed"


def _record_case(suite: ET.Element, part: PartOutcome, record: ResultAdded, number: int) -> None:
    case = _case(suite, part, f"Record {number} {one_line(record.description)}", 0.0)
    if not record.passed:
        _problem(case, "failure", "failed", [record.description], "\n".join(data_lines(record.data)))
    elif record.data is not None:
        ET.SubElement(case, "system-out").text = _clean("\n".join(data_lines(record.data)))


def _value_case(suite: ET.Element, part: PartOutcome, value: Evaluated, number: int) -> None:
    case = _case(suite, part, f"Value {number} {one_line(value.name)}", 0.0)
    text = "\n".join(line for line in (title(value), origin(value), *details(value)) if line)
    if not value.passed:
        _problem(case, "failure", value.verdict, [title(value)], text)
    else:
        ET.SubElement(case, "system-out").text = _clean(text)


def _problem(case: ET.Element, tag: str, kind: str, messages: list[str], text: str) -> None:
    problem = ET.SubElement(case, tag, type=kind, message=_clean("; ".join(messages))[:_ATTRIBUTE])
    problem.text = _clean(text or "\n".join(messages))


def _count(element: ET.Element, duration_s: float) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    element.set("errors", str(sum(case.find("error") is not None for case in cases)))
    element.set("skipped", "0")
    element.set("time", f"{duration_s:.6f}")


def _clean(text: str) -> str:
    """Only what XML 1.0 allows: control characters become their escapes."""
    return harmless(text)
