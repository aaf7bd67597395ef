"""What reports have in common: hosts' output as harmless text, data and durations as people read them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping

from shakeout.errors import UsageError
from shakeout.journal.events import JobFinished, JobStarted, Json
from shakeout.units import readable

#: Characters of a line made from a command or a description.
MAX_TITLE = 120
#: Lines that one value takes at most.
MAX_DATA_LINES = 40
#: Characters of a nested value that stands on one line, and of texts that stand side by side on one.
_FLAT, _WORDS = 100, 40
#: What ends the names of numbers -> their unit.
_UNITS = {"_bps": "bit/s", "_bytes": "B"}

#: Control characters, and invisible ones that reorder text, as their escapes: output of a host must not
#: move the cursor of the terminal it is shown on, nor pretend to be another text. XML has no room for them.
_HARMLESS = {code: f"\\x{code:02x}" for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
_HARMLESS |= {
    code: f"\\u{code:04x}"
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
}


def harmless(text: str) -> str:
    """*text* with line ends as ``\\n`` and every other control character visible instead of effective."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_HARMLESS)


def one_line(text: str, limit: int = MAX_TITLE) -> str:
    """*text* on one line: blanks collapsed, and cut after *limit* characters."""
    line = " ".join(harmless(text[: 4 * limit]).split())
    return line if len(line) <= limit and len(text) <= 4 * limit else line[: limit - 1] + "…"


def seconds(duration: float) -> str:
    """A duration: ``0.0021 s``, ``0.214 s``, ``12.3 s``, ``75 s``."""
    if not duration:
        return "0 s"
    digits = 4 if duration < 0.1 else 3 if duration < 1 else 2 if duration < 10 else 1 if duration < 60 else 0
    return f"{duration:.{digits}f} s"


def parameters(params: Mapping[str, Json]) -> str:
    """Parameters as on the command line: ``mtu=8000 dst=10.0.0.1``."""
    return " ".join(f"{one_line(name)}={one_line(scalar(value))}" for name, value in params.items())


