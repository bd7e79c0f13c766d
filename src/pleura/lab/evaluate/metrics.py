"""Metrics that compare a predicted mask with a label mask: Dice, IoU, distances, area error.

MONAI computes them (`monai.metrics`). This module defines what they mean:

- A boundary is the mask's own outermost pixels (4-neighbours; pixels beyond the film count as
  outside), and distances run between pixel centres.
- HD95 is by MONAI's rule: the 95th percentile (linear interpolation) of the distances from the
  prediction's boundary to the truth's, the same from the truth's to the prediction's, and the
  larger of the two.
- ASSD is the mean over both sets of distances put together.
- Surface Dice is the share of both boundaries that lies within a tolerance of the other.
- If only one of the two masks is empty, the overlaps are 0, so that a missed lung counts in full.
  Undefined values are None: a distance to an empty mask, and the overlap of two empty masks.
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
"""The tolerance of `surface_dice_2px`: the accuracy of a reader at an edge. It depends on the size
of the film."""

TOLERANCE_SHARE = 0.005
"""The tolerance of `surface_dice_rel`, as a share of the longer side. A film's longer side is 35 to
43 cm, so it is about 2 mm on an adult's film of any size in pixels. Sources are compared by it."""

TOLERANCE_MM = 2.0
"""The tolerance of `surface_dice_2mm`, if the spacing is known."""

HAUSDORFF_PERCENTILE = 95.0

DIGITS = 6
"""The decimals of a score, the same in memory and in files, so that a file has the exact value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of two masks.

    `name` is a field of `Scores` and a column of scores.csv. `title` is for tables, without the
    unit. `unit` is `px`, `mm`, or empty for a share. `better` is `high`, `low` or `zero`.
    """

    name: str
    title: str
    unit: str
    better: str

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
    """The scores of one structure of one film; None is undefined."""

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
    """(predicted area - labelled area) / labelled area; above 0 the prediction is too large."""

    def as_dict(self) -> dict[str, float | None]:
        """Metric name -> value, in the order of `METRICS`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def score(predicted: Mask, truth: Mask, *, spacing: Spacing | None = None) -> Scores:
    """Compare two (H, W) bool masks of one film; with `spacing` also in mm.

    Raises:
        ValueError: the masks differ in shape or are not bool.
    """
    _check(predicted, truth)
    known_mm = spacing is not None
    if not (predicted.any() and truth.any()):
        return _scores_of_empty(predicted, truth, known_mm=known_mm)
    pair = _pair(predicted, truth)
    relative = max(TOLERANCE_SHARE * max(truth.shape), 1.0)  # boundaries are whole pixels
    areas = int(predicted.sum()), int(truth.sum())
    with _without_monai_warning():
        values = {
            "dice": compute_dice(*pair),
            "iou": compute_iou(*pair),
            "surface_dice_rel": _surface_dice(pair, relative),
            "surface_dice_2px": _surface_dice(pair, TOLERANCE_PX),
            **_distances(pair, "px"),
        }
        if spacing is not None:
            steps = (spacing.row_mm, spacing.col_mm)
            values["surface_dice_2mm"] = _surface_dice(pair, TOLERANCE_MM, steps)
            values |= _distances(pair, "mm", steps)
    rounded = {name: round(float(value), DIGITS) for name, value in values.items()}
    return Scores(**rounded, area_error=round((areas[0] - areas[1]) / areas[1], DIGITS))


def overlap(predicted: Mask, truth: Mask) -> float | None:
    """The Dice of `score`, without its distances, which take long on large films.

    Raises:
        ValueError: the masks differ in shape or are not bool.
    """
    _check(predicted, truth)
    if not (predicted.any() and truth.any()):
        return _scores_of_empty(predicted, truth, known_mm=False).dice
    with _without_monai_warning():
        return round(float(compute_dice(*_pair(predicted, truth))), DIGITS)


def _check(predicted: Mask, truth: Mask) -> None:
    if predicted.shape != truth.shape or predicted.ndim != 2:
        raise ValueError(
            f"masks must be (H, W) and of one size, got {predicted.shape} and {truth.shape}"
        )
    if predicted.dtype != np.bool_ or truth.dtype != np.bool_:
        raise ValueError(f"masks must be bool, got {predicted.dtype} and {truth.dtype}")


def _scores_of_empty(predicted: Mask, truth: Mask, *, known_mm: bool) -> Scores:
    """The scores if one mask or both are empty."""
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
    """Both masks as (1, 1, h, w), cropped to the bounding box of their union."""
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
    share: Tensor = compute_surface_dice(
        *pair, class_thresholds=[tolerance], include_background=True, spacing=spacing
    )
    return share


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
def _without_monai_warning() -> Iterator[None]:
    """Suppress a warning of MONAI 1.6 about an argument that MONAI itself passes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
        yield
