"""Which modules a source text imports, read from its syntax tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator


class Imports(msgspec.Struct, frozen=True):
    """The imports of one source text.

    Attributes:
        names: (level, name) as written: (0, "a.b") for `import a.b`, (1, "c") for `from . import c`.
            Of `from a import b` both "a" and "a.b" are here, since b may be a module.
        test_modules: names that are taken from `shakeout.modules`.
    """

    names: tuple[tuple[int, str], ...] = ()
    test_modules: tuple[str, ...] = ()

    def absolute_names(self, package: str) -> Iterator[str]:
        """The dotted names, for a module in *package* ("" if it is in none)."""
        for level, name in self.names:
            if level == 0:
                yield name
                continue
            parts = package.split(".")
            if package and level <= len(parts):
                base = parts[: len(parts) - level + 1]
                yield ".".join([*base, name] if name else base)


def imports_of(text: bytes, filename: str) -> Imports:
    """The imports of *text*, wherever in it they stand, but not those for type checkers only.

    None for a text that is no Python: that is an error where it is imported.
    """
    import ast

    try:
        tree = ast.parse(text, filename)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Imports()
    names: dict[tuple[int, str], None] = {}
    test_modules: dict[str, None] = {}
    for node in _executed_nodes(tree):
        if isinstance(node, ast.Import):
            names.update(((0, alias.name), None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names[node.level, base] = None
            for alias in node.names:
                names[node.level, f"{base}.{alias.name}" if base else alias.name] = None
            if base == "shakeout.modules" and node.level == 0:
                test_modules.update((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.Attribute) and _is_modules(node.value):
            test_modules[node.attr] = None
    return Imports(tuple(names), tuple(name for name in test_modules if name.isidentifier()))


def _executed_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    import ast

    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        yield node
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            nodes += reversed(node.orelse)
        else:
            nodes += reversed(list(ast.iter_child_nodes(node)))


def _is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def _is_modules(value: ast.expr) -> bool:
    """Whether *value* reads `modules` or `shakeout.modules`."""
    if getattr(value, "attr", "") == "modules":
        return getattr(getattr(value, "value", None), "id", "") == "shakeout"
    return getattr(value, "id", "") == "modules"
