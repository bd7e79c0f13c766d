"""Bringing burnt-in letters, far brighter or darker than the film, to the film's own range.

A film is scaled between two percentiles of its pixels before the network. With such letters among
them, the film would be a narrow band of greys and its lungs black. The letters are recognised by
the gap between them and the film, in which nearly no pixel lies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Pixels

__all__ = ["own_range", "without_burnt_in"]

MOST_LETTERS = 0.1
"""The largest share of the pixels that letters have; more belong to the film."""

LEAST_LETTERS = 0.003
"""The smallest share of the pixels; fewer do not reach the percentiles that clip a film."""

FAR_ABOVE, FAR_BELOW = 1.5, 4.0
"""How far letters lie from the film's other end, in ranges of the film. Dark ones must lie farther:
borders and collimators are black too, and the network was trained on films with them."""

BETWEEN = 0.25
"""The largest share of the pixels beyond the film's range that may lie between that range and the
letters, as edges of letters do."""

_SAMPLE = 16_384  # pixels looked at, or up to four times as many


def without_burnt_in(pixels: Pixels) -> Pixels:
    """(H, W) film -> the same, with such letters at the film's own white or black.

    Without such letters, as in nearly every film, the array itself is returned.
    """
    step = max(1, int((pixels.size / _SAMPLE) ** 0.5))
    low, high = own_range(pixels[::step, ::step].ravel())
    if low == -np.inf and high == np.inf:
        return pixels
    return np.clip(pixels, np.float32(low), np.float32(high))


def own_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """(N,) pixels -> the darkest and the brightest value of the film; infinite without letters."""
    if not np.isfinite(values).all():  # the caller refuses these
        return -np.inf, np.inf
    rising = np.sort(values)
    return -_white(-rising[::-1], FAR_BELOW), _white(rising, FAR_ABOVE)


def _white(rising: NDArray[np.float32], far: float) -> float:
    """The brightest of the film's own values, (N,) in rising order; infinite without letters."""
    count = len(rising)
    first, last = int(count * (1 - MOST_LETTERS)), int(count * (1 - LEAST_LETTERS))
    dark = rising[int(count * LEAST_LETTERS)]
    candidates = rising[first:last] - dark
    above = count - 1 - np.arange(first, last)
    beyond = count - np.searchsorted(rising, dark + far * candidates, side="right")
    settled = (candidates > 0) & (beyond >= LEAST_LETTERS * count)
    settled &= beyond >= (1 - BETWEEN) * above
    return float(rising[first + int(settled.argmax())]) if settled.any() else np.inf
