"""Scoring one film: its segmentation is compared with its label masks.

Films are segmented with the same steps as for users (decode, resize, predict, resize back, clean
up), at their own size.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pleura.core.arrays import Definition, Mask
from pleura.core.errors import DataError
from pleura.core.masks.cleanup import PostProcessor, clean
from pleura.core.masks.measure import transverse_widths
from pleura.core.types import Radiograph, Segmentation, Spacing
from pleura.lab.data.film import Film, Labels
from pleura.lab.data.labels import target_for
from pleura.lab.evaluate.metrics import DIGITS, Scores, score
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter

__all__ = ["STRUCTURES", "Evaluator", "Examined", "Pair", "Row", "rows"]

STRUCTURES = ("lungs", "right", "left", "heart")
"""The structures that are scored if the film labels them. Right and left are the patient's."""

DEFINITIONS: tuple[Definition, ...] = ("field", "whole")

SAME_SHAPE = 0.01
"""The largest difference of aspect ratio (share) between a film and its mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The masks of one structure of `STRUCTURES`: (H, W) bool at the mask file's size.

    `truth` is as the source labels it, `predicted` is Pleura's.
    """

    structure: str
    truth: Mask
    predicted: Mask
    sides: str = ""
    """For right and left: `labelled` by the source, or `split` from a mask of both lungs."""

    @property
    def case(self) -> str:
        """`both` if neither mask is empty, else `missed`, `invented`, or `neither`."""
        present = bool(self.truth.any()), bool(self.predicted.any())
        return {
            (True, True): "both",
            (True, False): "missed",
            (False, True): "invented",
            (False, False): "neither",
        }[present]


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A film with its segmentation and its label masks."""

    film: Film
    radiograph: Radiograph
    segmentation: Segmentation
    """The result that users get, at the film's own size."""

    pairs: tuple[Pair, ...]
    definition: Definition | None
    """The definition of lung that the film's masks follow; None if no lung is labelled."""

    predicted_definition: Definition
    spacing: Spacing | None
    """The spacing of the masks' pixels."""

    ignored_px: int
    """The pixels that are left out of both masks."""

    notes: tuple[str, ...]
    seconds: float
    """The time from file to masks, without the scoring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The scores of one structure of one film."""

    id: str
    source: str
    split: str
    condition: str
    patient: str
    structure: str
    definition: str
    predicted_definition: str
    sides: str
    case: str
    height: int
    width: int
    row_mm: float | None
    col_mm: float | None
    truth_px: int
    predicted_px: int
    ignored_px: int
    scores: Scores
    verdict: str = ""
    """The verdict on the film, the same in each of its rows."""

    estimated_dice: float | None = None
    """The estimate for the lungs, made without the label masks."""

    uncertainty: float | None = None
    """`Quality.uncertainty` of the lungs."""

    ratio: float | None = None
    """The cardiothoracic ratio of the predicted masks, also if users do not get it. This field and
    the next two are only in the row of the heart."""

    true_ratio: float | None = None
    """The cardiothoracic ratio of the label masks."""

    heart_verdict: str = ""
    """Unless it is `ok`, users get no ratio."""

    notes: str = ""

    @property
    def comparable(self) -> bool:
        """False if the predicted and the labelled definition of lung differ."""
        return self.structure == "heart" or self.definition == self.predicted_definition


class Evaluator:
    """Segments films with one engine and compares the results with their label masks."""

    def __init__(
        self,
        engine: Engine,
        *,
        lungs: Definition | None = None,
        tta: bool = False,
        postprocess: PostProcessor = clean,
    ) -> None:
        """Predict the definition that each film's masks follow, or always the definition `lungs`.

        With `tta` the maps are means over variants of each film.
        `postprocess` makes the masks from the probability maps; users get `clean`.

        Raises:
            UsageError: the weights do not give `lungs`.
        """
        definitions = (lungs,) if lungs else engine.card.definitions
        self.engine = engine
        self.segmenters = {
            definition: Segmenter(engine, definition=definition, tta=tta, postprocess=postprocess)
            for definition in definitions
        }

    def examine(self, film: Film) -> Examined:
        """Segment `film`, and pair the results with its label masks.

        Raises:
            FilmError: the film cannot be read or segmented.
            DataError: its masks cannot be read, or belong to another film.
        """
        labels = film.read_labels()
        definition, predicted = self._definitions(film)
        start = time.perf_counter()
        radiograph = film.read_image()
        segmentation = self.segmenters[predicted](radiograph)
        seconds = time.perf_counter() - start
        _check_shape(film, radiograph.size, labels.size)
        return Examined(
            film=film,
            radiograph=radiograph,
            segmentation=segmentation,
            pairs=_pairs(labels, segmentation, definition),
            definition=definition,
            predicted_definition=predicted,
            spacing=_spacing_at(labels.size, radiograph),
            ignored_px=0 if labels.ignore is None else int(labels.ignore.sum()),
            notes=segmentation.notes,
            seconds=seconds,
        )

    def _definitions(self, film: Film) -> tuple[Definition | None, Definition]:
        """The definition that the film's masks follow and the one to predict, the same if possible.

        If they differ, the rows are not comparable and stay out of the overall scores.
        """
        labelled = [
            name for name in DEFINITIONS if film.channels & {name, f"right_{name}", f"left_{name}"}
        ]
        for name in self.segmenters:
            if name in labelled:
                return name, name
        return next(iter(labelled), None), next(iter(self.segmenters))