def scalar(value: Json) -> str:
    """A value on one line."""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(scalar(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {scalar(item)}" for name, item in value.items())
    return str(value)


def result_lines(value: Json, limit: int = MAX_DATA_LINES) -> list[str]:
    """A job's result as `data_lines`, without what is None or "": modules say so of what does not apply."""
    return data_lines(_present(value), limit)


def with_units(value: Json, units: Mapping[str, str]) -> Json:
    """*value* with the numbers under the keys of *units*, and in mappings there, as text with their unit."""
    if not units:
        return value
    if isinstance(value, list):
        return [with_units(item, units) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _in_unit(item, units[name]) if name in units else with_units(item, units) for name, item in value.items()
    }


def _in_unit(value: Json, unit: str) -> Json:
    if isinstance(value, Mapping):
        return {name: _in_unit(item, unit) for name, item in value.items()}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return readable(value, unit)
    except UsageError:
        return f"{scalar(value)} {one_line(unit, 30)}"


def data_lines(value: Json, limit: int = MAX_DATA_LINES) -> list[str]:
    """A value as lines, nested ones indented by four blanks; at most *limit* lines.

    What is nested and fits is on one line. What names say to be bits per second or bytes is at a scale to read.
    """
    lines: list[str] = []
    for line in _lines(value, ""):
        if len(lines) == limit:
            lines[-1] = "…"
            break
        lines.append(line)
    return lines


def _present(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _present(item) for name, item in value.items() if item not in (None, "")} or value
    if isinstance(value, list):
        return [_present(item) for item in value]
    return value


def _lines(value: Json, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _labelled(f"{indent}{one_line(str(name))}:", _scaled(str(name), item), indent)
    elif isinstance(value, list) and (_is_nested(value) or _is_prose(value)):
        for item in value:
            yield from _labelled(f"{indent}-", item, indent) if _is_nested(value) else _lines(item, indent)
    else:
        text = harmless(scalar(value)).rstrip("\n")
        for line in text.split("\n"):
            yield indent + one_line(line, 400)


def _labelled(label: str, item: Json, indent: str) -> Iterator[str]:
    """*item* behind its label if it is one line, else below it."""
    items = item if isinstance(item, list) else [item]
    short = _flat(item) if isinstance(item, Mapping) and item else ""
    if short:
        yield f"{label} {short}"
    elif (
        (item and _is_nested(items)) or _is_prose(items) or any("\n" in i.rstrip() for i in items if isinstance(i, str))
    ):
        yield label
        yield from _lines(item, indent + "    ")
    else:
        yield f"{label} {one_line(scalar(item), 400)}"


def _is_nested(items: list[Json]) -> bool:
    return any(isinstance(item, (Mapping, list)) for item in items)


def _is_prose(items: list[Json]) -> bool:
    """Several texts that nobody could tell apart in one line."""
    return len(items) > 1 and any(isinstance(item, str) and len(item) > _WORDS for item in items)


def _flat(value: Mapping[str, Json]) -> str:
    """A mapping without further ones in it, on one line; "" if it does not fit there."""
    if len(value) > _FLAT // 4 or any(_is_deep(item) for item in value.values()):
        return ""
    words = []
    for name, item in value.items():
        text = scalar(_scaled(str(name), item))
        words.append(f"{name}: [{text}]" if isinstance(item, list) and len(item) > 1 else f"{name}: {text}".rstrip())
    text = ", ".join(words)
    return harmless(text) if len(text) <= _FLAT and "\n" not in text else ""


def _is_deep(item: Json) -> bool:
    return isinstance(item, Mapping) or (isinstance(item, list) and (len(item) > _FLAT or _is_nested(item)))


def _scaled(name: str, value: Json) -> Json:
    """A number whose name says that it is bits per second or bytes, in Gbit/s or MB."""
    unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")
    if not unit or isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return readable(value, unit)


def ending(started: JobStarted, finished: JobFinished) -> str:
    """How a job ended, in words: "exit status 1", "signal SIGKILL: timed out after 60 s, killed"."""
    if finished.signal:
        how = f"signal {signal_name(finished.signal)}"
    elif finished.exit_status is not None:
        how = f"exit status {finished.exit_status}"
    else:
        how = ""
    # "ended by SIGKILL, sent by the recipe" has said it already
    said = bool(finished.signal) and signal_name(finished.signal) in finished.reason
    words = [how] if how and not said else []
    if finished.reason:
        words.append(one_line(finished.reason, 400))
    if started.expected_fail:
        words.append("failed as expected" if finished.passed else "was expected to fail, but did not")
    return ": ".join(words)


def signal_name(number: int) -> str:
    """SIGKILL for 9; the number if it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def raised(error: str) -> str:
    """The line of an error that says what was raised: its message, and what a traceback shows, may have more lines."""
    lines = error.strip().split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if starts:
        lines = [line for line in lines[starts[-1] + 1 :] if not line.startswith(" ")] or lines[-1:]
    elif len(lines) > 1 and lines[0].startswith("on host "):
        del lines[0]
    return one_line(lines[0], 400)


def output(head: str, tail: str, size: int) -> str:
    """What is known of an output: its beginning, and its end if something is missing between them."""
    if not tail:
        return harmless(head)
    missing = max(0, size - len(head.encode()) - len(tail.encode()))
    return f"{harmless(head)}\n… ({missing} bytes left out) …\n{harmless(tail)}"


def excerpt(text: str, lines: int, characters: int) -> list[str]:
    """The last *lines* of *text*, of at most so many *characters* in all; says what is missing."""
    kept = text.rstrip("\n")[-characters:].split("\n")[-lines:]
    cut = len(text.rstrip("\n")) - len("\n".join(kept))
    return [f"… ({cut} characters before this)", *kept] if cut > 0 else kept
