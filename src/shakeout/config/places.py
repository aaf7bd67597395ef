"""Where in a text a value stands, and what is wrong there."""

from __future__ import annotations

from typing import TypeAlias

#: Keys and indices from the root to a value.
Path: TypeAlias = tuple[str | int, ...]
#: The line (from 1) of each value.
Places: TypeAlias = dict[Path, int]


class Fault(Exception):
    """What is wrong with a text, and where; private to this layer: becomes one problem of a BadDocument."""

    def __init__(self, line: int, text: str, path: Path = ()) -> None:
        super().__init__(text)
        self.line, self.text, self.path = line, text, path


def shown(path: Path) -> str:
    """*path* as people write it: `interfaces[0].params.driver`; "" for the root."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and step.replace("_", "a").replace("-", "a").isalnum():
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


def sound_text(text: str, line: int) -> str:
    """*text* with halves of surrogate pairs (from \\u escapes) put together.

    Raises:
        Fault: half a pair stands alone, which is no character.
    """
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        pass
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise Fault(line, "a \\u escape that is half a character") from None
