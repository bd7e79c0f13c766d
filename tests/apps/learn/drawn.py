"""A film that the tiny network segments, and a mask that lies lower than its lungs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64


def film_and_low_mask() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two dark lungs of 32 rows on a bright ground, and a mask of them 4 rows too low."""
    film = np.tile((200 + np.arange(SIDE) // 4).astype(np.uint8), (SIDE, 1))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for columns in (slice(8, 24), slice(40, 56)):
        film[16:48, columns] = 40
        mask[20:52, columns] = 255
    return film, mask


def save_film_and_low_mask(folder: Path) -> None:
    """Write them as film.png and mask.png into a new folder."""
    folder.mkdir(parents=True)
    for name, values in zip(("film", "mask"), film_and_low_mask(), strict=True):
        Image.fromarray(values).save(folder / f"{name}.png")