def rows(examined: Examined) -> list[Row]:
    """Score every structure of a film."""
    return [_row(examined, pair) for pair in examined.pairs]


def _row(examined: Examined, pair: Pair) -> Row:
    film, spacing = examined.film, examined.spacing
    height, width = pair.truth.shape
    return Row(
        id=film.id,
        source=film.source,
        split=film.split or "",
        condition=film.condition,
        patient=film.patient or film.id,
        structure=pair.structure,
        definition="" if pair.structure == "heart" else examined.definition or "",
        predicted_definition="" if pair.structure == "heart" else examined.predicted_definition,
        sides=pair.sides,
        case=pair.case,
        height=height,
        width=width,
        row_mm=None if spacing is None else spacing.row_mm,
        col_mm=None if spacing is None else spacing.col_mm,
        truth_px=int(pair.truth.sum()),
        predicted_px=int(pair.predicted.sum()),
        ignored_px=examined.ignored_px,
        scores=score(pair.predicted, pair.truth, spacing=spacing),
        verdict=examined.segmentation.quality.verdict,
        estimated_dice=examined.segmentation.quality.estimated_dice,
        uncertainty=examined.segmentation.quality.uncertainty,
        notes="; ".join(examined.notes),
        **(_heart_fields(examined) if pair.structure == "heart" else {}),
    )


def _heart_fields(examined: Examined) -> dict[str, Any]:
    """The cardiothoracic ratios of the masks, predicted and labelled, and the heart's verdict."""
    result = examined.segmentation
    truth = {pair.structure: pair.truth for pair in examined.pairs}
    verdict = result.quality.heart
    return {
        "ratio": _ratio(result.right, result.left, result.heart),
        "true_ratio": _ratio(truth["right"], truth["left"], truth["heart"])
        if {"right", "left"} <= truth.keys()
        else None,
        "heart_verdict": "" if verdict is None else verdict.verdict,
    }


def _ratio(right: Mask, left: Mask, heart: Mask | None) -> float | None:
    widths = transverse_widths(right, left, heart)
    return None if widths is None else round(widths[0].pixels / widths[1].pixels, DIGITS)


def _pairs(labels: Labels, result: Segmentation, definition: Definition | None) -> tuple[Pair, ...]:
    """The pairs of all structures that are labelled and predicted, without ignored areas.

    The label mask is split into right and left before ignored areas are removed, so that an ignored
    strip across a lung does not split it.
    """
    predictions = {"lungs": result.mask, "right": result.right, "left": result.left}
    if result.heart is not None:
        predictions["heart"] = result.heart
    counted = None if labels.ignore is None else ~labels.ignore
    pairs = []
    for structure, prediction in predictions.items():
        channel = _channel(structure, definition)
        truth = target_for(labels, channel) if channel else None
        if truth is None:
            continue
        predicted = _at_size(prediction, labels.size)
        if counted is not None:
            truth, predicted = truth & counted, predicted & counted
        sides = "" if structure in ("lungs", "heart") else "split"
        if sides and channel in labels.targets:
            sides = "labelled"
        pairs.append(Pair(structure, truth, predicted, sides))
    return tuple(pairs)


def _channel(structure: str, definition: Definition | None) -> str | None:
    """The channel that labels a structure."""
    if structure == "heart":
        return "heart"
    if definition is None:
        return None
    return definition if structure == "lungs" else f"{structure}_{definition}"


def _check_shape(film: Film, image: tuple[int, int], mask: tuple[int, int]) -> None:
    """Check that film and mask have the same aspect ratio. The sizes may differ (as in JSRT)."""
    stretched = (image[0] * mask[1]) / (image[1] * mask[0])
    if abs(stretched - 1) > SAME_SHAPE:
        raise DataError(
            f"{film.id}: its mask is {mask[0]} x {mask[1]} pixels and the film {image[0]} x "
            f"{image[1]}: not the same shape, so not of this film; see `pleura data check`"
        )


def _at_size(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at another size: a pixel belongs to it if at least half of the pixel is covered."""
    if mask.shape == size:
        return mask
    share = Image.fromarray(mask.astype(np.float32))
    resized: Mask = np.asarray(share.resize(size[::-1], Image.Resampling.BOX)) >= 0.5
    return resized


def _spacing_at(size: tuple[int, int], radiograph: Radiograph) -> Spacing | None:
    """The spacing of a mask of `size` (H, W) pixels."""
    known = radiograph.spacing
    if known is None or size == radiograph.size:
        return known
    row_scale, col_scale = radiograph.size[0] / size[0], radiograph.size[1] / size[1]
    return Spacing(known.row_mm * row_scale, known.col_mm * col_scale, known.source)
