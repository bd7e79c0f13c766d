"""What every layout shares: which files are pictures, and which mask belongs to which film."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pleura.core.errors import DataError

__all__ = ["SUFFIXES", "is_picture", "mask_of", "pictures", "require_folder", "require_pairs"]

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
    *(".dcm", ".dicom", ".nii", ".nii.gz"),
)
"""File name endings of pictures; Thumbs.db, .DS_Store and notes are left aside."""


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture, and not of a hidden copy (`._X.png`)."""
    name = path.name.lower()
    return not name.startswith(".") and name.endswith(SUFFIXES)


def pictures(folder: Path) -> dict[str, Path]:
    """The pictures of one folder, by stem, in the order of their names.

    Raises `DataError` if two pictures share a stem: which one is meant cannot be known.
    """
    found: dict[str, Path] = {}
    for path in sorted(require_folder(folder).iterdir()):
        if not is_picture(path) or not path.is_file():
            continue
        stem = Path(path.name[:-3] if path.name.lower().endswith(".nii.gz") else path.name).stem
        if stem in found:
            raise DataError(
                f"{folder}: {found[stem].name} and {path.name} have the same stem; "
                "rename or remove one"
            )
        found[stem] = path
    return found


def require_folder(folder: Path) -> Path:
    """The folder itself; raises `DataError` if it is not there."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `pleura data check --help` lists the layouts")
    return folder


def mask_of(stem: str, masks: Mapping[str, Path]) -> Path | None:
    """The mask named `<stem>_mask`, or else `<stem>`."""
    return masks.get(f"{stem}_mask") or masks.get(stem)


def require_pairs(pairs: int, masks: Mapping[str, Path], folder: Path) -> None:
    """Raise `DataError` if there are masks but not one belongs to a film."""
    if masks and not pairs:
        name = next(iter(masks.values())).name
        raise DataError(
            f"{folder}: {len(masks)} masks, none named after a film (e.g. {name}); a mask must "
            "have its film's stem, with or without `_mask`"
        )
