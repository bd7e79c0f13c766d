"""Masks that a person edited: reading them, measuring them, and putting them into a result."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pleura.core.arrays import Mask
from pleura.core.errors import UsageError
from pleura.core.masks.contours import mask_from_rle
from pleura.core.masks.measure import measure, transverse_widths
from pleura.core.types import Segmentation, Spacing

__all__ = ["Correction", "corrected", "measured", "read_correction", "widths_json"]

MAX_NAME = 64
"""Letters of an editor's name; DICOM allows as many in a name."""

USER = "user"
"""The source of a spacing that the request gives without a source."""


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """Masks of one film after edits by hand, each (H, W) bool, right and left disjoint."""

    right: Mask
    left: Mask
    heart: Mask | None
    spacing: Spacing | None = None
    """Of the film; only `measured` needs it."""

    edited: str = "edited by hand"
    """Who edited them and when."""


def read_correction(content: bytes, *, most_pixels: int, editor: str = "") -> Correction:
    """Read masks from JSON: `right`, `left`, `heart` (or null) as COCO run lengths.

    `spacing` is optional: `row_mm`, `col_mm`, and `source`, which is `user` if it is missing.
    `editor` is the name of who edited them.

    Raises:
        UsageError: the JSON is invalid, or the masks are too large, differ in size or overlap.
        UnsuitableFilm: the spacing is not positive.
    """
    try:
        values = json.loads(content)
        masks = {name: _mask(values.get(name), most_pixels) for name in ("right", "left", "heart")}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f" ({error})" if isinstance(error, ValueError) else ""  # others name our code
        raise UsageError(
            f"the masks cannot be read{reason}; send JSON with right, left and heart as COCO run "
            'lengths: {"right": {"size": [H, W], "counts": [...]}, ...}'
        ) from None
    film_spacing = _spacing(values.get("spacing"))
    right, left, heart = masks.values()
    if right is None or left is None:
        raise UsageError("the masks need both lungs; send a mask without pixels for a missing one")
    if {right.shape} != {mask.shape for mask in (right, left, heart) if mask is not None}:
        raise UsageError("the masks differ in size; send masks of the film's size")
    if (right & left).any():
        raise UsageError("the masks of the right and the left lung overlap; send disjoint masks")
    return Correction(right, left, heart, film_spacing, _edited_by(editor))


def corrected(segmentation: Segmentation, correction: Correction) -> Segmentation:
    """The result with the masks of a correction; its provenance and notes state that.

    The verdict on the lungs stays that on the network's masks. There is no verdict on an
    edited heart, and the ratio is that of the edited masks.

    Raises:
        UsageError: the masks are not of the film's size.
    """
    height, width = segmentation.radiograph.size
    if correction.right.shape != (height, width):
        raise UsageError(
            f"the masks have {correction.right.shape[0]} x {correction.right.shape[1]} pixels, but "
            f"the film {height} x {width}; send the masks of this film"
        )
    right, left, heart = correction.right, correction.left, correction.heart
    lungs = replace(
        segmentation.lungs, right=right, left=left, heart=heart, notes=(correction.edited,)
    )
    spacing = segmentation.radiograph.spacing
    return replace(
        segmentation,
        lungs=lungs,
        quality=replace(segmentation.quality, heart=None),
        measurements=measure(right, left, heart=heart, spacing=spacing),
        provenance=replace(segmentation.provenance, edited=correction.edited),
    )


def measured(correction: Correction) -> dict[str, Any]:
    """The measurements of masks, and the widths of the cardiothoracic ratio, as JSON has them."""
    right, left, heart = correction.right, correction.left, correction.heart
    measurements = measure(right, left, heart=heart, spacing=correction.spacing)
    return {
        "measurements": asdict(measurements),
        "widths": widths_json(right, left, heart),
    }


def widths_json(right: Mask, left: Mask, heart: Mask | None) -> dict[str, Any] | None:
    """The two widths of the cardiothoracic ratio, px, as JSON has them; None if it is undefined."""
    widths = transverse_widths(right, left, heart)
    if widths is None:
        return None
    return dict(zip(("heart", "thorax"), map(asdict, widths), strict=True))


def _mask(value: dict[str, Any] | None, most_pixels: int) -> Mask | None:
    if value is None:
        return None
    height, width = (int(side) for side in value["size"])
    if not 0 < height * width <= most_pixels:
        raise ValueError(f"{height} x {width} pixels, expected 1 to {most_pixels}")
    return mask_from_rle([int(count) for count in value["counts"]], height, width)


def _spacing(value: Any) -> Spacing | None:
    if value is None:
        return None
    try:
        return Spacing(
            float(value["row_mm"]), float(value["col_mm"]), str(value.get("source", USER))
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(
            'the spacing cannot be read; send it as {"row_mm": 0.14, "col_mm": 0.14}, or leave it '
            "out to measure in pixels only"
        ) from None


def _edited_by(editor: str) -> str:
    name = " ".join(editor.split())
    if len(name) > MAX_NAME:
        raise UsageError(f"the editor's name has {len(name)} letters, expected {MAX_NAME} at most")
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"edited by hand{f' by {name}' if name else ''} at {time}"
