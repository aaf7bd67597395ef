"""Which commands there are, and the page that `shakeout --help` shows; loads nothing, so that it is there at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

#: Command -> (module of shakeout.cli, one line of help). Listing them loads none.
COMMANDS = {
    "run": ("run", "Run recipes: find or make hosts, test, put every host back."),
    "shell": ("shell", "Open a shell on a host of a kept or paused run."),
    "runs": ("runs", "List, show and remove runs."),
    "report": ("report", "Write the report of a run as HTML, JUnit, JSON or KTAP."),
    "compare": ("report", "Compare two runs."),
    "baselines": ("baselines", "List, show and remove what measured values are compared with."),
    "plugins": ("plugins", "List test modules, and show what one does and takes."),
    "schema": ("schema", "Print the JSON Schema of a file format."),
    "pool": ("pool", "List, check, add and reserve the hosts of pools."),
    "agent": ("agent", "Be the agent of this machine."),
    "certs": ("certs", "Certificates for hosts that are reached over TLS."),
    "doctor": ("doctor", "Check that laboratories work here; remove leftovers."),
    "completion": ("completion", "Print the script that makes TAB complete shakeout's commands."),
}

#: The options of shakeout itself.
OPTIONS = {
    "-d, --debug": "Debug logging; tracebacks of errors.",
    "-V, --version": "Show the version and exit.",
    "-h, --help": "Show this message and exit.",
}

USAGE = "Usage: shakeout [OPTIONS] COMMAND [ARGS]..."
ABOUT = (
    "A laboratory for systems that live on several machines.",
    "Say in one Python class which hosts a test needs and what it does; shakeout finds or makes the hosts, runs the "
    "test, and puts every host back as it was.",
)
BEGIN = (
    "Begin with: shakeout run my.py (a tutorial is in docs/tutorial.md). Each command explains itself: "
    "shakeout run --help."
)

#: Help is never wider than this, however wide the terminal is, and never narrower than that.
WIDEST, NARROWEST = 100, 50


def front_page(width: int) -> str:
    """What ``shakeout --help`` prints, for a terminal of *width* columns, with a line end at its end."""
    width = max(NARROWEST, min(width, WIDEST)) - 2
    paragraphs = [USAGE, *("\n".join(_filled(text, width, "  ")) for text in ABOUT)]
    paragraphs.append("Options:\n" + "\n".join(_defined(OPTIONS.items(), width)))
    paragraphs.append(
        "Commands:\n" + "\n".join(_defined([(name, text) for name, (_, text) in COMMANDS.items()], width))
    )
    paragraphs.append("\n".join(_filled(BEGIN, width, "  ")))
    return "\n\n".join(paragraphs) + "\n"


def terminal_width() -> int:
    """Columns of the terminal that is written to; 80 where there is none."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def _defined(entries: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Names, and beside each what it is."""
    rows = list(entries)
    column = 4 + max(len(name) for name, _ in rows)
    for name, text in rows:
        first, *more = _filled(text, width, " " * column)
        yield f"  {name}".ljust(column) + first.lstrip()
        yield from more


def _filled(text: str, width: int, indent: str) -> list[str]:
    """*text* as lines of at most *width* characters, each indented."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(indent + word)
    return lines
