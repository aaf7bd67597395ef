"""Checks of the tree itself that no other tool makes: `make lint` runs them on the files that git knows.

Errors: paths that exist on one machine only, a Python file that does not begin with a docstring, a changelog
fragment with a name that towncrier would not read, a name that says nothing about a module's role, a missing
line end, trailing blanks. Warnings: a Python file of more than 400 lines, a function of more than 40.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40

#: Folders of one developer's machine. A line that must name such a path says "tree: allow" in a comment.
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:root|work|home/(?!(?:user|you|me)\b)\w+|Users/\w+)/")
ALLOW = "tree: allow"

FRAGMENT = re.compile(r"(?:\d+|\+[\w-]+)\.(?:added|changed|fixed|removed)(?:\.\d+)?\.md")
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
BINARY = {".png", ".ico", ".gz", ".bin", ".woff2", ".o"}


def known_files() -> list[Path]:
    """Files that git tracks, or would if they were added; without those that are deleted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    names = sorted({name for name in listing.decode().split("\0") if name})
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def text_errors(path: Path, text: str) -> Iterator[str]:
    """What is wrong with the text of any file, as "line: what"."""
    exempt = path == Path(__file__).resolve() or path.suffix == ".svg"
    for number, line in enumerate(text.splitlines(), 1):
        found = None if exempt or ALLOW in line else MACHINE_PATH.search(line)
        if found:
            yield f"{number}: a path of one machine: {found.group().rstrip('/')}"
        if line != line.rstrip() and path.suffix not in {".svg", ".patch"} and path.name != "LICENSE":
            yield f"{number}: blanks at the end of the line"
    if text and not text.endswith("\n"):
        yield f"{len(text.splitlines())}: no end of line at the end of the file"


def python_errors(path: Path, tree: ast.Module) -> Iterator[str]:
    """What is wrong with a Python file beyond ruff's rules."""
    if tree.body and ast.get_docstring(tree) is None:
        yield "1: a module begins with a docstring that says its role"
    if path.stem in EMPTY_NAMES:
        yield f"1: '{path.stem}' says nothing about the role of the module"


def python_warnings(text: str, tree: ast.Module) -> Iterator[str]:
    """What is too long in a Python file."""
    lines = len(text.splitlines())
    if lines > MAX_FILE_LINES:
        yield f"1: {lines} lines; does it still have one role?"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            docstring = ast.get_docstring(node, clean=False) or ""
            length -= len(docstring.splitlines())
            if length > MAX_FUNCTION_LINES:
                yield f"{node.lineno}: {node.name}() has {length} lines"


def main() -> int:
    """Print every finding; 1 if one of them is an error."""
    errors, warnings = [], []
    for path in known_files():
        name = path.relative_to(ROOT)
        if name.parts[0] == "changelog.d" and name.name != "README.md" and not FRAGMENT.fullmatch(name.name):
            errors.append(f"{name}: not a fragment's name; see changelog.d/README.md")
        if path.suffix in BINARY:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            errors.append(f"{name}: neither UTF-8 nor a kind of file known as binary here")
            continue
        errors += [f"{name}:{what}" for what in text_errors(path, text)]
        if path.suffix == ".py":
            try:
                tree = ast.parse(text)
            except SyntaxError as error:
                errors.append(f"{name}:{error.lineno}: {error.msg}")
                continue
            errors += [f"{name}:{what}" for what in python_errors(path, tree)]
            warnings += [f"{name}:{what}" for what in python_warnings(text, tree)]
    for line in warnings:
        print("warning:", line)
    for line in errors:
        print("error:", line)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
