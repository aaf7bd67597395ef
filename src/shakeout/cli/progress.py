"""What a run shows while it goes on: a status line on a terminal, every event with ``--live``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

from shakeout.journal.events import (
    BaseEvent,
    Breakpoint,
    DeviceChanged,
    Evaluated,
    FileTransfer,
    HostConnected,
    HostLost,
    HostSetAside,
    JobFinished,
    JobStarted,
    Log,
    PartFinished,
    PartStarted,
    ResultAdded,
    SeriesStarted,
    Setting,
    UndoFinished,
)  # fmt: skip
from shakeout.report.text import harmless, one_line


class LiveLines:
    """Writes a line for each event, as it happens, and what jobs printed."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._titles: dict[tuple[str, int], str] = {}

    def event(self, event: BaseEvent) -> None:
        """Something was written to the journal."""
        text = self._text(event)
        if text:
            with self._lock:
                self._stream.write(f"{event.t_ns / 1e9:9.3f} s  {text}\n")
                self._stream.flush()

    def _text(self, event: BaseEvent) -> str:
        if isinstance(event, JobStarted):
            title = one_line(event.desc or event.what)
            self._titles[event.host, event.job] = title
            return f"{event.host} job {event.job} started: {title}"
        if isinstance(event, JobFinished):
            return self._finished(event)
        if isinstance(event, DeviceChanged):
            value = "" if event.value in (None, [], {}) else f" {event.value}"
            return f"{event.host}.{event.device} {event.name or event.action}{value}" + _failed(event.error)
        if isinstance(event, ResultAdded):
            verdict = {True: "PASS ", False: "FAIL ", None: ""}[event.passed]
            return f"result: {verdict}{one_line(event.description)}"
        if isinstance(event, Evaluated):
            from shakeout.report import values

            return f"{values.title(event)} {values.verdict_word(event)}".rstrip()
        if isinstance(event, SeriesStarted):
            columns = ", ".join(f"{name} [{unit}]" for name, unit in event.columns.items())
            return one_line(f"{event.host or 'the recipe'} takes samples of {event.name}: {columns}")
        if isinstance(event, Log):
            return f"{event.level}: {harmless(event.text)}"
        if isinstance(event, PartStarted):
            return f"{event.recipe} begins"
        if isinstance(event, PartFinished):
            return f"verdict: {event.verdict.value}" + _failed(event.error)
        return self._host_text(event)

    def _host_text(self, event: BaseEvent) -> str:
        if isinstance(event, HostConnected):
            return f"{event.host} is connected ({event.machine})"
        if isinstance(event, HostSetAside | HostLost):
            word = "set aside" if isinstance(event, HostSetAside) else "lost"
            return f"{event.host} was {word}: {event.reason}"
        if isinstance(event, FileTransfer):
            arrow = "->" if event.direction == "send" else "<-"
            return f"{event.host} {arrow} {event.source} to {event.target} ({event.bytes} bytes)" + _failed(event.error)
        if isinstance(event, Setting):
            return f"{event.host} {event.path} = {event.value} (was {event.previous})"
        if isinstance(event, UndoFinished):
            failed = f", failed: {'; '.join(event.failed)}" if event.failed else ""
            return f"{event.host} is restored ({event.steps} steps{failed})"
        if isinstance(event, Breakpoint):
            return f"breakpoint {event.action} {event.text}".rstrip()
        return ""

    def _finished(self, event: JobFinished) -> str:
        word = "PASS" if event.passed else "FAIL"
        title = self._titles.pop((event.host, event.job), "")
        reason = f" ({event.reason})" if event.reason else ""
        text = f"{event.host} job {event.job} {word}: {title}{reason} ({event.duration_s:.3g} s)"
        for part in (event.stdout_head, event.stdout_tail, event.stderr_head, event.stderr_tail):
            for line in part.splitlines():
                text += f"\n             {event.host} | {harmless(line)}"
        return text


class StatusLine:
    """One line at the bottom of a terminal: what runs now, and how much is done.

    Nothing of it is left when something else is written to the terminal: that goes through `beside`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._running: dict[tuple[str, int], str] = {}
        self._done = 0
        self._recipe = ""
        self._shown = False
        #: Whether somebody else has the last line: at a breakpoint, or after a text without a line end.
        self._prompting = self._unfinished = False

    def event(self, event: BaseEvent) -> None:
        """Something was written to the journal."""
        with self._lock:
            if isinstance(event, PartStarted):
                self._recipe, self._done = event.recipe, 0
                self._running.clear()
            elif isinstance(event, JobStarted):
                self._running[event.host, event.job] = one_line(event.desc or event.what, 40)
                self._show()
            elif isinstance(event, JobFinished):
                self._running.pop((event.host, event.job), None)
                self._done += 1
                self._show()
            elif isinstance(event, Breakpoint):
                self._prompting = event.action == "reached"
                self.clear()
            elif isinstance(event, PartFinished):
                self.clear()

    def beside(self, stream: TextIO) -> TextIO:
        """*stream*, which leads to the same terminal, as one that erases the status line before it writes."""
        return cast(TextIO, _Beside(stream, self))

    def clear(self) -> None:
        """Erase it; the next event shows it again."""
        with self._lock:
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._shown = False

    def make_room(self, text: str) -> None:
        """*text* is going to be written to the terminal."""
        with self._lock:
            self.clear()
            if text:
                self._unfinished = not text.endswith("\n")

    def _show(self) -> None:
        if self._prompting or self._unfinished:
            return
        import shutil

        running = "  ".join(f"{host}: {title}" for (host, _), title in list(self._running.items())[-3:])
        text = f"{self._recipe}: {self._done} jobs done  {running}".rstrip()
        self._stream.write("\r\x1b[K" + _fitting(text, shutil.get_terminal_size().columns - 1))
        self._stream.flush()
        self._shown = True


class _Beside:
    """A text stream that shares the terminal with a status line."""

    def __init__(self, stream: TextIO, status: StatusLine) -> None:
        self._stream = stream
        self._status = status

    def write(self, text: str) -> int:
        self._status.make_room(text)
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> TextIO:
        return self._stream.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._stream.__exit__(*error)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)


def _fitting(text: str, columns: int) -> str:
    """As much of *text* as fits; wide characters (Chinese, Japanese, Korean …) take two columns."""
    if text.isascii():
        return text[:columns]
    from unicodedata import east_asian_width

    for place, character in enumerate(text):
        columns -= 2 if east_asian_width(character) in "WF" else 1
        if columns < 0:
            return text[:place]
    return text


def _failed(error: str) -> str:
    return f" failed: {error}" if error else ""
