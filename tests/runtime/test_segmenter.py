"""The whole path with an engine whose answer is known, and with the shipped weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

import pleura
from pleura.core.arrays import Mask
from pleura.core.card import Card
from pleura.core.errors import UnsuitableFilm, UsageError
from pleura.core.types import Box, Radiograph, Spacing
from pleura.phantom.film import draw
from pleura.runtime.engine import Engine, OnnxEngine
from pleura.runtime.open import shipped
from pleura.runtime.segmenter import MIN_SIDE, Segmenter

SIDE = 64


@dataclass
class Darkness:
    """An engine: what is dark is lung."""

    name: str = "darkness 1"
    card: Card = field(
        default_factory=lambda: Card(name="dark", version="0", channels=("field",), side=SIDE)
    )
    weights_sha256: str = "0" * 64
    batches: list[tuple[int, ...]] = field(default_factory=list)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) -> (N, 1, S, S)."""
        assert 0 <= batch.min() <= batch.max() <= 1
        self.batches.append(batch.shape)
        return 1 - batch


def film(height: int, width: int, **facts: object) -> Radiograph:
    """Bright, with two dark blocks: rows 1/4 to 3/4, columns 1/8 to 3/8 and 5/8 to 7/8."""
    pixels = np.full((height, width), 3000, np.float32)
    for start in (1, 5):
        at = slice(start * width // 8, (start + 2) * width // 8)
        pixels[height // 4 : 3 * height // 4, at] = 200
    return Radiograph(pixels, **facts)  # type: ignore[arg-type]


def test_a_film_comes_back_at_its_size() -> None:
    # 256 x 128 in a square of 64: 4 x 2 pixels to one, so all edges lie on the grid; resampling
    # rounds off one pixel at each of a block's four corners.
    engine: Engine = Darkness()
    spacing = Spacing(1.0, 2.0, "PixelSpacing")
    result = Segmenter(engine)(film(256, 128, spacing=spacing, notes=("from the reader",)))
    assert result.measurements.right_box == Box(64, 16, 192, 48)
    assert result.measurements.left_box == Box(64, 80, 192, 112)
    assert result.measurements.right_area_cm2 == pytest.approx((128 * 32 - 4) * 2 / 100)
    assert result.probabilities.shape == (1, 256, 128)
    assert result.channels == ("field",)
    assert result.notes == ("from the reader",)
    assert result.heart is None


def test_a_result_has_its_provenance() -> None:
    made = Segmenter(Darkness())(film(128, 128)).provenance
    assert (made.version, made.weights_name, made.engine) == (
        pleura.__version__,
        "dark",
        "darkness 1",
    )
    assert (made.weights_sha256, made.definition) == ("0" * 64, "field")


def test_films_of_many_sizes_are_one_batch() -> None:
    engine = Darkness()
    films = [film(256, 128), film(64, 64), film(333, 517)]
    together = Segmenter(engine).segment(films)
    assert engine.batches == [(3, 1, SIDE, SIDE)]
    for one, result in zip(films, together, strict=True):
        alone = Segmenter(engine)(one)
        np.testing.assert_array_equal(result.mask, alone.mask)
        assert result.radiograph is one
        assert result.mask.shape == one.size


def test_no_films_give_no_batch() -> None:
    engine = Darkness()
    assert Segmenter(engine).segment([]) == []
    assert engine.batches == []


def test_a_definition_the_weights_lack_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="'field', not 'whole'"):
        Segmenter(Darkness(), definition="whole")


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((200, 200), np.float32), "flat"),
        (np.full((200, 200), 7, np.float32), "flat"),
        (np.zeros((MIN_SIDE - 1, 200), np.float32), "31 x 200 pixels"),
        (np.ones((1, 1), np.float32), "1 x 1 pixels"),
        (np.where(np.eye(200) > 0, np.nan, 1).astype(np.float32), "not finite"),
        (np.where(np.eye(200) > 0, np.inf, 1).astype(np.float32), "not finite"),
    ],
)
def test_films_with_nothing_to_segment(pixels: NDArray[np.float32], message: str) -> None:
    with pytest.raises(UnsuitableFilm, match=message):
        Segmenter(Darkness())(Radiograph(pixels))


def dice(a: Mask, b: Mask) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_the_shipped_weights_find_drawn_lungs() -> None:
    drawn = draw(640, 560, seed=1)
    result = Segmenter(OnnxEngine(shipped()))(drawn.radiograph)
    assert dice(result.right, drawn.right) > 0.9
    assert dice(result.left, drawn.left) > 0.9
