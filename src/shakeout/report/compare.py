"""Two runs side by side: what changed its verdict, what became slower or faster, what is new or gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import hypot

import msgspec

from shakeout.journal.events import Evaluated
from shakeout.report.outcome import PartOutcome, RunOutcome
from shakeout.report.text import one_line, seconds
from shakeout.report.values import percent, value_words, verdict_word

#: A duration has changed if it differs by this factor …
FACTOR = 1.25
#: … and by so many seconds, below which everything is noise.
NOISE_S = 0.05


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One job, part or record, in both runs."""

    #: Where it belongs and what it is; the same in both runs.
    name: str
    #: PASS, FAIL, ERROR, "unfinished"; "" where it is not in the run.
    before: str = ""
    after: str = ""
    #: Seconds; None where there are none.
    before_s: float | None = None
    after_s: float | None = None
    #: Measured values.
    before_value: Evaluated | None = None
    after_value: Evaluated | None = None

    @property
    def changed(self) -> bool:
        """Whether the verdict is another, or the duration or the value by more than noise."""
        return self.before != self.after or self.ratio is not None or self.moved

    @property
    def moved(self) -> bool:
        """Whether a measured value is another: outside of its uncertainty and that of the one before, if known."""
        old, new = self.before_value, self.after_value
        if old is None or new is None or old.unit != new.unit:
            return (old is None) != (new is None) or (old is not None and new is not None)
        return abs(new.value - old.value) > hypot(old.uncertainty or 0.0, new.uncertainty or 0.0)

    @property
    def ratio(self) -> float | None:
        """How many times as long it takes after; None if that is no change."""
        if not self.before_s or not self.after_s or abs(self.after_s - self.before_s) < NOISE_S:
            return None
        ratio = self.after_s / self.before_s
        return ratio if not 1 / FACTOR < ratio < FACTOR else None


class _Found(msgspec.Struct, frozen=True):
    verdict: str
    duration_s: float | None
    value: Evaluated | None = None


def compare(before: RunOutcome, after: RunOutcome) -> tuple[Entry, ...]:
    """Everything that is in one of the runs or both, in the order of *after*, then what is gone.

    Jobs are the same if their part, host and title are; of several with one title, the first is compared
    with the first.
    """
    old, new = _index(before), _index(after)
    nothing = _Found("", None)
    return tuple(
        Entry(
            name=name,
            before=old.get(name, nothing).verdict,
            after=new.get(name, nothing).verdict,
            before_s=old.get(name, nothing).duration_s,
            after_s=new.get(name, nothing).duration_s,
            before_value=old.get(name, nothing).value,
            after_value=new.get(name, nothing).value,
        )
        for name in dict.fromkeys([*new, *old])
    )


def comparison(before: RunOutcome, after: RunOutcome) -> str:
    """The comparison as text, with a line end at its end: a line for each entry that changed."""
    entries = compare(before, after)
    changed = [entry for entry in entries if entry.changed]
    head = f"COMPARED run {before.header.run} with run {after.header.run}:"
    last = f"{len(changed)} changed, {len(entries) - len(changed)} as before"
    return "\n".join([head, *(f"    {_words(entry)}" for entry in changed), last]) + "\n"


def _words(entry: Entry) -> str:
    if not entry.before:
        return f"{entry.name} is new: {entry.after}"
    if not entry.after:
        return f"{entry.name} is gone: {entry.before}"
    words = [] if entry.before == entry.after else [f"{entry.before} -> {entry.after}"]
    if entry.ratio is not None and entry.before_s and entry.after_s:
        words.append(f"{seconds(entry.before_s)} -> {seconds(entry.after_s)} ({entry.ratio:.2f} times)")
    if entry.moved and entry.before_value and entry.after_value:
        words.append(f"{value_words(entry.before_value)} -> {value_words(entry.after_value)}{_change(entry)}")
    return f"{entry.name} {', '.join(words)}"


def _change(entry: Entry) -> str:
    old, new = entry.before_value, entry.after_value
    if old is None or new is None or old.unit != new.unit or not old.value:
        return ""
    share = (new.value - old.value) / abs(old.value)
    return f" ({percent(share)})"


def _index(outcome: RunOutcome) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    seen: Counter[str] = Counter()
    for part in outcome.parts:
        for name, entry in _entries(part):
            seen[name] += 1
            found[name if seen[name] == 1 else f"{name} #{seen[name]}"] = entry
    return found


def _entries(part: PartOutcome) -> Iterator[tuple[str, _Found]]:
    title = part.title + (f", match {part.match_index}" if part.match_index else "")
    yield title, _Found(part.verdict.word if part.verdict else "unfinished", part.duration_s)
    for job in part.jobs:
        verdict = "unfinished" if job.passed is None else "PASS" if job.passed else "FAIL"
        yield f"{title}: Host {job.host} {one_line(job.title)}", _Found(verdict, job.duration_s)
    for record in part.results:
        if record.passed is not None:
            name = f"{title}: {one_line(record.description)}"
            yield name, _Found("PASS" if record.passed else "FAIL", None)
    for value in part.values:
        yield f"{title}: value of {one_line(value.name)}", _Found(verdict_word(value) or "measured", None, value)
