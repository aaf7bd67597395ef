"""MkDocs hook: one reference page for each public package, made from its docstrings.

The pages are not files, so that none can be forgotten or go stale; which packages there are is said here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

SOURCE = Path(__file__).resolve().parent.parent / "src"

#: Title and name of what users import from, in the order in which one meets it.
PACKAGES = (
    ("Recipes", "shakeout.recipe.base"),
    ("Requirements", "shakeout.matching.requirements"),
    ("Values in requirements", "shakeout.matching.values"),
    ("Parameters", "shakeout.params"),
    ("Hosts", "shakeout.hosts.host"),
    ("All hosts of a match", "shakeout.hosts.matched"),
    ("Jobs", "shakeout.hosts.job"),
    ("Devices", "shakeout.devices"),
    ("Test modules", "shakeout.modules"),
    ("Series of samples", "shakeout.journal.series"),
    ("Measured values", "shakeout.evaluation.measured"),
    ("Limits", "shakeout.evaluation.threshold"),
    ("Baselines", "shakeout.evaluation.baseline"),
    ("Controller", "shakeout.controller.controller"),
    ("A run", "shakeout.controller.run"),
    ("Mappers", "shakeout.matching.mapper"),
    ("Pool managers", "shakeout.labs.provider"),
    ("Errors", "shakeout.errors"),
)


def pages() -> list[tuple[str, str, str]]:
    """Title, path in the documentation and text of each page."""
    result = []
    for title, name in PACKAGES:
        place = SOURCE.joinpath(*name.split("."))
        if place.with_suffix(".py").is_file() or (place / "__init__.py").is_file():
            path = f"reference/library/{name.removeprefix('shakeout.').replace('.', '-')}.md"
            result.append((title, path, f"# {title}\n\nFrom `{name}`.\n\n::: {name}\n"))
    return result


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages to the table of contents."""
    for entry in config.nav or []:
        if isinstance(entry, dict) and "Reference" in entry:
            entry["Reference"].append({"Library": [{title: path} for title, path, _ in pages()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages themselves."""
    from mkdocs.structure.files import File

    for _, path, text in pages():
        files.append(File.generated(config, path, content=text))
    return files
