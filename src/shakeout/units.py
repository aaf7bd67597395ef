"""Units of measured values: "Gbit/s" and "MB/s" are the same thing at another scale, "ms" and "Gbit/s" are not.

A unit is words joined by "/" ("bit/s", "packets/s", "1/min"). A word is a known one, with a decimal or binary prefix
where it takes one, or any other word ("frames", "dB"), which then stands for itself; one that looks like a known one
that is misspelt ("ss", "Gbti", "sec") is refused. Prefixes: n u µ m k M G T P (SI) and Ki Mi Gi Ti Pi
(IEC 80000-13). "K" alone is refused, as people mean both.
"""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Final

import msgspec

from shakeout.errors import UsageError

_DECIMAL: Final = {
    "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
}  # fmt: skip
_BINARY: Final = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_PREFIXES: Final = _DECIMAL | _BINARY

#: Words that take prefixes -> what they are: factor and dimension.
_SCALABLE: Final[dict[str, tuple[float, str]]] = {
    "bit": (1.0, "bit"), "bits": (1.0, "bit"), "b": (1.0, "bit"), "B": (8.0, "bit"), "byte": (8.0, "bit"),
    "bytes": (8.0, "bit"), "s": (1.0, "s"), "Hz": (1.0, "1/s"), "W": (1.0, "W"), "J": (1.0, "J"), "V": (1.0, "V"),
    "A": (1.0, "A"), "packet": (1.0, "packet"), "packets": (1.0, "packet"), "op": (1.0, "op"), "ops": (1.0, "op"),
    "request": (1.0, "request"), "requests": (1.0, "request"), "req": (1.0, "request"),
    "bps": (1.0, "bit/s"), "Bps": (8.0, "bit/s"), "pps": (1.0, "packet/s"),
}  # fmt: skip
#: Words that do not.
_FIXED: Final[dict[str, tuple[float, str]]] = {
    "1": (1.0, ""), "": (1.0, ""), "%": (1e-2, ""), "ppm": (1e-6, ""), "min": (60.0, "s"), "h": (3600.0, "s"),
    "d": (86400.0, "s"),
}  # fmt: skip

#: What people say -> the unit.
_SPOKEN: Final = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "usec": "µs", "minute": "min",
    "minutes": "min", "mins": "min", "hour": "h", "hours": "h", "hr": "h", "day": "d", "days": "d", "percent": "%",
}  # fmt: skip
#: Words of fewer letters are not taken for misspelt ones because of a letter.
_LONG_ENOUGH: Final = 4


class Unit(msgspec.Struct, frozen=True):
    """What a unit's text stands for.

    Attributes:
        text: as it was written.
        factor: of a value in this unit, to one in the unit of its dimension.
        over, under: the dimension, as sorted words above and below the line.
        plain: the unit without its prefixes: "bit/s" for "Gbit/s".
    """

    text: str
    factor: float
    over: tuple[str, ...]
    under: tuple[str, ...]
    plain: str


@lru_cache(maxsize=256)
def unit(text: str) -> Unit:
    """The unit that *text* is.

    Raises:
        UsageError: it is none.
    """
    words = text.strip().split("/")
    if not text.isprintable() or len(text) > 64 or (len(words) > 1 and not all(words)):
        raise UsageError(f"{text!r} is no unit; write it as Gbit/s, MiB/s, ms, packets/s, % or 1 (for a plain number)")
    factor, plain = 1.0, []
    over: list[str] = []
    under: list[str] = []
    for place, word in enumerate(words):
        prefix, scale, dimension = _word(word.strip(), text)
        factor = factor * scale if place == 0 else factor / scale
        above, _, below = dimension.partition("/")
        mine, others = (over, under) if place == 0 else (under, over)
        mine += [above] if above not in ("", "1") else []
        others += [below] if below else []
        plain.append(word.strip()[len(prefix) :])
    for both in [name for name in over if name in under]:
        over.remove(both)
        under.remove(both)
    return Unit(text.strip() or "1", factor, tuple(sorted(over)), tuple(sorted(under)), "/".join(plain) or "1")


def convert(value: float, source: str, target: str) -> float:
    """*value*, which is in the unit *source*, in the unit *target*.

    Raises:
        UsageError: they measure different things.
    """
    given, wanted = unit(source), unit(target)
    if (given.over, given.under) != (wanted.over, wanted.under):
        raise UsageError(
            f"a value in {given.text} cannot be told in {wanted.text}: they measure different things; "
            "give the value, or the limit, in a unit of the other's kind"
        )
    return value if given.factor == wanted.factor else value * (given.factor / wanted.factor)


def plain(text: str) -> str:
    """The unit *text* without its prefixes: "bit/s" for "Gbit/s", "s" for "ms"."""
    return unit(text).plain


