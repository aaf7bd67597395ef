"""The result of a job that has series, as a summary tells it: without what these tell better, zeros on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shakeout.journal.events import Json
from shakeout.report.series import SeriesOutcome

#: The keys of a value over time in results of test modules (see modules.extent.Range).
_RANGE: Final = frozenset({"min", "avg", "max"})
#: More zeros than so many in one mapping are told on one line.
_FEW_ZEROS: Final = 3
#: What stands before them.
_ZEROS: Final = "all 0"


def shortened(result: Json, series: tuple[SeriesOutcome, ...]) -> Json:
    """*result* without the ranges that are columns of *series*, too, and with many zeros as one entry.

    Without samples, it is as it was.
    """
    columns = {one.name: frozenset(one.statistics) for one in series if one.count}
    return _without_zeros(_once(result, (), columns)) if columns else result


def with_places(value: Json, fetched: Mapping[str, str]) -> Json:
    """*value* with the paths of temporary files on a host as those of the artifacts that these have become."""
    if isinstance(value, str):
        return fetched[value] if value in fetched and "/shakeout-" in value else value
    if isinstance(value, list):
        return [with_places(item, fetched) for item in value]
    if isinstance(value, Mapping):
        return {name: with_places(item, fetched) for name, item in value.items()}
    return value


def _once(value: Json, path: tuple[str, ...], columns: Mapping[str, frozenset[str]]) -> Json:
    if not isinstance(value, Mapping):
        return value
    kept = {
        name: _once(item, (*path, str(name)), columns)
        for name, item in value.items()
        if not (_is_range(item) and _is_sampled((*path, str(name)), columns))
    }
    return {name: item for name, item in kept.items() if item != {} or value[name] == {}}


def _is_range(value: Json) -> bool:
    return isinstance(value, Mapping) and value.keys() == _RANGE


def _is_sampled(path: tuple[str, ...], columns: Mapping[str, frozenset[str]]) -> bool:
    """Whether a range at *path* is a column: "busy", "cpu_pressure" of pressure.cpu, "rx_packets" of rx_packet_rate.

    What is there of one of several things (interfaces.eth0.rx_rate) is in the series that is called like it.
    """
    *above, name = path
    names = {name, name.removesuffix("_rate"), *(f"{name}_{one}" for one in above[-1:])}
    names |= {name.removesuffix("_rate") + "s"} if name.endswith("_rate") else set()
    own = [columns[one] for one in above if one in columns]
    if not own and len(above) < 2:
        own = list(columns.values())
    return any(names & one for one in own)


def _without_zeros(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_zeros(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    zeros = [str(name) for name, item in value.items() if _is_zero(item)]
    if len(zeros) <= _FEW_ZEROS or _ZEROS in value or value.keys() >= _RANGE:
        return {name: _without_zeros(item) for name, item in value.items()}
    kept = {name: _without_zeros(item) for name, item in value.items() if str(name) not in zeros}
    return {**kept, _ZEROS: ", ".join(zeros)}


def _is_zero(value: Json) -> bool:
    if isinstance(value, Mapping):
        return value.keys() == _RANGE and not any(value.values())
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0
