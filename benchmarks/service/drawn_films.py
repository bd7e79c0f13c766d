"""Synthetic films for measurements of the page: one chest, with noise of its own in each film."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.phantom.film import draw

__all__ = ["draw_films"]


def draw_films(folder: Path, megapixels: Iterable[float], *, bits: int = 8) -> list[Path]:
    """Write films of these sizes as PNG files of 8 or 16 bits; returns their paths, in order."""
    paths = []
    for number, size in enumerate(megapixels):
        pixels = _chest(size)
        noise = np.random.default_rng(number).normal(0, 2 / 255, pixels.shape)
        most = 2**bits - 1
        levels = np.clip(most * (pixels + noise), 0, most)
        path = folder / f"{number:04d}_{size:g}mp.png"
        Image.fromarray(levels.astype(np.uint8 if bits == 8 else np.uint16)).save(path)
        paths.append(path)
    return paths


@lru_cache(maxsize=1)
def _chest(megapixels: float) -> NDArray[np.float64]:
    """A chest in greys from 0 to 1."""
    height = round((megapixels * 1e6 * 8 / 7) ** 0.5)
    pixels = draw(height, height * 7 // 8).radiograph.pixels.astype(np.float64)
    return (pixels - pixels.min()) / np.ptp(pixels)
