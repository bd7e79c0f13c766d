"""Statistics of the scores of many films: means with intervals, quantiles, and missing values.

Undefined values are counted and left out of means. Scores against another definition of lung are in
the statistics of their source, and not in the overall ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from pleura.lab.evaluate.case import STRUCTURES, Row
from pleura.lab.evaluate.evaluation import Evaluation
from pleura.lab.evaluate.heart_ratio import FAR_OFF, ratio_figures
from pleura.lab.evaluate.metrics import (
    DIGITS,
    METRICS,
    TOLERANCE_MM,
    TOLERANCE_PX,
    TOLERANCE_SHARE,
    Metric,
)

__all__ = [
    "CONFIDENCE",
    "MIN_PATIENTS",
    "POOR_DICE",
    "RESAMPLES",
    "RULES",
    "compare",
    "describe",
    "mean_interval",
    "summarise",
]

RESAMPLES = 9_999
CONFIDENCE = 0.95
MIN_PATIENTS = 5
"""The smallest number of patients for an interval."""

Floats = NDArray[np.float64]


def mean_interval(
    values: Sequence[float], patients: Sequence[str], *, seed: int
) -> tuple[float, float] | None:
    """The BCa bootstrap interval of the mean of `values`, drawn over patients; None if too few.

    `patients` has the patient of each value.
    """
    sums, counts = _by_patient(values, patients)
    if len(sums) < MIN_PATIENTS:
        return None
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    draws = _draws(len(sums), seed)
    means = np.sort((draws @ sums) / (draws @ counts))
    shares = _shares(means, sums, counts)
    low, high = np.quantile(means, shares)
    return float(low), float(high)


def _by_patient(values: Sequence[float], patients: Sequence[str]) -> tuple[Floats, Floats]:
    """The sum and the number of the values of each patient."""
    _, index = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, float))
    return sums.astype(float), np.bincount(index).astype(float)


@lru_cache(maxsize=2)
def _draws(patients: int, seed: int) -> Floats:
    """(RESAMPLES, patients): how often each resample contains each patient."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(patients, np.full(patients, 1 / patients), RESAMPLES).astype(float)


