"""Colour pictures: a film saved in colour becomes grey, a photograph is refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.arrays import Pixels
from pleura.core.errors import UnsuitableFilm

__all__ = ["deep_to_grey", "to_grey"]

COLOURED = 24
"""Largest minus smallest of R, G, B (of 255) from which a pixel counts as coloured; JPEG's own
errors on grey films stay below 10."""

COLOURED_SHARE = 0.1
"""Of the pixels; marks and letters in colour take less."""

ONE_TINT = 0.98
"""Length of the mean hue vector (1 = every pixel of one hue) from which colour is a tint, as of a
blue film base that was scanned."""

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601, as Pillow has it
_SAMPLE = 1_000_000  # pixels looked at


def to_grey(
    image: Image.Image, *, photographs: bool = False
) -> tuple[Image.Image, tuple[str, ...]]:
    """An RGB or opaque RGBA picture -> (the same in mode L, notes).

    Raises `UnsuitableFilm` where more than a tenth of the pixels are coloured in several hues;
    with `photographs` that becomes a note.
    """
    rgb = _sample(image)
    coloured = rgb[np.ptp(rgb, axis=2) > COLOURED]
    share = len(coloured) / (rgb.shape[0] * rgb.shape[1])
    if share <= COLOURED_SHARE:
        return image.convert("L"), ()
    if _hue_unity(coloured) < ONE_TINT and photographs:
        return image.convert("L"), (
            f"this looks like a colour photograph ({share:.0%} of its pixels are coloured); "
            "it was read as grey because that was asked for",
        )
    if _hue_unity(coloured) < ONE_TINT:
        raise UnsuitableFilm(
            f"this looks like a colour photograph: {share:.0%} of its pixels are coloured, "
            "a film is grey; give the film as it was exported, or a grey scan of it; "
            "a photograph of a film is segmented all the same with --force"
        )
    return image.convert("L"), ("the picture was tinted; it was read as grey",)


def deep_to_grey(
    rgb: NDArray[np.float32], *, photographs: bool = False
) -> tuple[Pixels, tuple[str, ...]]:
    """(H, W, 3) of any range -> ((H, W) luma in that range, notes); as `to_grey` else."""
    low, high = float(np.nanmin(rgb)), float(np.nanmax(rgb))
    scaled = np.clip((rgb - low) * (255 / (high - low or 1.0)), 0, 255)
    _, notes = to_grey(Image.fromarray(scaled.astype(np.uint8)), photographs=photographs)
    return rgb @ np.array(_LUMA, np.float32), notes


def _sample(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(h, w, 3) float32: rows and columns at even distances, about `_SAMPLE` pixels."""
    step = max(1, int(np.sqrt(image.width * image.height / _SAMPLE)))
    size = -(-image.width // step), -(-image.height // step)
    shift = (1 - step) / 2  # Pillow takes the middle of a pixel: so the first is (0, 0)
    part = image.transform(size, Image.Transform.AFFINE, (step, 0, shift, 0, step, shift))
    return np.asarray(part)[..., :3].astype(np.float32)


def _hue_unity(coloured: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """(N, 3) -> how much one hue rules, in [0, 1]: 1 where all hues agree."""
    red, green, blue = coloured.T
    across = np.stack([(red - green) / np.sqrt(2), (red + green - 2 * blue) / np.sqrt(6)])
    return float(np.hypot(*across.sum(axis=1)) / np.hypot(*across).sum())
