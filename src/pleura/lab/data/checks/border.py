"""Comparing the border of a lung mask with its film: it must lie on the lungs.

In a film the lungs are darker than what surrounds them. So along the border of a correct mask the
fine structure of the film is brighter outside than inside, and this contrast is lower for a mask
that is mirrored, turned, shifted, or of another film. No network is needed.

Measured on the films to train on of seven public sets (adults, children, COVID-19): the contrast of
the correct mask was higher than that of the same mask mirrored, upside down or turned on each film.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from pleura.core.arrays import Mask, Pixels
from pleura.core.frame import Frame, normalise

__all__ = [
    "BLOCK",
    "CLEAR",
    "LOOSE",
    "TURNS",
    "BorderView",
    "border_view",
    "exchanged",
    "misplaced",
]

Square: TypeAlias = NDArray[np.float32]
"""(SIDE, SIDE)."""

SIDE = 128
"""The side of the square in which film and mask are compared, px."""

COARSE_PX = 6.0
"""The sigma of the Gaussian that is subtracted from the film, px of the square."""

BAND_PX = 3.0
"""The width of the band on each side of the border, px of the square."""

CLEAR = 0.25
"""The contrast from which a mask may be said to fit. Of 1,707 correct masks the lowest has 0.20,
the median is 0.97."""

LOOSE = 0.18
"""The contrast under which the border of a mask follows no border of the film."""

TURN_GAIN, TURN_SHARE = 0.05, 0.2
"""The gain of contrast that shows that a mask is turned or mirrored, and the least share of the
contrast that it gains; on correct masks every turn loses 0.08 or more."""

OTHER_GAIN = 0.25
"""The gain of contrast that shows that a mask belongs to another film; the best exchange among
correct masks gains up to 0.22."""

SHIFT_PX, SHIFT_GAIN = 5, 0.5
"""The smallest shift that is called one, px of the square, and the gain of contrast that shows it;
for a correct mask the best shift gains up to 0.47, in children whose lungs end behind the liver."""

MAX_SHIFT_PX = 24

ONE_SIDED = 0.1
"""The share of a mask in the other half of the film under which it is called one-sided."""

BLOCK = 512
"""Films that are compared with each other's masks at a time; their squares take 64 MB."""

TURNS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "mirrored": lambda mask: mask[:, ::-1],
    "upside down": lambda mask: mask[::-1],
    "turned by 180 degrees": lambda mask: mask[::-1, ::-1],
    "turned by 90 degrees": lambda mask: np.rot90(mask),
    "turned by 270 degrees": lambda mask: np.rot90(mask, 3),
}
"""Ways in which a mask may lie wrongly on its film."""

QUARTER_TURNS = ("turned by 90 degrees", "turned by 270 degrees")
"""Turns after which one lung cannot fit the other."""


@dataclass(frozen=True, slots=True, eq=False)
class BorderView:
    """A film and the border of its lung mask, in a small square."""

    detail: Square
    """The fine structure of the film, of mean 0 and standard deviation 1."""

    border: Square
    """Weights that give the contrast: positive outside the border, negative inside."""

    one_sided: bool
    """Whether the mask lies in one half of the film: one lung fits its neighbour, mirrored."""

    @property
    def contrast(self) -> float:
        """The film's mean just outside the mask minus that just inside, in standard deviations."""
        return _contrast(self.detail, self.border)


def border_view(pixels: Pixels, lungs: Mask) -> BorderView | None:
    """The view of a film (H, W) and the mask of its lungs; None if either has no structure."""
    square = normalise(Frame(pixels.shape[0], pixels.shape[1], SIDE).fit(pixels))[0]
    fine = square - ndimage.gaussian_filter(square, COARSE_PX)
    deviation = float(fine.std())
    mask = Frame(lungs.shape[0], lungs.shape[1], SIDE).fit(lungs.astype(np.float32))[0] >= 0.5
    if deviation < 1e-6 or not mask.any() or mask.all():
        return None
    detail = ((fine - fine.mean()) / deviation).astype(np.float32)
    halves = mask[:, : SIDE // 2].sum(), mask[:, SIDE // 2 :].sum()
    return BorderView(detail, _border(mask), bool(min(halves) < ONE_SIDED * sum(halves)))


def _border(mask: Mask) -> Square:
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    out = np.zeros(mask.shape, np.float32)
    for distance, sign in ((outside, 1.0), (inside, -1.0)):
        band = (distance > 0) & (distance <= BAND_PX)
        out[band] = sign / max(1, int(band.sum()))
    return out


def _contrast(detail: Square, border: Square) -> float:
    return float((detail * border).sum())


def misplaced(view: BorderView) -> tuple[str, float] | None:
    """How the mask must be moved to fit its film clearly better, and its contrast there.

    A key of `TURNS`, or a shift such as `shifted 16% right`; None for a mask that lies well.
    """
    fits = {
        name: _contrast(view.detail, turn(view.border))
        for name, turn in TURNS.items()
        if name in QUARTER_TURNS or not view.one_sided
    }
    best = max(fits, key=lambda name: fits[name])
    gain = max(TURN_GAIN, TURN_SHARE * fits[best])
    if fits[best] >= CLEAR and fits[best] - view.contrast >= gain:
        return best, fits[best]
    if view.one_sided:
        return None
    right, down, contrast = _best_shift(view)
    far = max(abs(right), abs(down)) >= SHIFT_PX
    if far and contrast >= CLEAR and contrast - view.contrast >= SHIFT_GAIN:
        ways = (_shift_text(right, "left", "right"), _shift_text(down, "up", "down"))
        return f"shifted {' and '.join(way for way in ways if way)}", contrast
    return None


def exchanged(views: Sequence[BorderView | None]) -> Iterator[tuple[int, int, float]]:
    """(i, j, contrast): the mask of film j fits film i clearly better than its own mask does.

    All films are compared with all masks; the memory is that of len(views) ** 2 numbers.
    """
    known = [(index, view) for index, view in enumerate(views) if view is not None]
    if len(known) < 2:
        return
    details = np.stack([view.detail.ravel() for _, view in known])
    borders = np.stack([view.border.ravel() for _, view in known])
    fits = details @ borders.T
    masks = linear_sum_assignment(-fits)[1]
    best = fits[np.arange(len(masks)), masks]
    gains = best - fits.diagonal()
    takers = np.argsort(masks)  # of each film's own mask
    for film in np.flatnonzero((best >= CLEAR) & (gains >= OTHER_GAIN)):
        if gains[takers[film]] >= TURN_GAIN:  # in an exchange, each mask fits better
            yield known[film][0], known[masks[film]][0], float(best[film])


def _best_shift(view: BorderView) -> tuple[int, int, float]:
    """(columns to the right, rows down, contrast) of the place where the mask fits best, px."""
    spectrum = np.fft.rfft2(view.detail) * np.conj(np.fft.rfft2(view.border))
    half, far = SIDE // 2, MAX_SHIFT_PX
    contrasts = np.roll(np.fft.irfft2(spectrum, s=(SIDE, SIDE)), (half, half), (0, 1))
    near = contrasts[half - far : half + far + 1, half - far : half + far + 1]
    down, right = np.unravel_index(int(near.argmax()), near.shape)
    return int(right) - far, int(down) - far, float(near.max())


def _shift_text(steps: int, negative: str, positive: str) -> str:
    """A shift as text, in percent of the film's side; empty for none."""
    return f"{abs(steps) / SIDE:.0%} {positive if steps > 0 else negative}" if steps else ""
