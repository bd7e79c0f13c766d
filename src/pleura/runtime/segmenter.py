"""Segmenting films: resize, predict, resize back, clean up, judge, measure. All commands use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pleura._version import __version__
from pleura.core.arrays import Definition, Square
from pleura.core.card import Card
from pleura.core.errors import UnsuitableFilm
from pleura.core.frame import Frame, ProbabilityMaps, normalise
from pleura.core.masks.cleanup import PostProcessor, check_definition, clean
from pleura.core.masks.measure import measure
from pleura.core.pixels.burnt_in import without_burnt_in
from pleura.core.quality.verdict import judge_masks
from pleura.core.types import LungMasks, Provenance, Radiograph, Segmentation
from pleura.runtime.engine import Engine
from pleura.runtime.mirror import BY_HEADER, FLIPPED, mirror_film, mirror_result
from pleura.runtime.variants import predict_variants

__all__ = ["MIN_SIDE", "Segmenter", "with_definition"]

MIN_SIDE = 32
"""The smallest side of a film, px; a lung cannot be seen on a smaller one."""


class Segmenter:
    """Resize, predict, resize back, clean up, judge, measure. Several threads may call it."""

    def __init__(
        self,
        engine: Engine,
        *,
        definition: Definition = "field",
        flip: bool = False,
        tta: bool = False,
        postprocess: PostProcessor = clean,
    ) -> None:
        """Segment with `engine`; the lungs follow `definition`.

        A film that is stored mirrored according to its header (`film.mirrored`) is mirrored left to
        right before it is segmented, and its result is mirrored back. With `flip` every film is
        mirrored; use it for mirrored films whose header does not say so. Masks, boxes and maps lie
        on the film as it was given, and the right lung is the patient's.
        With `tta` the maps are means over variants of each film; see `runtime.variants`.
        `postprocess` makes the masks from the probability maps; only studies pass another one.

        Raises:
            UsageError: these weights do not give that definition.
        """
        check_definition(engine.card.channels, definition)
        self.engine = engine
        self.definition: Definition = definition
        self.flip = flip
        self.tta = tta
        self.postprocess = postprocess

    @property
    def provenance(self) -> Provenance:
        """The provenance of every result; it does not depend on the film."""
        return Provenance(
            version=__version__,
            weights_name=self.engine.card.name,
            weights_sha256=self.engine.weights_sha256,
            engine=self.engine.name,
            definition=self.definition,
            flip=self.flip,
            tta=self.tta,
        )

    def __call__(self, radiograph: Radiograph) -> Segmentation:
        """Segment one film; `UnsuitableFilm` if it is too small, flat, or not finite."""
        return self.segment([radiograph])[0]

    def segment(self, films: Sequence[Radiograph]) -> Sequence[Segmentation]:
        """Segment films of any sizes in one batch; the results are in the order of the films.

        If one film cannot be segmented, none is: the first of them raises `UnsuitableFilm`.
        """
        if not films:
            return []
        note = FLIPPED if self.flip else BY_HEADER
        turned = [self.flip or film.mirrored for film in films]
        upright = self._segment_unmirrored(
            [
                mirror_film(film, note) if turn else film
                for film, turn in zip(films, turned, strict=True)
            ]
        )
        return [
            mirror_result(result, film) if turn else result
            for result, film, turn in zip(upright, films, turned, strict=True)
        ]

    def _segment_unmirrored(self, films: Sequence[Radiograph]) -> list[Segmentation]:
        """Segment films without mirroring them."""
        frames = [Frame(*film.size, self.engine.card.side) for film in films]
        squares = [_square(f, film) for f, film in zip(frames, films, strict=True)]
        batch = np.stack(squares)
        maps = predict_variants(self.engine, batch) if self.tta else self.engine.predict(batch)
        return [
            self._finish(film, ProbabilityMaps(predicted, frame))
            for film, frame, predicted in zip(films, frames, maps, strict=True)
        ]

    def _finish(self, film: Radiograph, maps: ProbabilityMaps) -> Segmentation:
        """Clean, judge and measure one film."""
        channels = self.engine.card.channels
        lungs = self.postprocess(maps, channels, definition=self.definition)
        return _judged(film, maps, lungs, card=self.engine.card, made_by=self.provenance)


def with_definition(segmentation: Segmentation, definition: Definition, card: Card) -> Segmentation:
    """The same film's lungs by another definition; the network does not run again.

    Equal to what a `Segmenter` of that definition gives; `card` is that of the same weights.

    Raises:
        UsageError: these weights do not give that definition.
    """
    check_definition(card.channels, definition)
    if segmentation.provenance.flip or segmentation.radiograph.mirrored:
        given = segmentation.radiograph
        upright = mirror_result(segmentation, mirror_film(given))
        return mirror_result(_by_definition(upright, definition, card), given)
    return _by_definition(segmentation, definition, card)


def _by_definition(segmentation: Segmentation, definition: Definition, card: Card) -> Segmentation:
    made_by = replace(segmentation.provenance, definition=definition)
    film, maps = segmentation.radiograph, segmentation.probabilities
    lungs = clean(maps, card.channels, definition=definition)
    return _judged(film, maps, lungs, card=card, made_by=made_by)


def _judged(
    film: Radiograph,
    maps: ProbabilityMaps,
    lungs: LungMasks,
    *,
    card: Card,
    made_by: Provenance,
) -> Segmentation:
    """The masks with their verdict and measurements."""
    quality = judge_masks(maps, lungs, card, definition=made_by.definition, doubts=film.doubts)
    measured = measure(
        lungs.right,
        lungs.left,
        heart=lungs.heart,
        spacing=film.spacing,
        gives_ratio=quality.gives_ratio,
    )
    return Segmentation(
        radiograph=film,
        lungs=lungs,
        probabilities=maps,
        channels=card.channels,
        quality=quality,
        measurements=measured,
        provenance=made_by,
    )


def _square(frame: Frame, film: Radiograph) -> Square:
    """The network's input for `film`: (1, S, S) float32 in [0, 1]."""
    height, width = film.size
    if min(height, width) < MIN_SIDE:
        raise UnsuitableFilm(
            f"the picture is {height} x {width} pixels; expected at least {MIN_SIDE} on each side"
        )
    fitted = frame.fit(without_burnt_in(film.pixels))
    if not np.isfinite(fitted).all():
        raise UnsuitableFilm("some pixels are not finite numbers; replace nan and inf first")
    square = normalise(fitted)
    if not square.any():
        raise UnsuitableFilm(
            "the picture is flat: (nearly) every pixel has the same value; "
            "expected a chest radiograph"
        )
    return square
