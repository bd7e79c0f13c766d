"""The main types: a film, its masks, measurements and quality, and the segmentation of a film.

Axis order is (row, column) everywhere; row 0 is the top, column 0 the viewer's left.
Right and left are the patient's: in a standard frontal film the right lung lies on the
viewer's left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pleura.core.arrays import Definition, Mask, Pixels, Verdict
from pleura.core.errors import UnsuitableFilm
from pleura.core.frame import ProbabilityMaps


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance between the centres of neighbouring pixels."""

    row_mm: float
    """Between rows (vertical), mm."""

    col_mm: float
    """Between columns (horizontal), mm."""

    source: str
    """The origin of the numbers, such as the keyword of a DICOM attribute, or `user`."""

    def __post_init__(self) -> None:
        if not (0 < self.row_mm < np.inf and 0 < self.col_mm < np.inf):
            raise UnsuitableFilm(
                f"pixel spacing must be positive, got {self.row_mm} x {self.col_mm} mm; "
                "leave it out to measure in pixels only"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """A decoded film, without the identity of a patient."""

    pixels: Pixels
    spacing: Spacing | None = None
    view: str | None = None
    """`PA`, `AP`, `LL`, ...; None if the file does not give it."""

    notes: tuple[str, ...] = ()
    """Sentences for the user on what was assumed or corrected while the file was decoded."""

    doubts: tuple[str, ...] = ()
    """Doubts from the file's header, as codes of `core.quality.verdict.DOUBTS`; for example, the
    film is mirrored."""

    mirrored: bool = False
    """According to its header the film is stored mirrored: it is mirrored for the network, and
    masks lie on the film as it is stored."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32:
            raise ValueError(
                f"pixels must be (H, W) float32, got {self.pixels.shape} {self.pixels.dtype}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.pixels.shape
        return height, width


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels: rows top <= r < bottom, columns left <= c < right."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows inside, px."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns inside, px."""
        return self.right - self.left


@dataclass(frozen=True, slots=True)
class Measurements:
    """Areas, boxes and ratios of the masks: in pixels always, in cm2 where the spacing is known.

    `None` means undefined (an empty mask, no spacing, no heart channel), never zero.
    """

    right_area_px: int
    left_area_px: int
    lungs_area_px: int
    lungs_share: float
    """Share of the film that is lung, in [0, 1]."""

    right_to_left_ratio: float | None
    """Area of the right lung over that of the left."""

    right_box: Box | None
    left_box: Box | None
    lungs_box: Box | None
    right_area_cm2: float | None = None
    left_area_cm2: float | None = None
    lungs_area_cm2: float | None = None
    spacing_source: str | None = None
    heart_area_px: int | None = None
    cardiothoracic_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """The version, weights, engine and definition that made a result, to reproduce it."""

    version: str
    """Of the package."""

    weights_name: str
    weights_sha256: str
    engine: str
    definition: Definition
    flip: bool = False
    """Whether the film was mirrored left to right for the network; masks lie on the film as it
    is."""

    tta: bool = False
    """Whether the maps are means over variants of the film (test-time augmentation)."""

    edited: str | None = None
    """Who edited the masks by hand and when; None if nobody did."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason to check a result before it is used."""

    code: str
    """One of `core.quality.verdict.DOUBTS`, for machines: stable."""

    text: str
    """One sentence for the user: what is unusual, and what to do."""


@dataclass(frozen=True, slots=True)
class HeartQuality:
    """The verdict on the heart and the cardiothoracic ratio, apart from that on the lungs."""

    verdict: Verdict
    """Unless it is `ok`, `Measurements.cardiothoracic_ratio` is None."""

    doubts: tuple[Doubt, ...] = ()
    """Why the verdict is not `ok`; empty if it is."""


@dataclass(frozen=True, slots=True)
class Quality:
    """The verdict on a result, the Dice estimated for it, and the reasons to doubt it."""

    verdict: Verdict
    estimated_dice: float | None
    """The Dice expected of the lungs with a reader's mask, in [0, 1]; None where the weights' card
    has no reference values for it, or no lung was found."""

    uncertainty: float | None = field(default=None, kw_only=True)
    """How uncertain the network is about the lungs, in [0, 1], whatever the weights; None where no
    lung was found. It orders the results of one set of weights, as the estimated Dice does."""

    doubts: tuple[Doubt, ...] = ()
    """Why the verdict is not `ok`, most serious first; empty if it is `ok`."""

    heart: HeartQuality | None = None
    """The verdict on the heart; the other fields are about the lungs. None if the weights have no
    heart channel."""

    @property
    def gives_ratio(self) -> bool:
        """Whether the cardiothoracic ratio is given."""
        return self.heart is None or self.heart.verdict == "ok"


@dataclass(frozen=True, slots=True, eq=False)
class LungMasks:
    """The masks of one film, and notes on what clean-up changed. Right and left are disjoint."""

    right: Mask
    left: Mask
    heart: Mask | None = None
    """None where the weights have no heart channel."""

    notes: tuple[str, ...] = ()
    """Sentences for the user on the changes of clean-up."""

    @property
    def both(self) -> Mask:
        """(H, W) bool: both lungs."""
        both: Mask = self.right | self.left
        return both


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The lungs of one film, at its native size."""

    radiograph: Radiograph
    lungs: LungMasks
    probabilities: ProbabilityMaps
    """(C, H, W); `channels` names the maps."""

    channels: tuple[str, ...]
    measurements: Measurements
    provenance: Provenance
    quality: Quality
    """Check masks whose verdict is not `ok` before you use them."""

    @property
    def mask(self) -> Mask:
        """(H, W) bool: both lungs."""
        return self.lungs.both

    @property
    def right(self) -> Mask:
        """(H, W) bool: the patient's right lung."""
        return self.lungs.right

    @property
    def left(self) -> Mask:
        """(H, W) bool: the patient's left lung."""
        return self.lungs.left

    @property
    def heart(self) -> Mask | None:
        """(H, W) bool; None where the weights have no heart channel."""
        return self.lungs.heart

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was assumed while the film was read, and on what clean-up changed."""
        return (*self.radiograph.notes, *self.lungs.notes)

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays, of types that `json.dumps` takes; undefined is None.

        `height` and `width` are in px; the names of the measurements contain their units.
        """
        height, width = self.radiograph.size
        spacing = self.radiograph.spacing
        return {
            "height": height,
            "width": width,
            "view": self.radiograph.view,
            "spacing": None if spacing is None else asdict(spacing),
            "quality": asdict(self.quality),
            "measurements": asdict(self.measurements),
            "notes": list(self.notes),
            "provenance": asdict(self.provenance),
        }
