"""What the end of a job comes to: whether it succeeded, why not, with what result; and what the journal says of it."""

from __future__ import annotations

import json
import signal as signals
from typing import TYPE_CHECKING, Any

import msgspec

from shakeout.errors import ProtocolError
from shakeout.hosts.capture import text
from shakeout.journal.events import JobFinished
from shakeout.wire.harmless import harmless
from shakeout.wire.messages import NOT_STARTED, STDERR, STDOUT, JobDone

if TYPE_CHECKING:
    from collections.abc import Callable

    from shakeout.hosts.job import Job
    from shakeout.modules.base import BaseTestModule
    from shakeout.modules.outcome import RemoteError


class Ending(msgspec.Struct, frozen=True):
    """How a job ended by itself.

    Attributes:
        reason: why it did not succeed, where its exit status does not say it.
        error: the exception that ended a module.
    """

    succeeded: bool
    reason: str = ""
    result: Any = None
    error: RemoteError | None = None


def check(done: JobDone) -> None:
    """Refuse what contradicts itself.

    Raises:
        ProtocolError: it does not say how the job ended, or more than one way.
    """
    status, signal = done.exit_status is not None, done.signal is not None
    if (status and signal) or not (status or signal or done.error):
        raise ProtocolError(f"it did not say of job {done.id} how it ended, or said more than one way")


def of_command(done: JobDone, output: Callable[[], bytes] | None) -> Ending:
    """A command's; *output*, if it shall be JSON, gives all of it.

    A command that could not be started is one that did not succeed, whatever it was to be.
    """
    succeeded = done.exit_status == 0 and not done.error
    if output is None or done.exit_status is None:
        return Ending(succeeded, harmless(done.error, lines=True))
    try:
        return Ending(succeeded, harmless(done.error, lines=True), json.loads(output()))
    except (ValueError, RecursionError) as error:
        return Ending(False, harmless(done.error, lines=True) or f"its output is no JSON: {error}")


def of_module(done: JobDone, outcome: bytes | bytearray, refused: str = "") -> Ending:
    """A test module's, which sent *outcome*, and before it samples that were *refused*, if that says why."""
    from shakeout.modules.outcome import decode_outcome

    if refused:
        return Ending(False, f"what it sent as its samples was refused: {refused}")
    if not outcome:
        number = done.signal
        return Ending(False, f"it was ended by {signal_name(number)}" if number else "it ended without an outcome")
    if done.exit_status == NOT_STARTED:
        return Ending(False, harmless(text(bytes(outcome)), lines=True))
    try:
        told = decode_outcome(outcome)
    except ProtocolError as error:
        return Ending(False, f"what it sent as its result was refused: {error}")
    return Ending(told.passed, "", told.result, told.error)


def finished_event(job: Job, host: str) -> JobFinished:
    """What the journal says of a job that has ended."""
    out, err = job.captured(STDOUT), job.captured(STDERR)
    (out_head, out_tail), (err_head, err_tail) = out.excerpt(), err.excerpt()
    return JobFinished(
        host=host,
        host_ns=job.finished_ns,
        job=job.id,
        passed=job.passed,
        exit_status=job.exit_status,
        signal=job.signal or 0,
        reason=job.reason,
        started_host_ns=job.started_ns,
        finished_host_ns=job.finished_ns,
        duration_s=job.duration,
        result=job.result,
        result_units=_units(job.module),
        stdout_head=out_head,
        stdout_tail=out_tail,
        stderr_head=err_head,
        stderr_tail=err_tail,
        stdout_bytes=out.size,
        stderr_bytes=err.size,
        stdout_artifact=out.artifact,
        stderr_artifact=err.artifact,
        truncated_at=out.truncated_at or err.truncated_at,
        error=job.error_text(),
    )


def _units(module: BaseTestModule | None) -> dict[str, str]:
    declared = {} if module is None else type(module).result_units
    return {str(name): str(unit) for name, unit in declared.items()}


def signal_name(number: int) -> str:
    """A signal as people call it."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
