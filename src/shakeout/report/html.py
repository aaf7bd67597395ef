"""A run as one self-contained HTML page: no script, nothing loaded from elsewhere, readable without CSS."""

from __future__ import annotations

from shakeout.report.outcome import RunOutcome
from shakeout.report.page import page


def html(outcome: RunOutcome) -> str:
    """The page of a run. Its size is bounded, whatever ran and printed."""
    import jinja2  # only where a page is wanted

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shakeout.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("run.html").render(page=page(outcome))
