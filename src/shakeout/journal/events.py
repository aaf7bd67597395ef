"""The events of a run, as they stand in its journal: one JSON object a line.

The first line is the :class:`Header`; every other line is one :data:`Event`, told apart by its
``event`` key. A reader skips kinds it does not know, and fields it does not know, so both may be added
without a new ``schema``; a change that an old reader would misread needs one.

Times: ``t_ns`` is the controller's monotonic clock in nanoseconds since the run began; ``host_ns`` is
the host's own monotonic clock, raw (0: unknown). Wall time stands once, in the header.
Fields that hold their default are left out of the line.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import msgspec

from shakeout.journal.verdict import Verdict

#: The version of the format. Readers refuse another one.
SCHEMA = 1

#: ``t_ns`` of an event that has not been written: the writer fills in the time.
UNSTAMPED = -1

#: Plain JSON data, as :func:`shakeout.journal.jsonable.jsonable` makes it.
Json: TypeAlias = Any


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a journal."""

    schema: int = SCHEMA
    #: The run's id, which is also its folder's name.
    run: str
    #: What was run: "recipe", "load", "measure", "suite".
    kind: str
    #: Wall time at the start, UTC: ``2026-11-20T13:45:01.250000Z``.
    started: str
    #: Version of shakeout that wrote this.
    version: str = ""
    #: The command as it was given, with secrets masked by the caller.
    command: tuple[str, ...] = ()
    #: Where the controller ran.
    hostname: str = ""
    pid: int = 0


class BaseEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """What every event has."""

    #: Fields whose value is whatever the user's code gave; the writer makes them plain JSON.
    OPEN: ClassVar[tuple[str, ...]] = ()

    t_ns: int = UNSTAMPED
    #: The part of the run it belongs to, from 1; 0 is the run itself.
    part: int = 0


