"""Mirroring on request: the mirror image of a film, flipped, gives the mirrored result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pleura.core.arrays import Definition
from pleura.core.types import Box, Radiograph, Segmentation, Spacing
from pleura.phantom.film import draw
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.mirror import FLIPPED, mirror_film, mirror_result
from pleura.runtime.open import shipped
from pleura.runtime.segmenter import Segmenter, with_definition


def mirrored(film: Radiograph) -> Radiograph:
    """The same film as a scanner that swaps the sides would store it."""
    return replace(film, pixels=np.ascontiguousarray(film.pixels[:, ::-1]))


def check_mirror_images(upright: Segmentation, flipped: Segmentation) -> None:
    """Byte for byte, with the same names of sides and the same verdict."""
    for name in ("right", "left", "heart"):
        mask, other = getattr(upright, name), getattr(flipped, name)
        assert mask is not None
        assert mask.any(), name
        np.testing.assert_array_equal(other, mask[:, ::-1])
    np.testing.assert_array_equal(
        np.asarray(flipped.probabilities), np.asarray(upright.probabilities)[:, :, ::-1]
    )
    assert flipped.quality == upright.quality
    of_film = len(upright.radiograph.notes)
    assert flipped.notes == (*upright.notes[:of_film], FLIPPED, *upright.notes[of_film:])
    one, other = upright.measurements, flipped.measurements
    boxes = {"right_box": None, "left_box": None, "lungs_box": None}
    assert replace(other, **boxes) == replace(one, **boxes)  # type: ignore[arg-type]
    width = upright.radiograph.size[1]
    for name in boxes:
        box = getattr(one, name)
        mirror_box = replace(box, left=width - box.right, right=width - box.left)
        assert getattr(other, name) == mirror_box


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(shipped())


@pytest.mark.parametrize("definition", ["field", "whole"])
@pytest.mark.parametrize("size", [(512, 431), (801, 660)])
def test_the_mirror_image_of_a_film_gives_the_mirrored_result(
    engine: OnnxEngine, definition: Definition, size: tuple[int, int]
) -> None:
    film = replace(draw(*size).radiograph, spacing=Spacing(0.4, 0.5, "PixelSpacing"))
    upright = Segmenter(engine, definition=definition)(film)
    stored = mirrored(film)
    flipped = Segmenter(engine, definition=definition, flip=True)(stored)
    check_mirror_images(upright, flipped)
    assert flipped.radiograph.pixels is stored.pixels  # the film as it was given
    assert (upright.provenance.flip, flipped.provenance.flip) == (False, True)


def test_the_other_definition_of_a_flipped_film_is_that_of_its_own_segmenter(
    engine: OnnxEngine,
) -> None:
    stored = mirrored(draw(512, 448).radiograph)
    direct = Segmenter(engine, definition="whole", flip=True)(stored)
    field = Segmenter(engine, definition="field", flip=True)(stored)
    derived = with_definition(field, "whole", engine.card)
    np.testing.assert_array_equal(derived.right, direct.right)
    np.testing.assert_array_equal(derived.left, direct.left)
    assert derived.measurements == direct.measurements
    assert derived.quality == direct.quality
    assert derived.provenance == direct.provenance
    assert derived.notes == direct.notes
    assert derived.radiograph.pixels is stored.pixels


def test_flip_settles_the_doubt_of_the_header_and_no_other() -> None:
    film = Radiograph(
        np.arange(6, dtype=np.float32).reshape(2, 3), doubts=("said_mirrored", "said_turned")
    )
    flipped = mirror_film(film)
    assert flipped.doubts == ("said_turned",)
    assert flipped.notes == (FLIPPED,)
    np.testing.assert_array_equal(flipped.pixels, [[2, 1, 0], [5, 4, 3]])
    assert mirror_film(flipped).notes == (FLIPPED,)  # once, however often it is mirrored


def test_boxes_are_mirrored_by_hand(engine: OnnxEngine) -> None:
    # Columns 10 to 29 of 100 are columns 70 to 89 of the mirrored film.
    film = draw(120, 100).radiograph
    result = Segmenter(engine)(film)
    measured = replace(result.measurements, right_box=Box(5, 10, 50, 30), left_box=None)
    turned = mirror_result(replace(result, measurements=measured), mirror_film(film))
    assert turned.measurements.right_box == Box(5, 70, 50, 90)
    assert turned.measurements.left_box is None
    assert turned.measurements.lungs_area_px == measured.lungs_area_px
