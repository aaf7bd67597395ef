"""The documentation is true: its examples run, its links lead somewhere.

A comment right before a fenced block of README.md or docs/**/*.md says how the block runs::

    <!-- run: file NAME -->             the block is written to NAME, for blocks below to use
    <!-- run: recipe NAME [exit=N] -->  the same, then `shakeout run NAME` must end with N, 0 by default
    <!-- run: python -->                the block is a script of its own
    <!-- run: console [exit=N] -->      each line after "$ " is run by bash, in order, and the lines below
                                        it are its output; "…" stands for anything, and alone on a line
                                        for any number of lines. exit=N is for the last command; the
                                        others must end with 0.

The blocks of one page run in order in one folder. Blocks without a comment are not run, but Python must
compile.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

BLOCK = re.compile(
    r"(?:^<!-- run: (?P<how>.*?) -->\n)?^(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)

LINK = re.compile(r"\]\((?!\w+:|#)(?P<target>[^)#\s]+)")


class Untrue(Exception):
    """A page shows something that is not so."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int
    language: str
    text: str
    #: Words of the comment before it; empty without one.
    how: tuple[str, ...]

    @property
    def status(self) -> int:
        """The exit status that is expected."""
        return next((int(word.removeprefix("exit=")) for word in self.how if word.startswith("exit=")), 0)


def blocks_of(page: Path) -> Iterator[Block]:
    """All fenced blocks of *page*, in order."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, found["language"], found["text"], tuple(shlex.split(found["how"] or "")))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would, with a state directory of its own."""
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ.get('PATH', os.defpath)}",
        "XDG_STATE_HOME": str(folder / ".state"),
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """Commands of a console block, each with the lines of output that are shown for it."""
    commands: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:].replace(".venv/bin/shakeout", "shakeout"), []))
        else:
            commands[-1][1].append(line)
    return commands


def looks_like(output: str, shown: list[str]) -> bool:
    """True if *output* is what the page shows."""
    parts = [
        "(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + "\n" for line in shown
    ]
    return re.fullmatch("".join(parts), output) is not None


def try_block(block: Block, folder: Path) -> None:
    """Run one block.

    Raises:
        Untrue: it did something else than the page says.
    """
    kind, *names = [word for word in block.how if "=" not in word]
    if kind in {"file", "recipe"}:
        path = folder / names[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        todo = [] if kind == "file" else [(f"shakeout run {shlex.quote(names[0])}", ["…"])]
    elif kind == "python":
        (folder / "script.py").write_text(block.text)
        todo = [("python script.py", ["…"])]
    elif kind == "console":
        todo = commands_of(block.text)
    else:
        raise Untrue(f"'run: {kind}' is not known; see {name_of(Path(__file__))}")
    for place, (command, shown) in enumerate(todo, 1):
        done = run(["bash", "-c", command], folder)
        expected = block.status if place == len(todo) else 0
        if done.returncode != expected:
            raise Untrue(f"'{command}' ended with {done.returncode}, not {expected}, printing:\n{done.stdout}")
        if not looks_like(done.stdout, shown):
            raise Untrue(f"'{command}' printed something else than is shown:\n{done.stdout}")


@pytest.mark.needs("namespaces")
@pytest.mark.parametrize("page", [page for page in PAGES if any(block.how for block in blocks_of(page))], ids=name_of)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    for block in blocks_of(page):
        if block.how:
            try:
                try_block(block, tmp_path)
            except Untrue as error:
                pytest.fail(f"{name_of(page)}:{block.line}: {error}", pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_compiles(page: Path) -> None:
    for block in blocks_of(page):
        if block.language in {"python", "py"}:
            ast.parse(block.text, filename=f"{name_of(page)}:{block.line}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [found["target"] for found in LINK.finditer(page.read_text())]
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "mkdocs.yml"])
def test_every_guide_is_listed(page: str) -> None:
    listed = set(re.findall(r"how-to/[\w-]+\.md", (ROOT / page).read_text()))
    assert listed == {f"how-to/{guide.name}" for guide in (ROOT / "docs/how-to").iterdir()}


def test_readme_begins_with_the_two_commands() -> None:
    first = next(blocks_of(ROOT / "README.md"))
    assert first.text.splitlines() == ["$ make demo", "$ make test"]


def test_every_run_comment_is_followed_by_a_block() -> None:
    for page in PAGES:
        comments = page.read_text().count("<!-- run:")
        assert comments == sum(1 for block in blocks_of(page) if block.how), name_of(page)
