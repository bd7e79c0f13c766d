"""PNG files that Pleura writes, read by Pillow."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from pleura.io.images.write.png import flat_png

PALETTE = (10, 20, 30, 40, 50, 60, 70, 80, 90)
"""Three colours."""


@given(
    arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20))
    | st.integers(255, 514).map(lambda rows: np.tri(rows, 9, -250, dtype=np.uint8) * 255)
)
def test_pillow_reads_what_was_written(levels: NDArray[np.uint8]) -> None:
    read = Image.open(BytesIO(flat_png(levels)))
    assert (read.format, read.mode) == ("PNG", "L")
    np.testing.assert_array_equal(read, levels)


def test_an_array_that_is_not_contiguous_is_written_correctly() -> None:
    levels = np.arange(600, dtype=np.uint8).reshape(300, 2)[:, 1:]
    np.testing.assert_array_equal(Image.open(BytesIO(flat_png(levels))), levels)


def test_a_palette_gives_colours_and_keeps_the_values() -> None:
    levels = np.array([[0, 1], [2, 1]], np.uint8)
    read = Image.open(BytesIO(flat_png(levels, palette=PALETTE)))
    assert read.mode == "P"
    np.testing.assert_array_equal(read, levels)
    assert read.convert("RGB").getpixel((1, 0)) == (40, 50, 60)


def test_a_mask_is_about_as_large_as_written_by_pillow() -> None:
    rows, columns = np.ogrid[:1000, :800]
    disc = (rows - 500) ** 2 + (columns - 400) ** 2 < 300**2
    levels = disc.astype(np.uint8) * 255
    pillow = BytesIO()
    Image.fromarray(levels).save(pillow, "PNG")
    assert len(flat_png(levels)) < 1.1 * pillow.tell()
