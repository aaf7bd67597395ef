"""ProcessWatch: processes that must stay, come or go, and what became of them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.machine.selection import JobParam, Selection
from shakeout.params import ChoiceParam, DurationParam, IntParam, ListParam, StrParam

if TYPE_CHECKING:
    from shakeout.modules.machine.proctable import ProcessStat

#: Processes that are watched at the same time: each takes a descriptor.
MAX_WATCHED = 500
#: Events that a result lists; more are counted only.
MAX_EVENTS = 1000


class ProcessEvent(TypedDict):
    """Something that happened to a process.

    Keys:
        at: seconds after the beginning; time_ns: the host's CLOCK_REALTIME.
        what: "found" (at the beginning), "started" or "ended".
        pid, name: which.
        status: the exit status of one that has ended; None if a signal ended it, or nobody may know.
        signal: the number of the signal that ended it; None if none did, or nobody may know.
    """

    at: float
    time_ns: int
    what: str
    pid: int
    name: str
    status: int | None
    signal: int | None


class ProcessWatchResult(TypedDict):
    """What ProcessWatch found.

    Keys:
        found: processes at the beginning; started, ended: since then; alive: at the end.
        events: in order, the first 1000.
        sampling: how it kept its time.
    """

    found: int
    started: int
    ended: int
    alive: int
    events: list[ProcessEvent]
    sampling: Sampling


class ProcessWatch(BaseTestModule):
    """Watch processes; prints "watching N processes" once it does.

    *expect* says what must become of them:

    - "stay": none of them may end while they are watched. The end of one is an event of the kernel's (a pidfd): it
      is known at once, with the exit status where the kernel tells it, and is a failure if it is one more than
      *max_ends*. What takes its place is found by looking at all processes every *interval*.
    - "appear": as many as *minimum* must be there within *duration*.
    - "end": all that are there at the beginning must have ended within *duration*.

    All the time there must be at least *minimum* (with "stay") and at most *maximum* of them. In the background
    without *duration*, ``job.kill(signal.SIGINT)`` ends it with what came so far. Of a job, its first process is
    watched. The result is a `ProcessWatchResult`.

    Examples:
        >>> server = m1.run(TcpListen(port=5001, connections=0), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> watch = m1.run(ProcessWatch(job=server), bg=True)
        >>> watch.wait_output("watching")
        <re.Match object; span=(0, 8), match='watching'>
        >>> job = m1.run(TcpConnect(dst="127.0.0.1", port=5001, payload="hello"))
        >>> watch.kill(signal.SIGINT)
        >>> watch.wait(timeout=10)
        True
        >>> watch.result["alive"]
        1
    """

    pids = ListParam(IntParam(minimum=1), default=[], desc="processes by their numbers")
    name = StrParam(min_length=1, desc='name or pattern of names ("nginx*")')
    cmdline = StrParam(min_length=1, desc="regular expression, looked for in command lines")
    job = JobParam(desc="a background job on the same host")
    expect = ChoiceParam(("stay", "appear", "end"), default="stay", desc="what must become of them")
    duration = DurationParam(minimum=0.001, desc="how long to watch; until stopped, if not given")
    minimum = IntParam(default=1, minimum=0, desc="how many there must be")
    maximum = IntParam(minimum=0, desc="how many there may be")
    max_ends = IntParam(default=0, minimum=0, desc="how many may end although they shall stay")
    interval = DurationParam(default=0.1, minimum=0.01, desc="from one look for new processes to the next")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._selection()
        if self.maximum is not None and self.maximum < self.minimum:
            raise BadParameters("ProcessWatch", [f"minimum={self.minimum} is more than maximum={self.maximum}"])

    def run(self) -> ProcessWatchResult:
        with Beat(self._looking(), self.duration) as beat:
            watch = _Watch(self, self._selection(), beat)
            self._res_data = watch.result
            try:
                watch.begin()
                for _ in beat:
                    watch.look()
                watch.judge()
            finally:
                watch.conclude()
        return watch.result

    def _selection(self) -> Selection:
        pids = [*self.pids, self.job] if self.job is not None and not self.pids else self.pids
        job = self.job if self.pids else None
        return Selection("ProcessWatch", pids, self.name, self.cmdline, job)

    def _looking(self) -> float | None:
        """How often to look for new processes; None if none can come that matter."""
        return None if (self.pids or self.job) and self.expect != "appear" else self.interval

    def format_result(self, result: Any) -> str:
        """The counts, then the events."""
        try:
            text = "{found} found, {started} started, {ended} ended, {alive} alive".format(**result)
            return "\n".join([text, *(f"{each['at']:.3f} s: {told(each)}" for each in result["events"][:20])])
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Watch:
    """The processes while they are watched."""

    def __init__(self, module: ProcessWatch, selection: Selection, beat: Beat) -> None:
        self._module, self._selection, self._beat = module, selection, beat
        #: pid and start -> pidfd
        self._alive: dict[tuple[int, int], int] = {}
        self.result = ProcessWatchResult(
            found=0, started=0, ended=0, alive=0, events=[], sampling=beat.sampling()
        )  # fmt: skip

    def begin(self) -> None:
        """Find those that are there."""
        for stat in self._selection.current():
            self._add(stat, "found")
        count, least = len(self._alive), self._module.minimum
        if count < least and self._module.expect != "appear":
            raise ModuleFailed(
                f"{count} processes on this host are described by {self._selection}, not {least} or more"
            )
        self._too_many()
        print(f"watching {count} processes", flush=True)  # noqa: T201 - it is the module's output
        self._settled()

    def look(self) -> None:
        """Look for new ones."""
        if self._module._looking() is None or self._beat.interrupted:
            return
        for stat in self._selection.current():
            if (stat.pid, stat.start) not in self._alive:
                self._add(stat, "started")
        self._too_many()
        self._settled()
        count = len(self._alive)
        if self._module.expect == "stay" and count < self._module.minimum and not self._module.max_ends:
            raise ModuleFailed(f"only {count} processes are left, at least {self._module.minimum} must be there")

    def judge(self) -> None:
        """At the end."""
        module, count = self._module, len(self._alive)
        when = "before it was stopped" if self._beat.interrupted else f"within {self._beat.seconds():.3f} s"
        if module.expect == "appear" and count < module.minimum:
            raise ModuleFailed(f"only {count} of {module.minimum} processes with {self._selection} appeared {when}")
        if module.expect == "end" and self._alive:
            pids = ", ".join(str(pid) for pid, _ in sorted(self._alive)[:10])
            raise ModuleFailed(f"{count} of {self.result['found']} processes did not end {when} (pid {pids})")
        if module.expect == "stay" and count < module.minimum:
            raise ModuleFailed(f"only {count} processes are left, at least {module.minimum} must be there")

    def conclude(self) -> None:
        """Let go of them."""
        self.result["alive"] = len(self._alive)
        self.result["sampling"] = self._beat.sampling()
        for descriptor in self._alive.values():
            os.close(descriptor)
        self._alive.clear()

    def _add(self, stat: ProcessStat, what: str) -> None:
        from shakeout.modules.machine import proctable

        if len(self._alive) >= MAX_WATCHED:
            raise ModuleFailed(f"more than {MAX_WATCHED} processes are described by {self._selection}: watch fewer")
        try:
            descriptor = os.pidfd_open(stat.pid)
        except ProcessLookupError:
            return
        now = proctable.read_process(stat.pid)
        if now is None or now.start != stat.start:  # its number has been used again meanwhile
            os.close(descriptor)
            return
        key = stat.pid, stat.start
        self._alive[key] = descriptor
        self._beat.attend(descriptor, lambda: self._ended(key, stat.name))
        self.result["found" if what == "found" else "started"] += 1
        self._tell(what, stat.pid, stat.name, None)

    def _ended(self, key: tuple[int, int], name: str) -> None:
        descriptor = self._alive.pop(key)
        self._beat.leave(descriptor)
        code = exit_code(key, descriptor)
        os.close(descriptor)
        self.result["ended"] += 1
        event = self._tell("ended", key[0], name, code)
        if self._module.expect == "stay" and self.result["ended"] > self._module.max_ends:
            raise ModuleFailed(f"{told(event)} {event['at']:.3f} s after the beginning; it was to stay")
        self._settled()

    def _settled(self) -> None:
        """Stop if what was to happen has happened."""
        module = self._module
        if (module.expect == "appear" and len(self._alive) >= module.minimum) or (
            module.expect == "end" and not self._alive
        ):
            self._beat.stop()

    def _too_many(self) -> None:
        most, count = self._module.maximum, len(self._alive)
        if most is not None and count > most:
            pids = ", ".join(str(pid) for pid, _ in sorted(self._alive)[:10])
            raise ModuleFailed(
                f"{count} processes with {self._selection} were there {self._beat.seconds():.3f} s after the "
                f"beginning, at most {most} may be (pid {pids})"
            )

    def _tell(self, what: str, pid: int, name: str, code: int | None) -> ProcessEvent:
        result = None if code is None else os.waitstatus_to_exitcode(code)
        event = ProcessEvent(
            at=round(self._beat.seconds(), 6), time_ns=time.time_ns(), what=what, pid=pid, name=name,
            status=result if result is not None and result >= 0 else None,
            signal=-result if result is not None and result < 0 else None,
        )  # fmt: skip
        if len(self.result["events"]) < MAX_EVENTS:
            self.result["events"].append(event)
        return event


def told(event: ProcessEvent) -> str:
    """ "process 123 (nginx) ended by signal 9 (SIGKILL)"."""
    import signal

    text = f"process {event['pid']} ({event['name']}) {event['what']}"
    if event["signal"] is not None:
        known = {each.value: f" ({each.name})" for each in signal.Signals}
        return f"{text} by signal {event['signal']}{known.get(event['signal'], '')}"
    return text if event["status"] is None else f"{text} with exit status {event['status']}"


def exit_code(key: tuple[int, int], pidfd: int) -> int | None:
    """How a process that has ended did, as wait(2) gives it; None if nobody may know.

    Its parent may or may not have waited for it already: /proc tells before that (to root, and to its own user),
    the pidfd afterwards (Linux 6.15, ``struct pidfd_info`` in linux/pidfd.h).
    """
    import fcntl
    import struct

    from shakeout.modules.machine import proctable

    stat = proctable.read_process(key[0])
    if stat is not None and stat.start == key[1] and stat.state in "ZX":
        owner = proctable.parse_fields(proctable.read(key[0], "status")).get("Uid")
        if stat.exit_code or os.geteuid() in (0, owner):
            return stat.exit_code
    wanted = 1 << 3  # PIDFD_INFO_EXIT
    info = bytearray(struct.pack("=Q", wanted).ljust(64, b"\0"))
    try:
        fcntl.ioctl(pidfd, 0xC040FF0B, info)
    except OSError:
        return None
    given, code = struct.unpack_from("=Q52xi", info)
    return int(code) if given & wanted else None
