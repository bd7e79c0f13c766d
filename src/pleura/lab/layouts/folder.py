"""People's own films: `images/` and `masks/`, a mask having its film's stem, or that and `_mask`.

Masks mean `field`, any non-zero pixel being lung. For other labels, several hospitals, patients
with more than one film, or fixed splits, write a `manifest.csv`.
"""

from __future__ import annotations

from pathlib import Path

from pleura.lab.films import Film, MaskPart
from pleura.lab.layouts.files import mask_of, pictures, require_pairs

__all__ = ["EXPECTS", "matches", "read"]

EXPECTS = "images/X.* with masks/X.* or masks/X_mask.*"


def matches(path: Path) -> bool:
    """Whether both folders are here."""
    return (path / "images").is_dir() and (path / "masks").is_dir()


def read(path: Path) -> list[Film]:
    """The films, sorted by id; each is its own patient, the source is the folder's name."""
    images, masks = pictures(path / "images"), pictures(path / "masks")
    found = {stem: mask_of(stem, masks) for stem in images}
    require_pairs(sum(mask is not None for mask in found.values()), masks, path)
    source = path.resolve().name
    return [
        Film(stem, source, image, (MaskPart(mask, "field"),) if mask else (), patient=stem)
        for (stem, image), mask in zip(images.items(), found.values(), strict=True)
    ]
