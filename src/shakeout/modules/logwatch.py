"""LogWatch: what logs say, and what they must and must not say."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.params import BoolParam, DurationParam, IntParam, ListParam, StrParam

if TYPE_CHECKING:
    from shakeout.modules.logs.sources import JournalSource, KernelSource

#: Matches that a result lists, the first ones; all are counted.
MAX_MATCHES = 200
#: Characters of a line that a match shows.
SHOWN = 500


class RegexParam(StrParam[Any]):
    """A regular expression."""

    def convert(self, value: object) -> Any:
        text = super().convert(value)
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"expected a regular expression ({error})") from None
        return text


class PatternsParam(ListParam[list[str]]):
    """Regular expressions; a single one needs no list around it, and is not cut at its commas."""

    def convert(self, value: object) -> Any:
        return super().convert(_listed(value) if isinstance(value, str) else value)

    def accepts(self) -> str:
        return "a regular expression, or a list of them (as text: JSON)"


def _listed(text: str) -> object:
    """A JSON array's items, or *text* as the only one: "[a-z]" is no array."""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, list) else [text]


class LogMatch(TypedDict):
    """A line in which a pattern was found.

    Keys:
        at: seconds after the beginning; time_ns: the host's CLOCK_REALTIME. Both of when it was read.
        source: the file, "journal" or "kernel".
        pattern, line: what was found, and the line's first 500 characters.
    """

    at: float
    time_ns: int
    source: str
    pattern: str
    line: str


class LogWatchResult(TypedDict):
    """What LogWatch found.

    Keys:
        sources: the files that were there at the end, "journal" and "kernel".
        lines: that were read; cut: of these, longer than 64 KiB, of which only the beginning was looked at.
        counts: pattern -> lines in which it was found.
        matches: the first 200 of these lines.
        rotated, truncated: files that were replaced by others of the same name, and that were emptied.
        lost: messages of the kernel that were overwritten before they could be read.
        refused: files that could not be followed, and why.
        sampling: how long it took, and what it used.
    """

    sources: list[str]
    lines: int
    cut: int
    counts: dict[str, int]
    matches: list[LogMatch]
    rotated: int
    truncated: int
    lost: int
    refused: dict[str, str]
    sampling: Sampling


class LogWatch(BaseTestModule):
    """Watch logs: files, the systemd journal, the kernel's messages. Prints "watching NAMES" once it does.

    Nothing that is written after that is missed. A line with a pattern of *forbid* is a failure at once, unless one
    of *ignore* is in it, too. All of *require* must appear, each in *count* lines; if nothing is forbidden, it ends
    as soon as they have, else only when *duration* is over or ``job.kill(signal.SIGINT)`` comes. What is in *note* is
    counted and listed. A file may be rotated, emptied, or appear later; its path may have wildcards, as in a shell. The
    kernel's messages are those of the whole machine, which the hosts of the default laboratory share. The result is
    a `LogWatchResult`.

    Examples:
        >>> watch = m1.run(LogWatch(path="/etc/passwd", require="^root:", from_start=True))
        >>> watch.result["counts"]
        {'^root:': 1}
    """

    path = ListParam(StrParam(pattern="/.*[^/]"), default=[], desc="absolute paths of files, or patterns of them")
    journal = BoolParam(default=False, desc="the systemd journal, too")
    kernel = BoolParam(default=False, desc="the kernel's messages (/dev/kmsg), too")
    forbid = PatternsParam(RegexParam(min_length=1), default=[], desc="what no line may have (regular expressions)")
    require = PatternsParam(RegexParam(min_length=1), default=[], desc="what must appear (regular expressions)")
    note = PatternsParam(RegexParam(min_length=1), default=[], desc="what to count and list (regular expressions)")
    ignore = PatternsParam(RegexParam(min_length=1), default=[], desc="lines with these do not count at all")
    count = IntParam(default=1, minimum=1, desc="in how many lines each of require must appear")
    from_start = BoolParam(default=False, desc="what stands there already counts, too")
    duration = DurationParam(minimum=0.001, desc="how long to watch; until stopped, if not given")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = []
        if not (self.path or self.journal or self.kernel):
            problems.append("there is nothing to watch: give path, journal=True or kernel=True")
        if not (self.forbid or self.require or self.note):
            problems.append("there is nothing to look for: give forbid, require or note")
        if problems:
            raise BadParameters("LogWatch", problems)

    def run(self) -> LogWatchResult:
        with Beat(None, self.duration) as beat:
            watch = _Watch(self, beat)
            self._res_data = watch.result
            try:
                watch.begin()
                for _ in beat:
                    watch.catch_up()
                watch.judge()
            finally:
                watch.conclude()
        return watch.result

    def format_result(self, result: Any) -> str:
        """The counts, then the matches."""
        try:
            text = f"{result['lines']} lines of {', '.join(result['sources']) or 'nothing'}; "
            text += ", ".join(f"{count} × {pattern}" for pattern, count in result["counts"].items())
            lines = [
                f"{each['at']:.3f} s: {each['source']}: {printable(each['line'])}" for each in result["matches"][:20]
            ]
        except (AttributeError, KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)
        return "\n".join([text, *lines])