def _shares(means: Floats, sums: Floats, counts: Floats) -> Floats:
    """The two quantiles of the resampled means that are the ends of the interval."""
    mean = sums.sum() / counts.sum()
    below = np.searchsorted(means, (mean - 1e-12, mean + 1e-12)).mean() / len(means)
    bias = ndtri(np.clip(below, 1 / (len(means) + 1), len(means) / (len(means) + 1)))
    without = (sums.sum() - sums) / (
        counts.sum() - counts
    )  # the mean without each patient (jackknife)
    deviation = without.mean() - without
    acceleration = (
        (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5) if deviation.any() else 0.0
    )
    ends = ndtri([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) + bias
    shares: Floats = ndtr(bias + ends / (1 - acceleration * ends))
    return shares


POOR_DICE = 0.90
"""Below this Dice a reader would redraw the outline. Reports give the share of such films."""

RULES = {
    "path": "decode, fit, engine, restore, clean-up; scored at the mask file's own size",
    "dice": "2 |P and T| / (|P| + |T|), P predicted and T true pixels",
    "iou": "|P and T| / |P or T|",
    "boundary": "a mask's outermost pixels (4-neighbours); distances between pixel centres",
    "surface_dice_rel": f"share of both boundaries within {TOLERANCE_SHARE:.1%} of the film's "
    "longer side (about 2 mm on an adult's film), at least 1 px, of the other",
    "surface_dice_2px": f"the same within {TOLERANCE_PX:g} px",
    "surface_dice_2mm": f"the same within {TOLERANCE_MM:g} mm, where the spacing is known",
    "hd95": "the larger of the two directed 95th percentiles (linear interpolation), MONAI's rule",
    "assd": "mean over both directed sets of distances together",
    "area_error": "(|P| - |T|) / |T|",
    "cardiothoracic_ratio": "width of the heart over that of the chest, predicted less labelled, "
    "for films that label heart and both lungs; limits: 1.96 standard deviations around the bias; "
    f"far off: by more than {FAR_OFF:g}; kept: the films whose ratio users get",
    "empty": "one of the two masks empty: overlaps are 0 and distances undefined; both: all "
    "undefined. Undefined values are counted and left out of means",
    "ignored": "areas the source marks to ignore are left out of both masks",
    "interval": f"{CONFIDENCE:.0%} BCa bootstrap over patients, {RESAMPLES:,} draws; none for "
    f"fewer than {MIN_PATIENTS} patients",
    "definitions": "films whose masks follow another definition of lung than was predicted are "
    "reported apart and left out of the overall scores",
}
"""The meaning of the numbers, for reports."""

Group = dict[str, dict[str, dict[str, Any]]]
"""Structure -> metric -> statistics."""


def summarise(evaluation: Evaluation, *, seed: int = 0) -> dict[str, Any]:
    """The scores part of `summary.json`, as plain values."""
    comparable = [row for row in evaluation.rows if row.comparable]
    return {
        "films": evaluation.counts(),
        "failures": [failure.as_dict() for failure in evaluation.failures],
        "sources": _sources(evaluation.rows),
        "cases": _cases(evaluation.rows),
        "seconds": _seconds(evaluation.seconds),
        "overall": _group(comparable, seed),
        "by_source": _groups(evaluation.rows, lambda row: row.source, seed),
        "by_condition": _groups(comparable, lambda row: row.condition, seed),
        "by_source_and_condition": _groups(
            evaluation.rows, lambda row: f"{row.source} / {row.condition}", seed
        ),
        "agreement": _agreement(comparable),
        "cardiothoracic_ratio": ratio_figures(comparable),
        "rules": RULES,
    }


def describe(
    values: Sequence[float | None], patients: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """The statistics of one metric over films; `patients` has the patient of each film."""
    known = [(v, p) for v, p in zip(values, patients, strict=True) if v is not None]
    figures: dict[str, Any] = {"n": len(known), "n_undefined": len(values) - len(known)}
    names = ("mean", "mean_low", "mean_high", "median", "p5", "p95", "min", "max")
    if not known:
        return figures | dict.fromkeys(names)
    numbers = [v for v, _ in known]
    interval = mean_interval(numbers, [p for _, p in known], seed=seed) or (None, None)
    statistics = (
        np.mean(numbers),
        *interval,
        *np.quantile(numbers, (0.5, 0.05, 0.95)),
        min(numbers),
        max(numbers),
    )
    return figures | dict(zip(names, map(rounded, statistics), strict=True))


def rounded(value: Any) -> float | None:
    """The value with `DIGITS` decimals, or None."""
    return None if value is None else round(float(value), DIGITS)


def _groups(rows: Iterable[Row], key: Callable[[Row], str], seed: int) -> dict[str, Group]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(key(row), []).append(row)
    return {name: _group(part, seed) for name, part in sorted(members.items())}


def _group(rows: Sequence[Row], seed: int) -> Group:
    group: Group = {}
    for structure in STRUCTURES:
        selected = [row for row in rows if row.structure == structure]
        if selected:
            group[structure] = {name: _metric(selected, name, seed) for name in METRICS}
    return group


def _metric(rows: Sequence[Row], name: str, seed: int) -> dict[str, Any]:
    if name.endswith("mm"):  # a film without a spacing does not count as undefined
        rows = [row for row in rows if row.row_mm is not None]
    values = [getattr(row.scores, name) for row in rows]
    patients = [f"{row.source}/{row.patient}" for row in rows]
    figures = describe(values, patients, seed=seed)
    if name == "dice":
        known = [v for v in values if v is not None]
        poor = sum(v < POOR_DICE for v in known)
        figures["share_under_090"] = rounded(poor / len(known)) if known else None
    return figures


def _sources(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """The labelled and the predicted definitions of each source."""
    sources: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.structure != "lungs":
            continue
        source = sources.setdefault(row.source, {"films": 0, "labels": {}, "predicted": {}})
        source["films"] += 1
        for key, value in (("labels", row.definition), ("predicted", row.predicted_definition)):
            source[key][value] = source[key].get(value, 0) + 1
        source["comparable"] = source.get("comparable", True) and row.comparable
    return dict(sorted(sources.items()))


def _cases(rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers of empty masks, single lungs and ignored areas."""
    by_structure = {
        structure: dict(Counter(row.case for row in rows if row.structure == structure))
        for structure in STRUCTURES
    }
    return {
        "by_structure": {name: counts for name, counts in by_structure.items() if counts},
        "one_lung_labelled": _one_lung(rows, lambda row: row.truth_px),
        "one_lung_predicted": _one_lung(rows, lambda row: row.predicted_px),
        "lungs_not_told_apart": _joined(rows),
        "with_ignored_areas": len({(r.source, r.id) for r in rows if r.ignored_px}),
    }


def _one_lung(rows: Sequence[Row], area: Callable[[Row], int]) -> int:
    """The number of films with right and left of which exactly one is not empty."""
    sides: dict[tuple[str, str], list[bool]] = {}
    for row in rows:
        if row.structure in ("right", "left"):
            sides.setdefault((row.source, row.id), []).append(area(row) > 0)
    return sum(sum(present) == 1 for present in sides.values())


def _joined(rows: Sequence[Row]) -> int:
    """The number of films whose label mask cannot be split into right and left."""
    split = {(row.source, row.id) for row in rows if row.structure in ("right", "left")}
    return len({(r.source, r.id) for r in rows if r.structure == "lungs"} - split)


def _seconds(seconds: Sequence[float]) -> dict[str, float | None]:
    """Median and 95th percentile of the time of a film."""
    if not seconds:
        return {"median": None, "p95": None}
    median, late = np.quantile(seconds, (0.5, 0.95))
    return {"median": round(float(median), 3), "p95": round(float(late), 3)}


def _agreement(rows: Sequence[Row]) -> dict[str, dict[str, float | None]]:
    """Bland-Altman (1986) of the area error: bias, and limits for about 95 % of films."""
    agreement = {}
    for structure in STRUCTURES:
        errors = [
            row.scores.area_error
            for row in rows
            if row.structure == structure and row.scores.area_error is not None
        ]
        if len(errors) > 1:
            bias, half_width = np.mean(errors), 1.96 * np.std(errors, ddof=1)
            agreement[structure] = {
                "n": len(errors),
                "bias": rounded(bias),
                "low": rounded(bias - half_width),
                "high": rounded(bias + half_width),
            }
    return agreement


Key = tuple[str, str, str]


def compare(rows: Sequence[Row], baseline: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """The paired differences, `rows` minus `baseline`, of every metric on the films of both.

    Rows are paired by source, id and structure. Pairs with different label masks (size, area,
    ignored pixels) are counted and left out. Each metric has `mean` with its interval (`mean_low`,
    `mean_high`), quantiles, and `wins` (`rows` is better), `losses` and `ties`.
    """
    here, there = _keyed(rows), _keyed(baseline)
    shared = [key for key in here if key in there]
    paired = [(here[key], there[key]) for key in shared if _same_label(here[key], there[key])]
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


def _same_label(a: Row, b: Row) -> bool:
    """Whether both rows were scored against the same label mask."""

    def label(row: Row) -> tuple[object, ...]:
        return row.height, row.width, row.truth_px, row.ignored_px, row.definition

    return label(a) == label(b)


def _films(keys: set[Key]) -> list[str]:
    return sorted({f"{source}/{name}" for source, name, _ in keys})


def _differences(paired: Sequence[tuple[Row, Row]], seed: int) -> dict[str, dict[str, Any]]:
    differences: dict[str, dict[str, Any]] = {}
    for structure in STRUCTURES:
        pairs = [pair for pair in paired if pair[0].structure == structure]
        if pairs:
            differences[structure] = {
                metric.name: _difference(pairs, metric, seed) for metric in METRICS.values()
            }
    return differences


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
        "wins": sum(loss < 0 for loss in losses),
        "losses": sum(loss > 0 for loss in losses),
        "ties": sum(loss == 0 for loss in losses),
    }