class HostEvent(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """What every event of a host has."""

    #: The host's name in the recipe ("m1"); of a host without one, the laboratory's name for it.
    host: str
    host_ns: int = 0


class PartStarted(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="part-started"):
    """A part of the run (a recipe on one match, a task …) begins."""

    OPEN: ClassVar[tuple[str, ...]] = ("params",)

    #: The recipe's class name, or the task's title.
    recipe: str = ""
    file: str = ""
    params: dict[str, Json] = {}
    #: Which match of the same recipe this is, from 1; 0 where nothing was matched.
    match_index: int = 0


class Match(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="match"):
    """Which hosts were chosen."""

    #: The match in words, a line each.
    description: tuple[str, ...] = ()
    #: Name in the recipe -> the laboratory's name of the host.
    hosts: dict[str, str] = {}
    #: Label in the recipe -> the laboratory's name of the network.
    networks: dict[str, str] = {}


class HostConnected(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="host-connected"):
    """The agent on a host answered, and the host is ours."""

    OPEN: ClassVar[tuple[str, ...]] = ("props",)

    #: The laboratory's name of the host.
    machine: str = ""
    #: What the agent collected at its start: kernel, cpus …
    props: dict[str, Json] = {}
    lease: str = ""


class HostSetAside(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="host-set-aside"):
    """A host that was to be used did not answer; another match is tried."""

    reason: str = ""


class HostLost(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="host-lost"):
    """The connection to a host ended in mid-session; its jobs are over."""

    reason: str = ""


class ClockMeasured(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="clock"):
    """How far a host's clock is from the controller's: ``host_ns = t_ns + offset_ns``, give or take."""

    offset_ns: int
    error_ns: int = 0


class JobStarted(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="job-started"):
    """A job was started."""

    #: The job's id, unique on its host.
    job: int
    #: "shell", "module" or "argv".
    kind: str = "shell"
    #: The command, or the module with its parameters.
    what: str = ""
    #: The user's description; shown instead of ``what`` if there is one.
    desc: str = ""
    bg: bool = False
    expected_fail: bool = False
    #: Seconds until it is killed; 0: never.
    timeout: float = 0.0
    netns: str = ""


class JobFinished(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="job-finished"):
    """A job ended, however it did."""

    OPEN: ClassVar[tuple[str, ...]] = ("result",)

    job: int
    #: Whether it did what was expected: a job that is expected to fail, and fails, passes.
    passed: bool
    #: None if it ended by a signal or was never started.
    exit_status: int | None = None
    #: The signal that ended it, 0 if none did.
    signal: int = 0
    #: Why it ended, if not by itself: "timed out after 60 s, killed".
    reason: str = ""
    started_host_ns: int = 0
    finished_host_ns: int = 0
    duration_s: float = 0.0
    #: What the module returned, or the parsed stdout.
    result: Json = None
    #: Units of numbers in it, by key at whatever depth, as the module declares them.
    result_units: dict[str, str] = {}
    #: The beginning and, where that is not everything, the end of what it printed; a few KiB each.
    stdout_head: str = ""
    stdout_tail: str = ""
    stderr_head: str = ""
    stderr_tail: str = ""
    #: How much it printed in all.
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    #: Files with the whole output, relative to the run's folder; "" if there are none.
    stdout_artifact: str = ""
    stderr_artifact: str = ""
    #: Bytes of output after which the artifact was cut; 0: it is whole.
    truncated_at: int = 0
    #: The exception of a module with its traceback, or why the job could not be started.
    error: str = ""


class SeriesStarted(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="series-started"):
    """Samples begin to be taken; they stand in a file of their own, see :mod:`shakeout.journal.samples`."""

    #: The job that measures; 0 for the recipe itself.
    job: int = 0
    name: str
    #: Name -> unit.
    columns: dict[str, str] = {}
    #: The file, in the run's folder; "" if it could not be made.
    file: str = ""


class DeviceChanged(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="device"):
    """Something was done to a device."""

    OPEN: ClassVar[tuple[str, ...]] = ("value",)

    device: str
    #: "create", "destroy", "set", "call".
    action: str
    #: The attribute or method.
    name: str = ""
    #: The value set, or the method's arguments.
    value: Json = None
    #: Why it was refused; "" if it was not.
    error: str = ""


class FileTransfer(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="file-transfer"):
    """A file or folder was sent to a host or received from it."""

    #: "send" or "receive", as seen from the controller.
    direction: str
    source: str = ""
    target: str = ""
    bytes: int = 0
    error: str = ""
    #: The job that left the file for the run; 0: none.
    job: int = 0
    #: Where it is in the run's folder, if it became an artifact.
    artifact: str = ""


class Setting(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="setting"):
    """A file below /sys or /proc, or a service, was set."""

    path: str
    value: str = ""
    previous: str = ""


class ResultAdded(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="result"):
    """The recipe added a record of its own with ``add_result``."""

    OPEN: ClassVar[tuple[str, ...]] = ("data",)

    #: None: no verdict, only a record.
    passed: bool | None = None
    description: str = ""
    data: Json = None


class Evaluated(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="evaluated"):
    """The recipe judged a measured value with ``evaluate``."""

    name: str
    #: None: nothing to hold it against.
    passed: bool | None = None
    #: "passed", "failed", "inconclusive", "recorded" as a baseline, or "measured" where nothing was to be kept.
    verdict: str = "passed"
    value: float
    #: "1" for a plain number.
    unit: str = "1"
    #: Half the width of the confidence interval; None if nothing is known about it.
    uncertainty: float | None = None
    confidence: float = 0.0
    #: Measurements behind it, and how they became one value: "given", "mean", "batch means", "median".
    n: int = 1
    method: str = "given"
    #: The limit in words: "≥ 9 Gbit/s"; "" if there is none.
    limit: str = ""
    reason: str = ""
    #: Why the verdict is worth less than it seems; "" if it is not.
    warning: str = ""
    #: What it was compared with, in the same unit; None if with nothing.
    baseline: float | None = None
    baseline_uncertainty: float | None = None
    #: Relative to the baseline: -0.05 is five per cent less.
    change: float | None = None
    #: The two-sided p-value of "nothing has changed".
    p: float | None = None


class Log(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="log"):
    """Something to tell."""

    #: "debug", "info", "warning" or "error".
    level: str = "info"
    text: str = ""
    #: The host that it is about, if any.
    host: str = ""


class Breakpoint(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="breakpoint"):
    """The recipe stopped for somebody to look around, or went on."""

    #: "reached", "continued" or "aborted".
    action: str = "reached"
    text: str = ""


class UndoStarted(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="undo-started"):
    """A host is being put back."""

    steps: int = 0


class UndoFinished(HostEvent, frozen=True, kw_only=True, omit_defaults=True, tag="undo-finished"):
    """A host was put back, but for the steps that failed."""

    steps: int = 0
    #: What could not be undone, and why, a line each.
    failed: tuple[str, ...] = ()


class PartFinished(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="part-finished"):
    """A part has its verdict."""

    verdict: Verdict
    #: The exception in one paragraph; "" if there was none.
    error: str = ""
    #: Its traceback.
    traceback: str = ""
    duration_s: float = 0.0


class RunFinished(BaseEvent, frozen=True, kw_only=True, omit_defaults=True, tag="run-finished"):
    """The run has its verdict. The last event."""

    verdict: Verdict
    #: Verdict -> number of parts.
    counts: dict[str, int] = {}
    duration_s: float = 0.0
    error: str = ""


Event: TypeAlias = (
    PartStarted
    | Match
    | HostConnected
    | HostSetAside
    | HostLost
    | ClockMeasured
    | JobStarted
    | JobFinished
    | SeriesStarted
    | DeviceChanged
    | FileTransfer
    | Setting
    | ResultAdded
    | Evaluated
    | Log
    | Breakpoint
    | UndoStarted
    | UndoFinished
    | PartFinished
    | RunFinished
)
