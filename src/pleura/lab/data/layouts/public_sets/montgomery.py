"""The layout of NLM's Montgomery set: films, and a mask for each lung (Candemir et al. 2014).

`CXR_png/MCUCXR_0001_0.png`, `ManualMask/leftMask/MCUCXR_0001_0.png`,
`ManualMask/rightMask/MCUCXR_0001_0.png`.

The description of the set does not state whether `leftMask` is the patient's left or the viewer's.
So the first pair of masks is looked at: in these postero-anterior films the right lung lies on the
viewer's left. Without this check the lungs of all 138 films could be exchanged unnoticed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pleura.core.errors import DataError, FilmError
from pleura.io.images.read_masks import read_mask
from pleura.lab.data.film import Film, MaskPart
from pleura.lab.data.layouts.files import mask_of, pictures, require_pairs
from pleura.lab.data.layouts.public_sets.nlm import MONTGOMERY, SOURCES, condition

__all__ = ["EXPECTS", "matches", "read"]

EXPECTS = "CXR_png/MCUCXR_*.png with ManualMask/leftMask/ and ManualMask/rightMask/"


def matches(path: Path) -> bool:
    """Whether the films and the folder of masks are here."""
    return (path / "CXR_png").is_dir() and (path / "ManualMask").is_dir()


def read(path: Path) -> list[Film]:
    """The films, sorted by id, labelled `right_field` and `left_field` (the patient's)."""
    images = pictures(path / "CXR_png")
    left = pictures(path / "ManualMask" / "leftMask")
    right = pictures(path / "ManualMask" / "rightMask")
    if _lies_right_of(images, right, left):
        left, right = right, left
    films = []
    for stem, image in images.items():
        named = (("right_field", mask_of(stem, right)), ("left_field", mask_of(stem, left)))
        parts = tuple(MaskPart(mask, channel) for channel, mask in named if mask)
        films.append(
            Film(stem, SOURCES[MONTGOMERY], image, parts, patient=stem, condition=condition(stem))
        )
    require_pairs(sum(bool(film.masks) for film in films), {**left, **right}, path)
    return films


def _lies_right_of(
    images: dict[str, Path], first: dict[str, Path], second: dict[str, Path]
) -> bool:
    """Whether `first`'s lung lies on the viewer's right, in the first film that shows both."""
    for stem in images:
        pair = mask_of(stem, first), mask_of(stem, second)
        columns = [_mean_column(path) for path in pair if path]
        if len(columns) == 2 and columns[0] is not None and columns[1] is not None:
            return columns[0] > columns[1]
    return False


def _mean_column(path: Path) -> float | None:
    """Mean column of the non-zero pixels, px; None if there is none."""
    try:
        columns = np.flatnonzero(read_mask(path).read_as(set()).any(axis=0))
    except FilmError as error:
        raise DataError(f"{path}: mask cannot be read ({error})") from error
    return float(columns.mean()) if columns.size else None
