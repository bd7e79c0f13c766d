"""The 800-film download: both tuberculosis sets in one folder, with one mask a film.

`CXR_png/X.png`; masks in `masks/`, `X_mask.png` for Shenzhen (Stirenko et al. 2018) and `X.png` for
Montgomery (Candemir et al. 2014). 96 Shenzhen films have no mask; they are read as films without a
mask.
"""

from __future__ import annotations

from pathlib import Path

from pleura.lab.data.film import Film
from pleura.lab.data.layouts.files import pictures
from pleura.lab.data.layouts.public_sets.nlm import MONTGOMERY, pair_field_masks

__all__ = ["EXPECTS", "matches", "read"]

EXPECTS = "CXR_png/X.png with masks/X_mask.png or masks/X.png, Shenzhen and Montgomery mixed"


def matches(path: Path) -> bool:
    """Whether both folders are here, and films of Montgomery among them."""
    films = path / "CXR_png"
    both = films.is_dir() and (path / "masks").is_dir()
    return both and any(films.glob(f"{MONTGOMERY}_*"))


def read(path: Path) -> list[Film]:
    """The films, sorted by id."""
    return pair_field_masks(path / "CXR_png", pictures(path / "masks"))