def scaled(largest: float, text: str) -> tuple[float, str]:
    """The factor and unit in which values up to *largest* in the unit *text* are easy to read.

    Only units that take a prefix and have none are given one.
    """
    known = unit(text)
    word = known.plain.partition("/")[0]
    if known.plain != known.text or word not in _SCALABLE or not isfinite(largest):
        return 1.0, "" if known.text == "1" else known.text
    size = abs(largest)
    for prefix in ("P", "T", "G", "M", "k"):
        if size >= _DECIMAL[prefix]:
            return 1 / _DECIMAL[prefix], prefix + known.text
    if word == "s" and known.text == "s" and 0 < size < 1:
        prefix = "m" if size >= 1e-3 else "µ" if size >= 1e-6 else "n"
        return 1 / _DECIMAL[prefix], prefix + known.text
    return 1.0, known.text


def number(value: float) -> str:
    """A measured number with four significant digits, and never an exponent where people would write none."""
    size = abs(value)
    if 1e4 <= size < 1e15:
        return f"{value:.0f}"
    return f"{value:.4g}"


def readable(value: float, text: str) -> str:
    """A value with its unit, at a scale that is easy to read: ``9.41 Gbit/s``, ``1.2 ms``, ``12``."""
    factor, shown = scaled(value, text)
    return f"{number(value * factor)} {shown}".rstrip()


def with_uncertainty(value: float, uncertainty: float | None, unit: str) -> str:
    """A value as precise as it is known: "9.41 ± 0.03 Gbit/s"; of unknown uncertainty, with four digits."""
    shown = "" if unit == "1" else f" {unit}"
    if not uncertainty:
        known = "" if uncertainty is None else " ± 0"
        return f"{number(value)}{known}{shown}"
    digits = _digits(uncertainty)
    return f"{value:.{digits}f} ± {uncertainty:.{digits}f}{shown}" if digits <= 9 else (
        f"{number(value)} ± {number(uncertainty)}{shown}"
    )  # fmt: skip


def _word(word: str, whole: str) -> tuple[str, float, str]:
    """Prefix, factor and dimension of one word."""
    known = _FIXED.get(word) or _SCALABLE.get(word)
    if known:
        return "", *known
    for size in (2, 1):
        prefix, rest = word[:size], word[size:]
        if prefix in _PREFIXES and rest in _SCALABLE:
            factor, dimension = _SCALABLE[rest]
            return prefix, _PREFIXES[prefix] * factor, dimension
    if word[:1] == "K" and word[1:] in _SCALABLE:
        raise UsageError(f"{whole!r} may mean 1000 or 1024: write k{word[1:]} or Ki{word[1:]}")
    if near := _misspelt(word):
        raise UsageError(
            f"{whole!r} is no unit: nobody knows {word!r} (did you mean {near!r}?); write it as Gbit/s, MiB/s, ms, "
            "packets/s, %, or as a word of your own that looks like none of the known ones"
        )
    return "", 1.0, word


def _misspelt(word: str) -> str:
    """The known word that somebody meant by *word*; "" if it may well be one of their own."""
    known = [*_FIXED, *_SCALABLE, *(prefix + scaled for prefix in _PREFIXES for scaled in _SCALABLE)]
    if word.lower() in _SPOKEN:
        return _SPOKEN[word.lower()]
    same = [name for name in known if name and (name.lower() == word.lower() or name == _undoubled(word))]
    if same or len(word) < _LONG_ENOUGH:
        return min(same, key=lambda name: (name.lower() != word.lower(), name), default="")
    return min((name for name in known if name[:1] == word[:1] and _one_slip(word, name)), key=len, default="")


def _undoubled(word: str) -> str:
    """*word* without letters that stand twice in a row."""
    return "".join(letter for at, letter in enumerate(word) if word[at - 1 : at] != letter)


def _one_slip(word: str, name: str) -> bool:
    """Whether one letter too many or too few, or two in the wrong order, make *word* of *name* (of 3 or more)."""
    short, long = sorted((word, name), key=len)
    if len(name) < _LONG_ENOUGH - 1 or len(long) - len(short) > 1:
        return False
    if len(long) > len(short):
        return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
    return any(word[:at] + word[at + 1] + word[at] + word[at + 2 :] == name for at in range(len(word) - 1))


def _digits(uncertainty: float) -> int:
    """Decimals that show two significant digits of *uncertainty*; none for great ones."""
    digits = 1
    while uncertainty < 0.995 * 10 ** (1 - digits) and digits < 12:
        digits += 1
    return digits if uncertainty < 9.95 else 0 if uncertainty >= 99.5 else 1
