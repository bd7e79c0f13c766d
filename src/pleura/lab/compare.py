"""Two runs over the same films: what changed, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pleura.lab.judge import STRUCTURES, Row
from pleura.lab.scores import METRICS, Metric
from pleura.lab.summary import describe

__all__ = ["compare"]

Key = tuple[str, str, str]


def compare(mine: Sequence[Row], theirs: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """The paired difference, mine minus theirs, of every metric on the films both runs scored.

    Rows are paired by source, id and structure. A pair whose truth differs (another size, other
    labels, other areas ignored) is counted and left out: its difference would be the masks', not
    the networks'. For each metric: `mean` with its interval (`mean_low`, `mean_high`), quantiles,
    `wins` (mine better), `losses`, `ties`.
    """
    here, there = _keyed(mine), _keyed(theirs)
    shared = [key for key in here if key in there]
    paired = [(here[key], there[key]) for key in shared if _same(here[key], there[key])]
    return {
        "films": len({(row.source, row.id) for row, _ in paired}),
        "rows": len(paired),
        "truth_differs": len(shared) - len(paired),
        "only_here": _films(here.keys() - there.keys()),
        "only_there": _films(there.keys() - here.keys()),
        "difference": _differences(paired, seed),
    }


def _keyed(rows: Sequence[Row]) -> dict[Key, Row]:
    return {(row.source, row.id, row.structure): row for row in rows}


def _same(a: Row, b: Row) -> bool:
    """Whether both were scored against the same mask."""

    def truth(row: Row) -> tuple[object, ...]:
        return row.height, row.width, row.truth_px, row.ignored_px, row.definition

    return truth(a) == truth(b)


def _films(keys: set[Key]) -> list[str]:
    return sorted({f"{source}/{name}" for source, name, _ in keys})


def _differences(paired: Sequence[tuple[Row, Row]], seed: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for structure in STRUCTURES:
        pairs = [pair for pair in paired if pair[0].structure == structure]
        if pairs:
            found[structure] = {
                metric.name: _difference(pairs, metric, seed) for metric in METRICS.values()
            }
    return found


def _difference(pairs: Sequence[tuple[Row, Row]], metric: Metric, seed: int) -> dict[str, Any]:
    values, patients, losses = [], [], []
    for a, b in pairs:
        x, y = getattr(a.scores, metric.name), getattr(b.scores, metric.name)
        known = x is not None and y is not None
        values.append(x - y if known else None)
        patients.append(f"{a.source}/{a.patient}")
        if known:
            losses.append(metric.loss(x) - metric.loss(y))
    return describe(values, patients, seed=seed) | {
        "wins": sum(each < 0 for each in losses),
        "losses": sum(each > 0 for each in losses),
        "ties": sum(each == 0 for each in losses),
    }
