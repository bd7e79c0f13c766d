"""The synthetic film: exact masks at every size, and greys as of real films."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from pleura.core.errors import UsageError
from pleura.phantom.anatomy import FILM_HEIGHT_MM, LEFT, RIGHT, Anatomy, Grid, Thorax
from pleura.phantom.bones import Canvas, Rod, add_rod, add_shell
from pleura.phantom.film import LEAD, Phantom, draw

SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def films() -> dict[int, Phantom]:
    return {seed: draw(256, 224, seed=seed) for seed in SEEDS}


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_one_seed_is_one_film() -> None:
    first, again = draw(160, 140, seed=5), draw(160, 140, seed=5)
    np.testing.assert_array_equal(first.radiograph.pixels, again.radiograph.pixels)
    for name in ("right", "left", "heart"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_another_seed_is_another_person() -> None:
    one, other = draw(160, 140, seed=5), draw(160, 140, seed=6)
    assert 0.5 < dice(one.right, other.right) < 0.99
    assert not np.array_equal(one.radiograph.pixels, other.radiograph.pixels)


@pytest.mark.parametrize("seed", SEEDS)
def test_masks_share_no_pixel(films: dict[int, Phantom], seed: int) -> None:
    film = films[seed]
    layers = film.right.astype(int) + film.left + film.heart
    assert layers.max() == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_each_lung_is_one_piece_on_its_side(films: dict[int, Phantom], seed: int) -> None:
    film = films[seed]
    middle = film.right.shape[1] / 2
    for lung, on_viewers_left in ((film.right, True), (film.left, False)):
        _, pieces = ndimage.label(lung)
        assert pieces == 1
        assert bool(np.nonzero(lung)[1].mean() < middle) == on_viewers_left
        assert np.array_equal(ndimage.binary_fill_holes(lung), lung)
        assert lung[1:-1, 1:-1].sum() == lung.sum()  # clear of the film's edge


@pytest.mark.parametrize("seed", range(12))
def test_proportions_are_those_of_adults(seed: int) -> None:
    """Bounds: mean and three standard deviations of 384 films of adults, of three hospitals."""
    thorax = Thorax(Grid.over(256, 224, Anatomy.of(seed)))
    right, left = thorax.field(RIGHT), thorax.field(LEFT)
    assert 0.16 < (right | left).mean() < 0.44
    assert 0.95 < right.sum() / left.sum() < 1.6
    columns = np.nonzero((right | left).any(axis=0))[0]
    heart = np.nonzero(thorax.heart().any(axis=0))[0]
    ratio = np.ptp(heart) / np.ptp(columns)  # cardiothoracic; over 0.55 is a sick heart
    assert 0.36 < ratio < 0.55


@pytest.mark.parametrize("seed", SEEDS)
def test_right_dome_stands_higher(films: dict[int, Phantom], seed: int) -> None:
    film = films[seed]
    lowest = [np.nonzero(lung.any(axis=1))[0].max() for lung in (film.right, film.left)]
    assert lowest[0] < lowest[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_masks_are_the_same_drawing_at_every_size(seed: int) -> None:
    """Halving a large mask by majority changes only pixels on the outline."""
    small, large = (Thorax(Grid.over(128 * k, 112 * k, Anatomy.of(seed))) for k in (1, 4))
    for drawn, fine in (
        (small.field(RIGHT), large.field(RIGHT)),
        (small.field(LEFT), large.field(LEFT)),
        (small.heart(), large.heart()),
    ):
        blocks = fine.reshape(128, 4, 112, 4).mean(axis=(1, 3))
        differ = drawn != (blocks > 0.5)
        assert not (differ & ((blocks == 0) | (blocks == 1))).any()
        assert dice(drawn, blocks > 0.5) > 0.99


def test_the_film_is_the_same_picture_at_every_size() -> None:
    small = draw(128, 112, seed=1).radiograph.pixels
    large = draw(512, 448, seed=1).radiograph.pixels
    halved = large.reshape(128, 4, 112, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), halved.ravel())[0, 1] > 0.99
    assert np.abs(small - halved).mean() < 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_greys_are_in_the_order_of_a_film(films: dict[int, Phantom], seed: int) -> None:
    """Air < lung < chest wall < spine; lung < heart < belly."""
    film = films[seed]
    pixels = film.radiograph.pixels
    lungs = film.right | film.left
    air = pixels[:4, -4:].mean()
    belly = pixels[-20:, 75:150].mean()
    rows = np.nonzero(film.heart.any(axis=1))[0]
    middle = pixels[rows.min() : rows.max(), 108:116].mean()
    edge = film.right.argmax(axis=1)  # the right lung's outer edge on each row
    wall = np.mean([pixels[row, edge[row] - 9 : edge[row] - 3].mean() for row in rows])
    assert air < pixels[lungs].mean() < pixels[film.heart].mean() < belly
    assert pixels[lungs].mean() < wall < middle
    assert air < 0.25
    assert belly > 0.85


@pytest.mark.parametrize("seed", SEEDS)
def test_lungs_are_grey_as_real_ones_are(films: dict[int, Phantom], seed: int) -> None:
    """Median of a lung after scaling between percentiles: 0.39-0.51 in three hospitals' means."""
    film = films[seed]
    dark, light = np.percentile(film.radiograph.pixels, (0.5, 99.5))
    scaled = (film.radiograph.pixels - dark) / (light - dark)
    assert 0.25 < np.median(scaled[film.right | film.left]) < 0.65


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 32), (57, 203), (300, 90)])
def test_any_size_holds_both_lungs(height: int, width: int) -> None:
    film = draw(height, width, seed=2)
    for layer in (film.right, film.left, film.heart):
        assert layer.shape == (height, width)
        assert layer.dtype == np.bool_
        assert layer.sum() > 20
    pixels = film.radiograph.pixels
    assert pixels.shape == (height, width)
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() < 0.3
    assert 0.8 < pixels.max() <= 1