class _Watch:
    """The logs while they are watched."""

    def __init__(self, module: LogWatch, beat: Beat) -> None:
        self._module, self._beat = module, beat
        self._patterns = [
            (each, re.compile(each)) for each in dict.fromkeys([*module.forbid, *module.require, *module.note])
        ]
        # Most lines have nothing of it all: one search tells.
        self._any = (
            re.compile("|".join(f"(?:{each})" for each, _ in self._patterns)) if _joinable(self._patterns) else None
        )
        self._ignored = [re.compile(each) for each in module.ignore]
        self._files: Any = None
        self._kernel: KernelSource | None = None
        self._journal: JournalSource | None = None
        self._finished = False
        self.result = LogWatchResult(
            sources=[], lines=0, cut=0, counts=dict.fromkeys((each for each, _ in self._patterns), 0), matches=[],
            rotated=0, truncated=0, lost=0, refused={}, sampling=beat.sampling(),
        )  # fmt: skip

    def begin(self) -> None:
        """From here on nothing is missed."""
        from shakeout.modules.logs.files import LogFiles
        from shakeout.modules.logs.sources import JournalSource, KernelSource

        module = self._module
        if module.path:
            self._files = LogFiles(module.path, self.take, from_start=module.from_start)
            for path, why in self._files.refused.items():
                if path in module.path:
                    raise ModuleFailed(f"{path} cannot be watched: {why}")
            self._beat.attend(self._files.fileno(), self._files.attend)
        if module.kernel:
            self._kernel = KernelSource(self.take, from_start=module.from_start)
            self._beat.attend(self._kernel.fileno(), self._kernel.attend)
        if module.journal:
            self._journal = JournalSource(self.take, from_start=module.from_start)
            self._beat.attend(self._journal.fileno(), self._journal.attend)
        print(f"watching {', '.join(self._sources() or module.path)}", flush=True)  # noqa: T201

    def take(self, source: str, lines: list[str]) -> None:
        """Look through *lines*.

        Raises:
            ModuleFailed: there is one that may not be.
        """
        self.result["lines"] += len(lines)
        search = None if self._any is None else self._any.search
        for line in lines:
            if search is None or search(line):
                self._look_at(source, line)

    def catch_up(self) -> None:
        """Read what has been written until now, though nobody has told yet."""
        if self._files is not None:
            self._files.attend()
            self._files.end()
        if self._kernel is not None:
            self._kernel.attend()

    def judge(self) -> None:
        """At the end."""
        counts, most = self.result["counts"], self._module.count
        missing = [
            f"{each} ({counts[each]} of {most})" if most > 1 else each
            for each in self._module.require
            if counts[each] < most
        ]
        if missing:
            when = "before it was stopped" if self._beat.interrupted else f"within {self._beat.seconds():.3f} s"
            raise ModuleFailed(
                f"{', '.join(missing)} did not appear in {', '.join(self._sources()) or 'any log'} {when}"
            )

    def conclude(self) -> None:
        """Put the figures into the result, and let go of the logs."""
        result = self.result
        result["sources"] = self._sources()
        if self._files is not None:
            result["cut"], result["rotated"] = self._files.cut, self._files.rotated
            result["truncated"], result["refused"] = self._files.truncated, self._files.refused
            self._files.close()
        if self._kernel is not None:
            result["lost"] = self._kernel.lost
            self._kernel.close()
        if self._journal is not None:
            self._journal.close()
        result["sampling"] = self._beat.sampling()

    def _sources(self) -> list[str]:
        found = [] if self._files is None else list(self._files.paths)
        return found + ["kernel"] * (self._kernel is not None) + ["journal"] * (self._journal is not None)

    def _look_at(self, source: str, line: str) -> None:
        if any(each.search(line) for each in self._ignored):
            return
        for text, pattern in self._patterns:
            if pattern.search(line):
                self._found(source, text, line)
        counts, module = self.result["counts"], self._module
        if module.require and not module.forbid and all(counts[each] >= module.count for each in module.require):
            self._beat.stop()

    def _found(self, source: str, text: str, line: str) -> None:
        self.result["counts"][text] += 1
        at = self._beat.seconds()
        if len(self.result["matches"]) < MAX_MATCHES:
            match = LogMatch(at=round(at, 6), time_ns=time.time_ns(), source=source, pattern=text, line=line[:SHOWN])
            self.result["matches"].append(match)
        if text in self._module.forbid:
            raise ModuleFailed(
                f"{source} says {printable(line[:SHOWN])} {at:.3f} s after the beginning; {text} is forbidden"
            )


def printable(line: str) -> str:
    """*line* as a terminal may have it."""
    return line if line.isprintable() else repr(line)


def _joinable(patterns: list[tuple[str, re.Pattern[str]]]) -> bool:
    """Whether they mean the same as parts of one pattern: without groups, references and flags of their own."""
    return not any(pattern.groups or "(?" in text for text, pattern in patterns)
