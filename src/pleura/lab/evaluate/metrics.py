"""How far a mask is from the truth: the numbers by which Pleura is judged.

MONAI computes them (`monai.metrics`); what is decided here is what they mean:

- A boundary is the mask's own outermost pixels (4-neighbours; pixels beyond the film count as
  outside), and distances run between pixel centres.
- HD95 is MONAI's rule: the 95th percentile (linear interpolation) of the distances from the
  prediction's boundary to the truth's, the same from the truth's to the prediction's, and the
  larger of the two.
- ASSD is the mean over both sets of distances put together.
- Surface Dice is the share of both boundaries that lies within a tolerance of the other.
- Where only one of the two masks is empty, the overlaps are 0: a lung that was missed counts in
  full. What has no value (a distance to nothing, an overlap of nothing with nothing) is None.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.meaniou import compute_iou
from monai.metrics.surface_dice import compute_surface_dice
from monai.metrics.surface_distance import compute_average_surface_distance
from torch import Tensor

from pleura.core.arrays import Mask
from pleura.core.types import Spacing

__all__ = [
    "DIGITS",
    "METRICS",
    "TOLERANCE_MM",
    "TOLERANCE_PX",
    "TOLERANCE_SHARE",
    "Metric",
    "Scores",
    "overlap",
    "score",
]

TOLERANCE_PX = 2.0
"""Of `surface_dice_2px`: what the eye can tell of an edge. Not comparable between film sizes."""

TOLERANCE_SHARE = 0.005
"""Of `surface_dice_rel`: this share of the longer side. A film's longer side is 35 to 43 cm, so
it is about 2 mm on an adult's film whatever its pixels, and sources can be compared by it."""

TOLERANCE_MM = 2.0
"""Of `surface_dice_2mm`, where the spacing is known."""

HAUSDORFF_PERCENTILE = 95.0

DIGITS = 6
"""Decimals kept of a score, in memory as in files, so that a file says exactly what was meant."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a score is called, its unit, and which way is better."""

    name: str
    """A field of `Scores`, and a column of scores.csv."""

    title: str
    """As people read it, without the unit."""

    unit: str
    """`px` or `mm`; empty for a share."""

    better: str
    """`high`, `low` or `zero`."""

    def loss(self, value: float) -> float:
        """A number that is smaller where the score is better."""
        return {"high": -value, "low": value, "zero": abs(value)}[self.better]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("dice", "Dice", "", "high"),
        Metric("iou", "IoU", "", "high"),
        Metric("surface_dice_rel", "Surface Dice 0.5 %", "", "high"),
        Metric("surface_dice_2px", "Surface Dice 2 px", "", "high"),
        Metric("surface_dice_2mm", "Surface Dice 2 mm", "", "high"),
        Metric("hd95_px", "HD95", "px", "low"),
        Metric("hd95_mm", "HD95", "mm", "low"),
        Metric("assd_px", "ASSD", "px", "low"),
        Metric("assd_mm", "ASSD", "mm", "low"),
        Metric("area_error", "Area error", "", "zero"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One structure of one film against its truth; None is undefined."""

    dice: float | None = None
    iou: float | None = None
    surface_dice_rel: float | None = None
    surface_dice_2px: float | None = None
    surface_dice_2mm: float | None = None
    hd95_px: float | None = None
    hd95_mm: float | None = None
    assd_px: float | None = None
    assd_mm: float | None = None
    area_error: float | None = None
    """(predicted area - true area) / true area: above 0 is too much lung."""

    def as_dict(self) -> dict[str, float | None]:
        """Metric name -> value, in the order of `METRICS`."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def score(predicted: Mask, truth: Mask, *, spacing: Spacing | None = None) -> Scores:
    """Compare two (H, W) bool masks of one film; `spacing` gives the distances in mm too.

    Raises:
        ValueError: the masks differ in shape or are not bool.
    """
    _check(predicted, truth)
    known_mm = spacing is not None
    if not (predicted.any() and truth.any()):
        return _with_nothing(predicted, truth, known_mm=known_mm)
    pair = _pair(predicted, truth)
    relative = max(TOLERANCE_SHARE * max(truth.shape), 1.0)  # boundaries are whole pixels
    areas = int(predicted.sum()), int(truth.sum())
    with _monai_quiet():
        found = {
            "dice": compute_dice(*pair),
            "iou": compute_iou(*pair),
            "surface_dice_rel": _surface_dice(pair, relative),
            "surface_dice_2px": _surface_dice(pair, TOLERANCE_PX),
            **_distances(pair, "px"),
        }
        if spacing is not None:
            steps = (spacing.row_mm, spacing.col_mm)
            found["surface_dice_2mm"] = _surface_dice(pair, TOLERANCE_MM, steps)
            found |= _distances(pair, "mm", steps)
    values = {name: round(float(value), DIGITS) for name, value in found.items()}
    return Scores(**values, area_error=round((areas[0] - areas[1]) / areas[1], DIGITS))


def overlap(predicted: Mask, truth: Mask) -> float | None:
    """The Dice of `score` alone, without the distances, which take long on large films.

    Raises:
        ValueError: the masks differ in shape or are not bool.
    """
    _check(predicted, truth)
    if not (predicted.any() and truth.any()):
        return _with_nothing(predicted, truth, known_mm=False).dice
    with _monai_quiet():
        return round(float(compute_dice(*_pair(predicted, truth))), DIGITS)


def _check(predicted: Mask, truth: Mask) -> None:
    if predicted.shape != truth.shape or predicted.ndim != 2:
        raise ValueError(
            f"masks must be (H, W) and of one size, got {predicted.shape} and {truth.shape}"
        )
    if predicted.dtype != np.bool_ or truth.dtype != np.bool_:
        raise ValueError(f"masks must be bool, got {predicted.dtype} and {truth.dtype}")


def _with_nothing(predicted: Mask, truth: Mask, *, known_mm: bool) -> Scores:
    """The scores where one mask or both are empty."""
    if not (predicted.any() or truth.any()):
        return Scores()
    return Scores(
        dice=0.0,
        iou=0.0,
        surface_dice_rel=0.0,
        surface_dice_2px=0.0,
        surface_dice_2mm=0.0 if known_mm else None,
        area_error=-1.0 if truth.any() else None,
    )


def _pair(predicted: Mask, truth: Mask) -> tuple[Tensor, Tensor]:
    """Both as (1, 1, h, w), cut to the box that holds them: what is outside is in neither."""
    either = predicted | truth
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    first, second = (
        torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in (predicted, truth)
    )
    return first, second


def _surface_dice(
    pair: tuple[Tensor, Tensor], tolerance: float, spacing: tuple[float, float] | None = None
) -> Tensor:
    found: Tensor = compute_surface_dice(
        *pair, class_thresholds=[tolerance], include_background=True, spacing=spacing
    )
    return found


def _distances(
    pair: tuple[Tensor, Tensor], unit: str, spacing: tuple[float, float] | None = None
) -> dict[str, Tensor]:
    return {
        f"hd95_{unit}": compute_hausdorff_distance(
            *pair, include_background=True, percentile=HAUSDORFF_PERCENTILE, spacing=spacing
        ),
        f"assd_{unit}": compute_average_surface_distance(
            *pair, include_background=True, symmetric=True, spacing=spacing
        ),
    }


@contextmanager
def _monai_quiet() -> Iterator[None]:
    """Hold back a warning that MONAI 1.6 gives about an argument it passes to itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
        yield
