"""Bringing burnt-in letters, far brighter or darker than the film, to the film's own range.

A film is scaled between two percentiles of its pixels before the network. If such letters reach
these percentiles, the film keeps only a narrow band of greys, and its lungs become black. The
letters are recognised by the gap between their grey values and those of the film: nearly no pixel
lies in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Pixels

__all__ = ["film_range", "without_burnt_in"]

MAX_LETTERS = 0.1
"""The largest share of all pixels that can be letters; a larger part belongs to the film."""

MIN_LETTERS = 0.003
"""The smallest share of all pixels that can be letters; fewer do not reach the percentiles between
which a film is scaled."""

FAR_ABOVE, FAR_BELOW = 1.5, 4.0
"""The smallest distance of bright letters from the darkest pixel of the film, and of dark letters
from its brightest pixel, in ranges of the film. The distance of dark letters is larger, because
borders and collimators are black too, and the network was trained on films with them."""

BETWEEN = 0.25
"""The largest share of the pixels beyond the film's range that may lie between that range and the
letters, as edges of letters do."""

_SAMPLE = 16_384  # pixels looked at, or up to four times as many


def without_burnt_in(pixels: Pixels) -> Pixels:
    """(H, W) film -> the same film, with burnt-in letters at its brightest or darkest value.

    Without such letters, as in nearly every film, the array itself is returned.
    """
    step = max(1, int((pixels.size / _SAMPLE) ** 0.5))
    low, high = film_range(pixels[::step, ::step].ravel())
    if low == -np.inf and high == np.inf:
        return pixels
    return np.clip(pixels, np.float32(low), np.float32(high))


def film_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """(N,) pixels -> the darkest and the brightest value of the film without its letters.

    A value is infinite if there are no letters on that side.
    """
    if not np.isfinite(values).all():  # the caller raises `UnsuitableFilm` for these
        return -np.inf, np.inf
    rising = np.sort(values)
    darkest = -_brightest_of_film(-rising[::-1], FAR_BELOW)
    return darkest, _brightest_of_film(rising, FAR_ABOVE)


def _brightest_of_film(rising: NDArray[np.float32], distance: float) -> float:
    """The brightest value of the film without bright letters; infinite if there are none.

    `rising` are (N,) pixels in rising order; `distance` is that of the letters, in ranges of the
    film. The result is the first of the brightest pixels above which nearly all are that far away.
    """
    count = len(rising)
    first, last = int(count * (1 - MAX_LETTERS)), int(count * (1 - MIN_LETTERS))
    darkest = rising[int(count * MIN_LETTERS)]
    film_ranges = rising[first:last] - darkest
    brighter = count - 1 - np.arange(first, last)
    far = count - np.searchsorted(rising, darkest + distance * film_ranges, side="right")
    fits = (film_ranges > 0) & (far >= MIN_LETTERS * count)
    fits &= far >= (1 - BETWEEN) * brighter
    return float(rising[first + int(fits.argmax())]) if fits.any() else np.inf
