"""A run as one JSON document, for programs.

The shape, of which nothing is removed or renamed while ``schema`` is 1::

    {"schema": 1, "run": id, "kind": "recipe", "state": "running"|"finished"|"aborted",
     "verdict": "passed"|"failed"|"error"|"cancelled"|"aborted"|null,
     "started": ISO 8601 in UTC, "duration_s": seconds, "command": [...], "version": "...",
     "hostname": controller, "error": "", "notes": [...],
     "counts": {"passed": n, "failed": n, "errors": n},
     "parts": [{
       "number": 1, "recipe": "...", "file": "...", "params": {...}, "match": {"index": 1,
       "hosts": {recipe's name: machine}, "networks": {label: network}, "description": [...]},
       "verdict": ..., "error": "", "traceback": "", "duration_s": seconds,
       "hosts": [{"name": "m1", "machine": "...", "props": {...}, "lost": "", "undo_failed": [...]}],
       "jobs": [{"host": "m1", "job": 1, "kind": "shell"|"module"|"argv", "what": "...", "desc": "...",
         "bg": false, "expected_fail": false, "passed": true|false|null, "exit_status": 0|null,
         "signal": 0, "reason": "", "began_s": since the run began, "duration_s": seconds|null,
         "result": any, "stdout": excerpt, "stderr": excerpt, "stdout_bytes": n, "stderr_bytes": n,
         "stdout_artifact": "artifacts/..."|"", "stderr_artifact": ..., "truncated_at": 0, "error": "",
         "series": [{"name": "cpu", "file": "samples-...bin"|"", "duration_s": seconds, "problem": "",
           "columns": {"user": {"unit": "%", "count": n, "mean": x|null, "minimum": x|null, "maximum": x|null,
             "p50": x|null, "p95": x|null, "p99": x|null}}}],
         "artifacts": ["artifacts/...", ...]}],
       "series": [those of the recipe itself, likewise],
       "values": [{"name": "...", "passed": true|false|null,
         "verdict": "passed"|"failed"|"inconclusive"|"recorded"|"measured",
         "value": x, "unit": "Gbit/s", "uncertainty": x|null, "confidence": 0.95, "n": n, "method": "mean"|...,
         "limit": "...", "reason": "...", "baseline": x|null, "baseline_uncertainty": x|null, "change": x|null,
         "p": x|null}],
       "results": [{"passed": true|false|null, "description": "...", "data": any}]}]}

``null`` stands for what is not known yet. NaN and infinities are the strings "NaN", "Infinity" and
"-Infinity".
"""

from __future__ import annotations

from typing import Any

import msgspec

from shakeout.report.outcome import JobOutcome, PartOutcome, RunOutcome
from shakeout.report.series import SeriesOutcome
from shakeout.report.text import output

SCHEMA = 1


def json_report(outcome: RunOutcome) -> bytes:
    """The run as a JSON document in UTF-8, indented."""
    return msgspec.json.format(msgspec.json.encode(_run(outcome)), indent=2) + b"\n"


def _run(outcome: RunOutcome) -> dict[str, Any]:
    header = outcome.header
    return {
        "schema": SCHEMA,
        "run": header.run,
        "kind": header.kind,
        "state": outcome.state,
        "verdict": outcome.verdict,
        "started": header.started,
        "duration_s": outcome.duration_s,
        "command": header.command,
        "version": header.version,
        "hostname": header.hostname,
        "error": outcome.error,
        "notes": outcome.notes,
        "counts": {"passed": outcome.passed, "failed": outcome.failed, "errors": outcome.errors},
        "parts": [_part(part) for part in outcome.parts],
    }


def _part(part: PartOutcome) -> dict[str, Any]:
    return {
        "number": part.number,
        "recipe": part.recipe,
        "file": part.file,
        "params": part.params,
        "match": {
            "index": part.match_index,
            "hosts": part.match_hosts,
            "networks": part.networks,
            "description": part.match_description,
        },
        "verdict": part.verdict,
        "error": part.error,
        "traceback": part.traceback,
        "duration_s": part.duration_s,
        "hosts": [
            {
                "name": host.name,
                "machine": host.machine,
                "props": host.props,
                "lost": host.lost,
                "undo_failed": host.undo_failed,
            }
            for host in part.hosts
        ],
        "jobs": [_job(job) for job in part.jobs],
        "series": [_series(series) for series in part.series],
        "values": [
            {name: field for name, field in msgspec.structs.asdict(value).items() if name not in ("t_ns", "part")}
            for value in part.values
        ],
        "results": [
            {"passed": record.passed, "description": record.description, "data": record.data} for record in part.results
        ],
    }


def _job(job: JobOutcome) -> dict[str, Any]:
    started, finished = job.started, job.finished
    stdout = stderr = ""
    if finished:
        stdout = output(finished.stdout_head, finished.stdout_tail, finished.stdout_bytes)
        stderr = output(finished.stderr_head, finished.stderr_tail, finished.stderr_bytes)
    return {
        "host": job.host,
        "job": job.job,
        "kind": started.kind,
        "what": started.what,
        "desc": started.desc,
        "bg": started.bg,
        "expected_fail": started.expected_fail,
        "passed": job.passed,
        "exit_status": finished.exit_status if finished else None,
        "signal": finished.signal if finished else 0,
        "reason": finished.reason if finished else "",
        "began_s": job.began_ns / 1e9,
        "duration_s": job.duration_s,
        "result": finished.result if finished else None,
        "stdout": stdout,
        "stderr": stderr,
        "stdout_bytes": finished.stdout_bytes if finished else 0,
        "stderr_bytes": finished.stderr_bytes if finished else 0,
        "stdout_artifact": finished.stdout_artifact if finished else "",
        "stderr_artifact": finished.stderr_artifact if finished else "",
        "truncated_at": finished.truncated_at if finished else 0,
        "error": finished.error if finished else "",
        "series": [_series(series) for series in job.series],
        "artifacts": list(job.artifacts),
    }


def _series(series: SeriesOutcome) -> dict[str, Any]:
    units = series.started.columns
    return {
        "name": series.name,
        "file": series.started.file,
        "duration_s": series.duration_s,
        "problem": series.problem,
        "columns": {
            name: {"unit": units[name], **msgspec.structs.asdict(found)} for name, found in series.statistics.items()
        },
    }
