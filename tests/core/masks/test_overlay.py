"""Pictures: the right colours in the right places."""

from __future__ import annotations

import numpy as np
import pytest

from pleura.core.arrays import Mask
from pleura.core.masks.overlay import (
    HEART_COLOUR,
    LEFT_COLOUR,
    RIGHT_COLOUR,
    display,
    outline_width,
    paint,
)

HEIGHT, WIDTH = 1000, 1200  # an outline is 3 px wide
GREY = 128


def block(top: int, left: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[top : top + 200, left : left + 300] = True
    return mask


def film() -> np.ndarray:
    """0 and 255 by halves but for a grey field in which everything is drawn."""
    pixels = np.zeros((HEIGHT, WIDTH), np.float32)
    pixels[:, WIDTH // 2 :] = 255
    pixels[50:900, 50:1150] = GREY
    return pixels


def test_fill_and_outline() -> None:
    picture = paint(film(), block(100, 100), block(100, 700))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    for left, colour in ((100, RIGHT_COLOUR), (700, LEFT_COLOUR)):
        for edge in ((100, left + 9), (102, left + 9), (150, left), (150, left + 2)):
            assert tuple(picture[edge]) == colour
        filled = [round(GREY + 0.22 * (value - GREY)) for value in colour]
        assert picture[103, left + 9].tolist() == filled
        assert picture[150, left + 150].tolist() == filled
        assert picture[99, left + 9].tolist() == [GREY] * 3  # outside stays as it was


def test_the_colours_are_the_promised_ones() -> None:
    assert bytes(RIGHT_COLOUR).hex() == "0072b2"
    assert bytes(LEFT_COLOUR).hex() == "d55e00"


def test_the_heart_is_outlined_and_not_filled() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)
    picture = paint(film(), nothing, nothing, heart=block(500, 400))
    assert tuple(picture[500, 500]) == HEART_COLOUR
    assert picture[600, 500].tolist() == [GREY] * 3


def test_a_mask_at_the_films_edge_has_its_outline_there() -> None:
    picture = paint(film(), block(0, 0), block(100, 700))
    assert tuple(picture[0, 150]) == tuple(picture[100, 0]) == RIGHT_COLOUR


def test_outlines_grow_with_the_film() -> None:
    assert [outline_width(side, 2 * side) for side in (100, 512, 1000, 3000)] == [1, 2, 3, 9]


def test_an_outline_is_as_wide_along_a_slope() -> None:
    # A disc: painted from the edge inward, between 3 px and 3 * sqrt(2) on any side.
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - 500, columns - 600)
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)
    picture = paint(film(), distance <= 300, nothing)
    edge = np.all(picture == RIGHT_COLOUR, axis=2)
    assert edge[(distance > 298.5) & (distance <= 299.5)].all()
    assert not edge[distance < 300 - 3 * np.sqrt(2) - 1].any()


def test_display_stretches_between_percentiles() -> None:
    # 0..1000 has its 0.5 and 99.5 percentiles at 5 and 995.
    grey = display(np.arange(1001, dtype=np.float32)[None])
    assert grey.dtype == np.uint8
    assert grey[0, [0, 5, 995, 1000]].tolist() == [0, 0, 255, 255]
    assert abs(int(grey[0, 500]) - 127.5) <= 1


def test_a_burnt_in_letter_does_not_darken_the_film() -> None:
    pixels = np.tile(np.linspace(0, 100, 200, dtype=np.float32), (200, 1))
    marked = pixels.copy()
    marked[:5, :10] = 60000  # 50 of 40,000 pixels
    np.testing.assert_allclose(display(marked)[100], display(pixels)[100], atol=3)


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_a_flat_film_is_black(value: float) -> None:
    assert not display(np.full((5, 5), value, np.float32)).any()


def test_a_large_film_is_sampled_and_looks_the_same() -> None:
    pixels = np.random.default_rng(0).normal(size=(2100, 2000)).astype(np.float32)
    small, large = display(pixels[:1000, :1000]), display(pixels)[:1000, :1000]
    np.testing.assert_allclose(small.astype(int), large.astype(int), atol=2)


def test_the_cardiothoracic_widths_are_drawn_where_they_were_measured() -> None:
    # Heart: columns 400 to 699, middle row 600. Thorax: columns 100 to 999, first in row 100.
    picture = paint(film(), block(100, 100), block(100, 700), heart=block(500, 400))
    for row, ends in ((600, (400, 699)), (100, (100, 999))):
        for column in ends:
            assert tuple(picture[row, column]) == (255, 255, 255)
        # Dashes of 4 widths in 7, from the left end on: 0..11 white, 12..20 dark.
        assert tuple(picture[row, ends[0] + 11]) == (255, 255, 255)
        assert tuple(picture[row, ends[0] + 13]) == (0x10, 0x17, 0x1D)
    without = paint(film(), block(100, 100), block(100, 700))
    assert not (without[600, 400:700] == 255).all(axis=-1).any()


def test_a_bar_at_the_films_edge_stays_inside_it() -> None:
    right, left, heart = (np.zeros((HEIGHT, WIDTH), np.bool_) for _ in range(3))
    right[0:3, 0:50], left[0:3, 1150:1200], heart[0:2, 500:502] = True, True, True
    picture = paint(film(), right, left, heart=heart)
    assert tuple(picture[0, 0]) == tuple(picture[0, 1199]) == (255, 255, 255)
