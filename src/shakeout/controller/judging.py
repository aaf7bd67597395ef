"""Judging what a recipe measured: limits by themselves, baselines with the files that keep them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakeout.errors import UnknownName, UsageError
from shakeout.journal.clock import utc_text
from shakeout.journal.events import Evaluated

if TYPE_CHECKING:
    from shakeout.evaluation.baseline import Baseline
    from shakeout.evaluation.judgement import Judgement
    from shakeout.evaluation.measured import Measured
    from shakeout.evaluation.threshold import Threshold
    from shakeout.hosts.host import Host
    from shakeout.params import Params


class Judge:
    """Judges the values of one part.

    Args:
        folder: of the baselines; None: there are none.
        run: the run's id.
        update: record what is measured as the new baselines.
        hosts: of the match, by the recipe's names.
        params: of the recipe.
    """

    def __init__(
        self, folder: Path | None, run: str, update: bool, hosts: Mapping[str, Host], params: Params | None
    ) -> None:
        self._folder = folder
        self._run = run
        self._update = update
        self._hosts = dict(hosts)
        self._params: Mapping[str, Any] = {} if params is None else dict(params)

    def judge(self, measured: Measured, criterion: Threshold | Baseline | None) -> Judgement:
        """Hold *measured* against *criterion*; a baseline that is not there yet is recorded.

        Raises:
            UsageError: the value is not in a unit of the limit's kind, or the baseline cannot be read or written.
        """
        from shakeout.evaluation.baseline import Baseline
        from shakeout.evaluation.judgement import Judgement

        if criterion is None:
            return Judgement(verdict="measured", passed=None, measured=measured, reason=measured.note)
        if isinstance(criterion, Baseline):
            return self._compare(measured, criterion)
        return criterion.judge(measured)

    def _compare(self, measured: Measured, baseline: Baseline) -> Judgement:
        from shakeout.evaluation.store import BaselineStore

        if self._folder is None:
            raise UsageError(f"the baseline {baseline.name!r} has no place: this run was made without a baselines_dir")
        key = self._key(baseline.by)
        with BaselineStore(self._folder).slot(baseline.name, key) as slot:
            reference = None if slot.stored is None else slot.stored.measured
            judgement = baseline.judge(measured, reference, update=self._update)
            if judgement.recorded:
                slot.write(judgement.measured, recorded=utc_text(time.time_ns()), run=self._run)
        return judgement

    def _key(self, by: Iterable[str]) -> dict[str, str]:
        """What a baseline is kept apart by, with its values here."""
        key: dict[str, str] = {}
        for name in by:
            owner, dot, rest = name.partition(".")
            if dot and owner == "params":
                if rest not in self._params:
                    raise UnknownName("parameter of the recipe", rest, self._params)
                key[name] = str(self._params[rest])
            elif dot and owner in self._hosts:
                key[name] = _fact(self._hosts[owner], rest)
            else:
                key |= {f"{host}.{name}": _fact(self._hosts[host], name) for host in self._hosts}
        return key


def event_of(name: str, judgement: Judgement) -> Evaluated:
    """What the journal says of *judgement*."""
    value, before = judgement.measured, judgement.baseline
    return Evaluated(
        name=name,
        passed=judgement.passed,
        verdict=judgement.verdict,
        value=value.value,
        unit=value.unit,
        uncertainty=value.uncertainty,
        confidence=value.confidence,
        n=value.n,
        method=value.method,
        limit=judgement.limit,
        reason=judgement.reason,
        warning=judgement.warning,
        baseline=before.value if before else None,
        baseline_uncertainty=before.uncertainty if before else None,
        change=judgement.change,
        p=judgement.p,
    )


def _fact(host: Host, name: str) -> str:
    """A parameter or property of *host*, as text."""
    params: Any = host.params
    props: Any = host.props
    for place in (params, props):
        if name in place:
            return str(place[name])
    known = [str(entry) for place in (params, props) for entry in place]
    raise UnknownName(f"parameter or property of host {host.name}", name, known)