def test_the_spacing_is_that_of_the_drawn_body() -> None:
    """A square film is as high as the drawn part of the body; a lung is about 25-33 cm high."""
    film = draw(256, 256)
    spacing = film.radiograph.spacing
    assert spacing is not None
    assert spacing.row_mm == spacing.col_mm == FILM_HEIGHT_MM / 256
    rows = np.nonzero(film.right.any(axis=1))[0]
    assert 250 < np.ptp(rows) * spacing.row_mm < 340
    assert film.radiograph.view == "PA"


@pytest.mark.parametrize(("height", "width"), [(31, 200), (200, 31), (0, 0)])
def test_too_small_a_film_is_refused(height: int, width: int) -> None:
    with pytest.raises(UsageError, match=f"at least 32 x 32 pixels, got {height} x {width}"):
        draw(height, width)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="0 or more, got -1"):
        draw(64, 64, seed=-1)


def test_marker_is_an_r_beside_the_right_shoulder() -> None:
    with_letter = draw(512, 448, seed=0).radiograph.pixels
    without = draw(512, 448, seed=0, marker=False).radiograph.pixels
    rows, columns = np.nonzero(with_letter - without > 0.4)
    assert rows.size > 100
    assert rows.max() < 60
    assert columns.max() < 80
    assert LEAD > 0


def test_a_rod_adds_its_volume() -> None:
    """A full rod of radius 4 mm and length 50 mm: pi 16 50 = 2513 mm3; a shell of 1 mm wall and
    mean radius 4 mm: 2 pi 4 50 = 1257 mm3."""
    grid = Grid.over(215, 188, Anatomy.of(0))
    path = np.stack([np.linspace(-25, 25, 201), np.full(201, 200.0), np.zeros(201)], axis=1)
    rod = Rod.round(path, np.full(201, 4.0))
    full, shell = Canvas(grid), Canvas(grid)
    add_rod(full, rod)
    add_shell(shell, rod, np.ones(201))
    pixel_mm2 = full.pitch_mm**2
    assert full.length_mm.sum() * pixel_mm2 == pytest.approx(2513, rel=0.02)
    assert shell.length_mm.sum() * pixel_mm2 == pytest.approx(1257, rel=0.02)
    assert full.length_mm.max() == pytest.approx(8, rel=0.1)  # the diameter


def test_place_is_the_inverse_of_the_grid() -> None:
    grid = Grid.over(90, 70, Anatomy.of(3))
    rows, columns = grid.place(
        grid.x.astype(float), np.broadcast_to(grid.y, grid.x.shape).astype(float)
    )
    np.testing.assert_allclose(rows, np.indices((90, 70))[0], atol=1e-3)
    np.testing.assert_allclose(columns, np.indices((90, 70))[1], atol=1e-3)


def test_the_beam_in_the_lung_is_within_the_body() -> None:
    thorax = Thorax(Grid.over(256, 224, Anatomy.of(1)))
    lung, body = thorax.lung_mm(), thorax.body_mm()
    assert (lung >= 0).all()
    assert (lung <= body).mean() > 0.999
    assert lung[thorax.field(RIGHT)].mean() > 80
    assert lung[thorax.heart()].mean() < 60
