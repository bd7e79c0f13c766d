"""Checks for films of every format: size, aspect, bytes, contrast, spacing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Pixels
from pleura.core.errors import UnsuitableFilm
from pleura.core.frame import dark_and_light
from pleura.core.types import Spacing

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "all_finite",
    "check_bytes",
    "check_contrast",
    "check_size",
    "even_sample",
    "keeps_detail",
    "plausible_spacing",
]

MAX_PIXELS = 60_000_000
"""The most pixels of a film (7,745 x 7,745), checked before it is decoded. The largest
detectors and film scanners stay below 40 million. A film takes up to 18 bytes a pixel while it is
read, segmented and drawn: 1.2 GB at this limit, with the program itself."""

MAX_BYTES = 500_000_000
"""The most bytes of a film's file."""

MIN_SIDE = 32
"""The smallest side of a film, px; a smaller one cannot show a lung."""

MAX_ASPECT = 4.0
"""The largest ratio of the longer to the shorter side."""

MIN_LEVELS = 8
"""The fewest grey values between the dark and the light percentile; a mask has fewer."""

MIN_DETAIL_SHARE = 0.25
"""The smallest share of the pixels with detail that must keep it after a window or lookup table."""

GREYS = 256
"""Grey levels of a screen; pixels within one level of black or white show no detail."""

MIN_FILM_MM, MAX_FILM_MM = 40.0, 600.0
"""The range of a chest film's sides, from a cropped newborn to a magnified 43 cm detector."""

_SAMPLE = 65_536  # pixels whose contrast is measured
_STEP = 64  # every 64th of them usually has enough grey values already


def check_size(height: int, width: int, *, most: int = MAX_PIXELS) -> None:
    """Raise `UnsuitableFilm` for a size that no film has, or of more than `most` pixels."""
    if min(height, width) < MIN_SIDE:
        raise UnsuitableFilm(
            f"the image is {width} x {height} pixels, too small to show a lung; "
            f"give the film itself, at least {MIN_SIDE} pixels a side"
        )
    if height * width > most:
        raise UnsuitableFilm(
            f"the image is {width} x {height} pixels, {height * width / 1e6:.0f} megapixels; "
            f"the limit is {most / 1e6:g}: make it smaller, lungs need no more than 2"
        )
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise UnsuitableFilm(
            f"the image is {width} x {height} pixels, longer than {MAX_ASPECT:g} to 1; "
            "a chest film is not: cut the film out of the picture"
        )


def check_bytes(size: int) -> None:
    """Raise `UnsuitableFilm` for a file with more bytes than a film has."""
    if size > MAX_BYTES:
        raise UnsuitableFilm(
            f"the file has {size / 1e6:.0f} MB, the limit is {MAX_BYTES / 1e6:.0f}: "
            "give one film, or make it smaller"
        )


def check_contrast(pixels: Pixels) -> None:
    """Raise `UnsuitableFilm` for pixels without contrast: flat, a mask, or not finite.

    The contrast is measured between the two percentiles of `core.frame`, to which the network's
    input is scaled, on an even sample of 65,000 pixels or more.
    """
    if not (np.isfinite(pixels.min()) and np.isfinite(pixels.max())):
        raise UnsuitableFilm("some pixels of the film are not finite numbers; export it again")
    sample = _sample(pixels)
    dark, light = dark_and_light(sample)
    if light <= dark:
        raise UnsuitableFilm(
            f"the film shows no contrast: nearly every pixel has the value {dark:g}; "
            "it is blank, or was exported with a wrong window: export it again"
        )
    levels = _levels(sample, dark, light)
    if levels < MIN_LEVELS:
        raise UnsuitableFilm(
            f"the image holds {levels} grey values, too few for a film with contrast; "
            "a mask or a black-and-white copy cannot be segmented: give the film itself"
        )


def all_finite(pixels: Pixels, notes: list[str]) -> Pixels:
    """Replace values that are not finite by the darkest finite value, with a note."""
    bad = ~np.isfinite(pixels)
    if not bad.any():
        return pixels
    if bad.all():
        raise UnsuitableFilm("no pixel of the film is a finite number; export it again")
    notes.append(f"{int(bad.sum())} pixels were not finite numbers; they were made black")
    return np.where(bad, pixels[~bad].min(), pixels)


def keeps_detail(before: Pixels, after: Pixels) -> bool:
    """Whether `after`, a film's values after a window or lookup table, keeps enough detail.

    It does not if more than three quarters of the pixels with detail became black or white.
    """
    return _detail_share(after) >= MIN_DETAIL_SHARE * _detail_share(before)


def _detail_share(pixels: Pixels) -> float:
    """Share of the pixels that are neither black nor white on a screen; 0 with too few greys."""
    sample = _sample(pixels)
    dark, light = dark_and_light(sample)
    if _levels(sample, dark, light) < MIN_LEVELS:
        return 0.0
    grey = (light - dark) / GREYS
    return float(np.mean((sample > dark + grey) & (sample < light - grey)))


def even_sample(pixels: Pixels) -> Pixels:
    """(h, w) evenly spread pixels of (H, W) `pixels`: 65,000 to 262,000 of a large film."""
    step = max(1, int(np.sqrt(pixels.size / _SAMPLE)))
    return pixels[::step, ::step]


def _sample(pixels: Pixels) -> NDArray[np.float32]:
    """(N,) pixels of `even_sample`."""
    return even_sample(pixels).ravel()


def _levels(sample: NDArray[np.float32], dark: float, light: float) -> int:
    """The number of distinct values in (N,) `sample` from `dark` to `light`.

    Counting stops at a part of the sample that has `MIN_LEVELS` of them.
    """
    for step in (_STEP, 1):
        part = sample[::step]
        levels = len(np.unique(part[(part >= dark) & (part <= light)]))
        if levels >= MIN_LEVELS:
            break
    return levels


def plausible_spacing(spacing: Spacing, *, size: tuple[int, int]) -> bool:
    """Whether a film of `size` (H, W) pixels at this spacing could show a chest."""
    sides = size[0] * spacing.row_mm, size[1] * spacing.col_mm
    return min(sides) >= MIN_FILM_MM and max(sides) <= MAX_FILM_MM
