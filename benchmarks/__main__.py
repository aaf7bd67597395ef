"""`python -m benchmarks`: measures every row of every module here and prints one table.

Exit status 0 when every row was measured or said why not, also when some fall short of their target: the
figures of a busy machine are no verdict. 1 when a row broke.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import pkgutil
import platform
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import benchmarks
from benchmarks.row import Figures, NotMeasured, Row

COLUMNS = "{what:<64} {ours:>14} {reference:>14} {ratio:>8} {target:>12}  {verdict}"
OWN = {"__main__", "row"}


def all_rows() -> Iterator[tuple[str, Row]]:
    """Every row with the name of its module, in alphabetical order of modules."""
    for module in sorted(pkgutil.iter_modules(benchmarks.__path__), key=lambda module: module.name):
        if module.name in OWN:
            continue
        try:
            code = importlib.import_module(f"benchmarks.{module.name}")
            rows: Iterable[Row] = code.rows() if hasattr(code, "rows") else ()
            yield from ((module.name, row) for row in rows)
        except Exception as error:  # noqa: BLE001 - a module that breaks is a row that says so
            yield module.name, Row(f"{module.name}: its rows", breaking(error))


def breaking(error: Exception) -> Callable[[], Figures]:
    """A measurement that raises *error*."""

    def measure() -> Figures:
        raise error

    return measure


def shown(value: float | None, unit: str) -> str:
    """A figure with three digits and its unit."""
    if value is None:
        return "–"
    return f"{value:,.0f} {unit}" if abs(value) >= 1000 else f"{value:.3g} {unit}"


def target_of(row: Row) -> str:
    """The target as in the table: a ratio (×) or a figure."""
    sign = "≤" if row.better == "lower" else "≥"
    if row.target is not None:
        return f"{sign} {shown(row.target, row.unit)}"
    return f"{sign} {row.target_ratio:g} ×" if row.target_ratio is not None else "–"


def measured(row: Row) -> dict[str, object]:
    """The row's figures and verdict as plain data."""
    result: dict[str, object] = {"what": row.what, "unit": row.unit, "target": target_of(row)}
    try:
        figures = row.measure()
    except NotMeasured as reason:
        return result | {"verdict": "not measured", "note": str(reason)}
    except Exception as error:  # noqa: BLE001 - one broken row must not hide the others
        traceback.print_exc()
        return result | {"verdict": "BROKEN", "note": f"{type(error).__name__}: {error}"}
    ratio = figures.ours / figures.reference if figures.reference else None
    verdict = {True: "PASS", False: "FALLS SHORT", None: "–"}[row.reaches(figures)]
    note = "; ".join(filter(None, (figures.note, row.note)))
    return result | {
        "ours": figures.ours,
        "reference": figures.reference,
        "ratio": ratio,
        "verdict": verdict,
        "note": note,
    }


def line_of(row: Row, result: dict[str, object]) -> str:
    """One line of the table."""
    ours, reference, ratio = (result.get(name) for name in ("ours", "reference", "ratio"))
    return COLUMNS.format(
        what=row.what,
        ours=shown(ours if isinstance(ours, float | int) else None, row.unit),
        reference=shown(reference if isinstance(reference, float | int) else None, row.unit),
        ratio=f"{ratio:.2f} ×" if isinstance(ratio, float) else "–",
        target=target_of(row),
        verdict=f"{result['verdict']}" + (f" ({result['note']})" if result.get("note") else ""),
    )


def machine() -> dict[str, object]:
    """On what this was measured."""
    return {
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }


def main() -> int:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description="The benchmark table.")
    parser.add_argument("--only", metavar="PATTERN", help="rows whose module or text contains this")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there, too")
    parser.add_argument("--list", action="store_true", help="name the rows and measure nothing")
    options = parser.parse_args()
    wanted = (options.only or "").lower()
    chosen = [(name, row) for name, row in all_rows() if wanted in f"{name} {row.what}".lower()]
    if not chosen:
        parser.error(f"no row matches {options.only!r}; --list names them all")
    if options.list:
        for name, row in chosen:
            print(f"{name}: {row.what} ({target_of(row)})")
        return 0
    compileall.compile_dir(str(Path(__file__).resolve().parent.parent / "src"), quiet=2)
    facts = machine()
    print("  ".join(f"{name} {value}" for name, value in facts.items()))
    heads = {"ours": "ours", "reference": "reference", "ratio": "ratio", "target": "target"}
    print(COLUMNS.format(what="what", verdict="verdict", **heads), flush=True)
    results = []
    for name, row in chosen:
        result = measured(row)
        results.append({"module": name, **result})
        print(line_of(row, result), flush=True)
    verdicts = [str(result["verdict"]) for result in results]
    kinds = ("PASS", "FALLS SHORT", "not measured", "BROKEN")
    print(", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds if kind in verdicts))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": facts, "rows": results}, indent=1) + "\n")
    return 1 if "BROKEN" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
