"""Every perturbation by hand: the pixels of a film, and its label masks."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.core.types import Radiograph, Spacing
from pleura.lab.data.film import Labels
from pleura.lab.evaluate.perturbation import (
    PERTURBATIONS,
    UNPERTURBED,
    Perturbation,
    contrasted,
    gamma,
    inverted,
    longer_side,
    wider,
)

NAMED = {effect.name: effect for effect in (UNPERTURBED, *PERTURBATIONS)}


def labels(mask: np.ndarray, ignore: np.ndarray | None = None) -> Labels:
    return Labels(MappingProxyType({"field": mask}), ignore)


def film(values: object, spacing: Spacing | None = None) -> Radiograph:
    return Radiograph(np.array(values, np.float32), spacing)


def test_the_table_has_all_perturbations() -> None:
    assert list(NAMED) == [
        "none",
        "mirrored",
        "inverted",
        *(f"turned_{degrees}" for degrees in ("-15", "-10", "-5", "+5", "+10", "+15")),
        "contrast_0.5",
        "contrast_2",
        "gamma_0.5",
        "gamma_2",
        "longer_side_128",
        "longer_side_4000",
        "wider_0.7",
        "wider_0.85",
        "wider_1.2",
        "wider_1.4",
    ]


def test_the_unperturbed_film_is_unchanged() -> None:
    given_film, truth = film([[1, 2], [3, 4]], Spacing(2, 3, "user")), labels(np.eye(2, dtype=bool))
    perturbed = UNPERTURBED.film(given_film)
    assert (perturbed.pixels == given_film.pixels).all()
    assert perturbed.spacing == given_film.spacing
    assert (UNPERTURBED.labels(truth, (2, 2)).targets["field"] == np.eye(2, dtype=bool)).all()


def test_mirrored_mirrors_film_labels_and_ignored_area() -> None:
    mirrored = NAMED["mirrored"]
    assert mirrored.film(film([[1, 2, 3]])).pixels.tolist() == [[3, 2, 1]]
    ignored = np.array([[False, True, True]])
    perturbed = mirrored.labels(labels(np.array([[True, False, False]]), ignored), (1, 3))
    assert perturbed.targets["field"].tolist() == [[False, False, True]]
    assert perturbed.ignore is not None
    assert perturbed.ignore.tolist() == [[True, True, False]]


def test_inverted_swaps_the_greys_and_keeps_the_labels() -> None:
    assert inverted(np.array([[2, 3, 10]], np.float32)).tolist() == [[10, 9, 2]]
    mask = np.array([[True, False, False]])
    assert (NAMED["inverted"].labels(labels(mask), (1, 3)).targets["field"] == mask).all()


@given(st.lists(st.integers(0, 4095), min_size=2, max_size=9))
def test_inverting_or_mirroring_twice_gives_the_same_film(values: list[int]) -> None:
    once = film([values])
    for name in ("inverted", "mirrored"):
        twice = NAMED[name].film(NAMED[name].film(once))
        assert (twice.pixels == once.pixels).all()


def test_contrast_is_about_the_mean_and_clipped() -> None:
    # Shares of 0..255: 0, 0.2, 0.6, 1; mean 0.45. Twice: -0.45, -0.05, 0.75, 1.55 -> 0, 0, 0.75, 1
    # and 0.75 * 255 = 191.25 -> 191. Half: 0.225, 0.325, 0.525, 0.725 -> 57, 83, 134, 185.
    pixels = np.array([[0, 51, 153, 255]], np.float32)
    assert contrasted(pixels, 2.0).tolist() == [[0, 0, 191, 255]]
    assert contrasted(pixels, 0.5).tolist() == [[57, 83, 134, 185]]


def test_gamma_is_a_power_of_the_share_of_the_range() -> None:
    # 100..610 is a range of 510; 227.5 is a quarter of it. Squared 0.0625 -> 16 / 255, root 1/2
    # -> 127.5 -> 128 / 255 (numpy rounds half to even).
    pixels = np.array([[100, 227.5, 610]], np.float32)
    assert gamma(pixels, 2.0).tolist() == [[100, 132, 610]]
    assert gamma(pixels, 0.5).tolist() == [[100, 356, 610]]


def test_a_flat_film_stays_flat() -> None:
    flat = np.full((2, 2), 7, np.float32)
    assert (gamma(flat, 2.0) == 7).all()
    assert (contrasted(flat, 0.5) == 7).all()


def test_sizes() -> None:
    assert longer_side((300, 200), to=128) == (128, 85)  # 200 * 128 / 300 = 85.33
    assert longer_side((200, 400), to=4000) == (2000, 4000)
    assert wider((100, 50), factor=1.4) == (100, 70)


def test_resizing_changes_labels_and_spacing_too() -> None:
    halved = Perturbation(name="half", title="", resize=lambda size: (size[0] // 2, size[1] // 2))
    mask = np.zeros((8, 8), bool)
    mask[:, :4] = True
    perturbed = halved.film(film(mask.astype(float), Spacing(0.2, 0.3, "user")))
    assert perturbed.size == (4, 4)
    assert perturbed.spacing == Spacing(0.4, 0.6, "user")
    truth = halved.labels(labels(mask), (8, 8)).targets["field"]
    assert truth.tolist() == [[True, True, False, False]] * 4


def test_a_mask_of_half_the_films_size_keeps_it_or_becomes_the_films() -> None:
    mask = np.ones((4, 4), bool)
    assert NAMED["mirrored"].labels(labels(mask), (8, 8)).size == (4, 4)
    assert NAMED["wider_1.4"].labels(labels(mask), (10, 10)).size == (10, 14)


@pytest.mark.parametrize("degrees", [90.0, -90.0])
def test_turning_is_anticlockwise_for_film_and_truth(degrees: float) -> None:
    turned = Perturbation(name="t", title="", turned_deg=degrees)
    corner = np.zeros((5, 5), bool)
    corner[0, 4] = True  # top right: anticlockwise to the top left, clockwise to the bottom right
    expected = (0, 0) if degrees > 0 else (4, 4)
    assert turned.film(film(corner.astype(float))).pixels[expected] == pytest.approx(1)
    truth = turned.labels(labels(corner), (5, 5)).targets["field"]
    assert np.argwhere(truth).tolist() == [list(expected)]


def test_a_rotated_film_has_dark_corners_without_labels() -> None:
    turned = NAMED["turned_+15"]
    perturbed = turned.film(film(np.full((40, 40), 9.0) - np.eye(40), Spacing(1, 1, "user")))
    assert perturbed.pixels[0, 39] == 8
    assert perturbed.spacing is not None
    truth = turned.labels(labels(np.ones((40, 40), bool)), (40, 40)).targets["field"]
    assert not truth[0, 39]
    assert truth[20, 20]
    skew = film(np.eye(40), Spacing(1, 2, "user"))
    assert turned.film(skew).spacing is None  # oblong pixels have no spacing after a rotation


def test_rotating_forth_and_back_keeps_the_middle() -> None:
    disc = np.hypot(*(np.mgrid[:81, :81] - 40)) < 20
    off = np.roll(disc, 8, axis=1)
    there, back = NAMED["turned_-10"], NAMED["turned_+10"]
    again = back.labels(there.labels(labels(off), (81, 81)), (81, 81)).targets["field"]
    assert (again ^ off).sum() < 0.02 * off.sum()
    once = there.labels(labels(off), (81, 81)).targets["field"]
    middle = np.argwhere(once).mean(axis=0) - 40
    # (x, y) = (8, 0) turned clockwise by 10 degrees: x = 8 cos 10, y down = 8 sin 10
    assert middle == pytest.approx([8 * np.sin(np.pi / 18), 8 * np.cos(np.pi / 18)], abs=0.1)
