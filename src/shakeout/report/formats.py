"""Writes reports to files: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from shakeout.errors import UsageError
from shakeout.files.placing import place
from shakeout.report.outcome import RunOutcome


def write(
    outcome: RunOutcome,
    *,
    html: Path | None = None,
    junit: Path | None = None,
    json: Path | None = None,
    ktap: Path | None = None,
    csv: Path | None = None,
) -> None:
    """Write a run's reports to the files that are named.

    A file that is there is replaced at once, when the new one is complete; a device or pipe is written to.

    Raises:
        UsageError: a file cannot be written; the message says which and why.
    """
    wanted = {"html": html, "junit": junit, "json": json, "ktap": ktap, "csv": csv}
    check(*wanted.values())
    for form, path in wanted.items():
        if path is not None:
            _replace(path, RENDERERS[form](outcome))


def check(*paths: Path | None) -> None:
    """Find out before a run whether reports can be written to *paths* after it.

    Raises:
        UsageError: a file cannot be; the message says which and why.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise UsageError(f"the report cannot be written to {path}: it is a folder; name a file in it")
        if not path.parent.is_dir():
            raise UsageError(
                f"the report cannot be written to {path}: there is no folder {path.parent}; "
                "make it, or name another file"
            )
        if path.exists() and not os.access(path, os.W_OK):
            raise UsageError(f"the report cannot be written to {path}: permission denied; name another file")
        if path.exists() and not path.is_file():
            continue
        hidden = _hidden(path.resolve())
        try:
            hidden.touch(exist_ok=False)  # what root may do in /proc, or on a full disk, is known by trying
            hidden.unlink()
        except OSError as error:
            raise _refusal(path, error) from error


def _html(outcome: RunOutcome) -> bytes:
    from shakeout.report.html import html  # the template engine is loaded only where a page is wanted

    return html(outcome).encode()


def _junit(outcome: RunOutcome) -> bytes:
    from shakeout.report.junit import junit

    return junit(outcome)


def _json(outcome: RunOutcome) -> bytes:
    from shakeout.report.jsonreport import json_report

    return json_report(outcome)


def _ktap(outcome: RunOutcome) -> bytes:
    from shakeout.report.ktap import ktap

    return ktap(outcome).encode()


def _csv(outcome: RunOutcome) -> bytes:
    from shakeout.report.csvreport import csv_report

    return csv_report(outcome)


#: Every form that a run can be written in.
RENDERERS: dict[str, Callable[[RunOutcome], bytes]] = {
    "html": _html,
    "junit": _junit,
    "json": _json,
    "ktap": _ktap,
    "csv": _csv,
}


def _replace(path: Path, content: bytes) -> None:
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe
            path.write_bytes(content)
            return
        target = path.resolve()  # a link stays a link
        place(target, content, target.stat().st_mode & 0o777 if target.exists() else None, sync=False)
    except OSError as error:
        raise _refusal(path, error) from error


def _hidden(path: Path) -> Path:
    """A name beside *path* that nobody else has."""
    return path.with_name(f".{path.name[:100]}.{os.urandom(4).hex()}")


def _refusal(path: Path, error: OSError) -> UsageError:
    return UsageError(f"the report cannot be written to {path}: {error.strerror}; name another file")
