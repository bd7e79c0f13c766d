"""Letters far outside a film's range, and films that merely have a wide one."""

from __future__ import annotations

import numpy as np
import pytest

from pleura.core.frame import Frame, normalise
from pleura.core.pixels.burnt_in import film_range, without_burnt_in

FILM = np.arange(10_000, dtype=np.float32).reshape(100, 100)
"""Every value from 0 to 9999 once."""


def lettered(value: float, rows: int = 4) -> np.ndarray:
    """The ramp with its first `rows` of 100 lines at one value."""
    film = FILM.copy()
    film[:rows] = value
    return film


@pytest.mark.parametrize("rows", [1, 4, 9])
@pytest.mark.parametrize("value", [16_000, 100_000, 1e9])
def test_letters_far_brighter_come_down_to_the_films_white(value: float, rows: int) -> None:
    clipped = without_burnt_in(lettered(value, rows))
    # Of n letters, n / 3 of the film's own pixels may be above its white: 1/4 of all of those.
    assert 9999 - 34 * rows <= clipped.max() <= 9999
    own = clipped[rows:][FILM[rows:] < clipped.max()]
    assert np.array_equal(own, FILM[rows:][FILM[rows:] < clipped.max()])


def test_letters_far_darker_come_up_to_the_films_black() -> None:
    assert without_burnt_in(lettered(-60_000)).min() >= 400 - 1  # the film begins at 400


@pytest.mark.parametrize(
    "film",
    [
        FILM,
        lettered(14_000),  # 1.4 times the range
        lettered(-25_000),  # black borders are darker than the film by so much
        lettered(1e6, rows=12),  # no letters: an eighth of the film
        np.where(np.arange(10_000) == 77, 1e6, np.arange(10_000)).reshape(100, 100),  # one pixel
        np.exp(np.linspace(0, 8, 10_000)).reshape(100, 100),  # a long tail without a gap
        np.full((100, 100), 5.0),
        np.full((100, 100), np.nan),
    ],
)
def test_other_films_are_left_as_they_are(film: np.ndarray) -> None:
    film = film.astype(np.float32)
    assert without_burnt_in(film) is film
    assert film_range(film.ravel()) == (-np.inf, np.inf)


def test_soft_edges_of_letters_are_letters() -> None:
    film = lettered(60_000)
    film[4] = np.linspace(60_000, 10_000, 100)  # a fifth of 500 pixels between
    assert without_burnt_in(film).max() < 16_000


def test_letters_do_not_change_the_input_of_the_network() -> None:
    plain = normalise(Frame(100, 100, 100).fit(without_burnt_in(FILM)))
    square = normalise(Frame(100, 100, 100).fit(without_burnt_in(lettered(65_535))))
    # The letters hide 400 of 10000 values at the dark end: 0.04.
    assert np.abs(square[0, 4:] - plain[0, 4:]).max() < 0.05
