"""Test-time augmentation: variants of a film, and the mean of their maps put back in place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pleura.core.card import Card
from pleura.core.pixels.gaussian import gaussian
from pleura.core.types import Radiograph
from pleura.runtime.segmenter import Segmenter
from pleura.runtime.variants import VARIANTS, Variant, predict_variants

SIDE = 64


class Halves:
    """The bright pixels at the viewer's left are the right lung, those at the right the left."""

    card = Card(name="halves", version="0", channels=("right_field", "left_field"), side=SIDE)
    name = "halves"
    weights_sha256 = "0" * 64

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen.append(batch)
        left = np.arange(SIDE) >= SIDE // 2
        return np.concatenate([batch * ~left, batch * left], axis=1).astype(np.float32)


def square() -> NDArray[np.float32]:
    """(1, 1, S, S): two soft lungs of different size and brightness, far from the middle."""
    picture = np.zeros((SIDE, SIDE), np.float32)
    picture[16:48, 8:24] = 0.9
    picture[20:40, 42:54] = 0.6
    return gaussian(picture, (1.5, 1.5), (6, 6))[None, None]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_variant_is_undone(variant: Variant) -> None:
    engine, given = Halves(), square()
    expected = engine.predict(given)
    maps, known = variant.undo(engine.predict(variant.apply(given)), engine.card.channels)
    assert maps.shape == expected.shape
    assert np.abs(maps - expected)[..., known].max() < 0.06
    assert known.mean() > 0.93
    assert known.all() == (not variant.shift)
    if variant != Variant():
        assert np.abs(variant.apply(given) - given).max() > 0.2


def test_a_mirrored_film_has_its_right_lung_on_the_other_side() -> None:
    right, left = Halves().predict(Variant(mirrored=True).apply(square()))[0]
    assert right.max() < 0.7 < 0.85 < left.max(), "the bright one is the left of the mirror image"


def test_the_mean_is_that_of_all_variants() -> None:
    engine, given = Halves(), square()
    mean = predict_variants(engine, given)
    assert len(engine.seen) == len(VARIANTS) == 4
    assert mean.dtype == np.float32
    assert mean.min() >= 0
    assert np.abs(mean - Halves().predict(given)).max() < 0.03
    # A lost strip is averaged over the others: a network that sees lung everywhere sees it there.
    everywhere = Halves()
    everywhere.predict = lambda batch: np.ones((len(batch), 2, SIDE, SIDE), np.float32)  # type: ignore[method-assign]
    np.testing.assert_allclose(predict_variants(everywhere, given), 1)


def test_a_result_states_it() -> None:
    film = Radiograph(pixels=np.pad(square()[0, 0], 8))
    engine = Halves()
    plain, averaged = (Segmenter(engine, tta=tta)(film) for tta in (False, True))
    assert (plain.provenance.tta, averaged.provenance.tta) == (False, True)
    assert len(engine.seen) == 1 + 4
