"""One film on trial: the shipped path's answer beside the truth, and the numbers between them.

What is scored is what is shipped: decode, fit, engine, restore, clean-up, at the film's own size.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pleura.core.arrays import Definition, Mask
from pleura.core.errors import DataError
from pleura.core.masks.cleanup import PostProcessor, clean
from pleura.core.types import Radiograph, Segmentation, Spacing
from pleura.lab.data.film import Film, Labels
from pleura.lab.data.labels import target_for
from pleura.lab.evaluate.metrics import Scores, score
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter

__all__ = ["STRUCTURES", "Examined", "Judge", "Pair", "Row", "rows"]

STRUCTURES = ("lungs", "right", "left", "heart")
"""What is scored, each only where the film labels it; right and left are the patient's."""

DEFINITIONS: tuple[Definition, ...] = ("field", "whole")

SAME_SHAPE = 0.01
"""How far the aspects of a film and its mask may differ before they cannot belong together."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One structure, as labelled and as found: (H, W) bool at the mask file's size."""

    structure: str
    """One of `STRUCTURES`."""

    truth: Mask
    """As the source labels it."""

    predicted: Mask
    sides: str = ""
    """For right and left: `labelled` by the source, or `split` from both lungs together."""

    @property
    def case(self) -> str:
        """`both` masks hold something, or it was `missed`, `invented`, or there is `neither`."""
        found = bool(self.truth.any()), bool(self.predicted.any())
        return {
            (True, True): "both",
            (True, False): "missed",
            (False, True): "invented",
            (False, False): "neither",
        }[found]


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A film with its answer and its truth."""

    film: Film
    radiograph: Radiograph
    found: Segmentation
    """The answer as every user gets it, at the film's own size."""

    pairs: tuple[Pair, ...]
    definition: Definition | None
    """Which lung the film labels; None if it labels no lung."""

    predicted_definition: Definition
    spacing: Spacing | None
    """Of the masks' pixels."""

    ignored_px: int
    """Pixels left out of both masks."""

    notes: tuple[str, ...]
    seconds: float
    """From file to masks, without the scoring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One structure of one film, scored."""

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
    """On the film, the same in each of its rows."""

    estimated_dice: float | None = None
    """Of the film's lungs, by its result alone."""

    notes: str = ""

    @property
    def comparable(self) -> bool:
        """False where a mask of one definition was scored against one of the other."""
        return self.structure == "heart" or self.definition == self.predicted_definition


class Judge:
    """Holds films against their masks, with one engine."""

    def __init__(
        self,
        engine: Engine,
        *,
        lungs: Definition | None = None,
        postprocess: PostProcessor = clean,
    ) -> None:
        """Predict the lungs as each film labels them, or always as `lungs` says.

        `postprocess` makes the masks of the probability maps; `clean` is what ships.

        Raises:
            UsageError: these weights do not give `lungs`.
        """
        offered = (lungs,) if lungs else engine.card.definitions
        self.engine = engine
        self.segmenters = {
            each: Segmenter(engine, definition=each, postprocess=postprocess) for each in offered
        }

    def examine(self, film: Film) -> Examined:
        """Segment `film` and put its masks beside the answer.

        Raises:
            FilmError: the film cannot be read or segmented.
            DataError: its masks cannot be read, or belong to another film.
        """
        labels = film.read_labels()
        definition, predicted = self._definitions(film)
        start = time.perf_counter()
        radiograph = film.read_image()
        found = self.segmenters[predicted](radiograph)
        seconds = time.perf_counter() - start
        _check_shape(film, radiograph.size, labels.size)
        return Examined(
            film=film,
            radiograph=radiograph,
            found=found,
            pairs=_pairs(labels, found, definition),
            definition=definition,
            predicted_definition=predicted,
            spacing=_spacing_at(labels.size, radiograph),
            ignored_px=0 if labels.ignore is None else int(labels.ignore.sum()),
            notes=found.notes,
            seconds=seconds,
        )

    def _definitions(self, film: Film) -> tuple[Definition | None, Definition]:
        """Which lung the film labels and which is predicted: the same one where that is possible.

        Where it is not, the rows say so (`Row.comparable`) and stay out of the overall scores.
        """
        labelled = [
            each for each in DEFINITIONS if film.channels & {each, f"right_{each}", f"left_{each}"}
        ]
        for each in self.segmenters:
            if each in labelled:
                return each, each
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
        verdict=examined.found.quality.verdict,
        estimated_dice=examined.found.quality.estimated_dice,
        notes="; ".join(examined.notes),
    )


def _pairs(labels: Labels, found: Segmentation, definition: Definition | None) -> tuple[Pair, ...]:
    """Every structure that both sides have; areas to ignore are left out of both masks.

    The truth is split into lungs before anything is left out, so that an ignored strip across
    a lung does not make two of it.
    """
    answers = {"lungs": found.mask, "right": found.right, "left": found.left}
    if found.heart is not None:
        answers["heart"] = found.heart
    counted = None if labels.ignore is None else ~labels.ignore
    pairs = []
    for structure, answer in answers.items():
        channel = _channel(structure, definition)
        truth = target_for(labels, channel) if channel else None
        if truth is None:
            continue
        predicted = _at_size(answer, labels.size)
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
    """A mask may be larger or smaller than its film (JSRT's are half as large), not stretched."""
    stretched = (image[0] * mask[1]) / (image[1] * mask[0])
    if abs(stretched - 1) > SAME_SHAPE:
        raise DataError(
            f"{film.id}: its mask is {mask[0]} x {mask[1]} pixels and the film {image[0]} x "
            f"{image[1]}: not the same shape, so not of this film; see `pleura data check`"
        )


def _at_size(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at another size: a pixel is in if at least half of it is covered."""
    if mask.shape == size:
        return mask
    share = Image.fromarray(mask.astype(np.float32))
    resized: Mask = np.asarray(share.resize(size[::-1], Image.Resampling.BOX)) >= 0.5
    return resized


def _spacing_at(size: tuple[int, int], radiograph: Radiograph) -> Spacing | None:
    """The film's spacing, for pixels of masks of `size`."""
    known = radiograph.spacing
    if known is None or size == radiograph.size:
        return known
    down, across = radiograph.size[0] / size[0], radiograph.size[1] / size[1]
    return Spacing(known.row_mm * down, known.col_mm * across, known.source)
