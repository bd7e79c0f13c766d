"""NLM's Shenzhen films, with the masks that are distributed apart from them.

`CXR_png/CHNCXR_0001_0.png` from NLM; the masks of Stirenko et al. 2018 unpacked beside it as
`mask/` or `masks/` (the public archive nests them: `mask/mask/`), named
`CHNCXR_0001_0_mask.png`. Films are read also if there are no masks.
"""

from __future__ import annotations

from pathlib import Path

from pleura.lab.data.film import Film
from pleura.lab.data.layouts.files import pictures
from pleura.lab.data.layouts.public_sets.nlm import SHENZHEN, pair_field_masks

__all__ = ["EXPECTS", "matches", "read"]

EXPECTS = "CXR_png/CHNCXR_*.png with mask/ or masks/ beside it, holding CHNCXR_*_mask.png"

MASK_FOLDERS = ("masks", "mask/mask", "mask")


def matches(path: Path) -> bool:
    """Whether films of Shenzhen are here."""
    return (path / "CXR_png").is_dir() and any((path / "CXR_png").glob(f"{SHENZHEN}_*"))


def read(path: Path) -> list[Film]:
    """The films, sorted by id."""
    folders = (path / name for name in MASK_FOLDERS)
    folder = next((folder for folder in folders if folder.is_dir()), None)
    return pair_field_masks(path / "CXR_png", pictures(folder) if folder else {})
