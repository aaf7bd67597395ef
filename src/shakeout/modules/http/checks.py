"""What an HTTP request must look like, and what its answer has to be: parsed and compared, nothing sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Target(NamedTuple):
    """Where a request goes.

    Attributes:
        host: name or address, without brackets.
        authority: as the Host header has it.
        path: with the query, as it is sent.
    """

    tls: bool
    host: str
    port: int
    authority: str
    path: str

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


def parse_url(url: str, base: str = "") -> Target:
    """The target of *url*, which may be relative to *base*.

    Raises:
        ValueError: it is no URL of http or https.
    """
    from urllib.parse import quote, urljoin, urlsplit

    parts = urlsplit(urljoin(base, url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected a URL as http://host:port/path or https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected a URL without user and password; give authorization instead")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)  # raises ValueError if it is none
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    host = parts.hostname
    if not host.isascii() or not host.isprintable() or " " in host:
        raise ValueError("expected a host name of ASCII characters; write an international one in its xn-- form")
    authority = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        authority += f":{port}"
    return Target(tls, host, port, authority, path)


def parse_statuses(value: object) -> tuple[tuple[int, int], ...]:
    """The ranges that *value* stands for: 200, "2xx", "200-299", "200,404", or a list of such.

    Raises:
        ValueError: it is none.
    """
    ranges: list[tuple[int, int]] = []
    for item in value if isinstance(value, list | tuple) else [value]:
        for text in str(item).split(",") if isinstance(item, str) else [str(item)]:
            ranges.append(_range(text.strip().lower()))
    if not ranges:
        raise ValueError("expected at least one status")
    return tuple(ranges)


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if len(text) == 3 and text.endswith("xx") and text[0].isdigit():
        first, last = f"{text[0]}00", f"{text[0]}99"
    if first.isascii() and first.isdigit() and (not last or (last.isascii() and last.isdigit())):
        low, high = int(first), int(last or first)
        if 100 <= low <= high <= 999:
            return low, high
    raise ValueError("expected a status from 100 to 999, a range as '200-299' or '2xx', or several: '200,404'")


def told(ranges: Iterable[tuple[int, int]]) -> str:
    """ "200-299 or 404"."""
    return " or ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def find_json(document: Any, path: str) -> Any:
    """What is at *path* in *document*: keys, and positions in lists, divided by dots; "" is all of it.

    Raises:
        LookupError: there is nothing; the text says how far it went.
    """
    found = document
    walked: list[str] = []
    for part in path.split(".") if path else ():
        where = ".".join(walked) or "the document"
        if isinstance(found, dict):
            if part not in found:
                from shakeout.errors import did_you_mean

                raise LookupError(f"{where} has no {part!r}{did_you_mean(part, map(str, found))}")
            found = found[part]
        elif isinstance(found, list):
            number = int(part) if part.removeprefix("-").isdecimal() and part.isascii() else None
            if number is None or not -len(found) <= number < len(found):
                raise LookupError(f"{where} is a list of {len(found)}, without {part!r}")
            found = found[number]
        else:
            raise LookupError(f"{where} is {found!r:.40}, in which there is no {part!r}")
        walked.append(part)
    return found


def same(found: Any, wanted: Any) -> bool:
    """Whether JSON's *found* is *wanted*; text may stand for a number, true, false or null: from text comes text."""
    if type(found) is type(wanted) or {type(found), type(wanted)} == {int, float}:
        return bool(found == wanted)
    if isinstance(wanted, str) and not isinstance(found, dict | list):
        import json

        return json.dumps(found) == wanted
    return False
