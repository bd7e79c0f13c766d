"""Rules for all layouts: which files are pictures, and which mask belongs to a film."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pleura.core.errors import DataError
from pleura.lab.data.film import MaskPart, label_map_parts

__all__ = [
    "MASK_SUFFIXES",
    "SUFFIXES",
    "belongs_to",
    "is_picture",
    "mask_of",
    "parts_of",
    "pictures",
    "require_folder",
    "require_pairs",
]

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
    *(".dcm", ".dicom", ".nii", ".nii.gz"),
)
"""File name endings of pictures; Thumbs.db, .DS_Store and notes are ignored."""

MASK_SUFFIXES = (*SUFFIXES, ".npy")
"""File name endings of masks."""

ENDINGS = ("_mask", "", "_labels", "_seg", "_right", "_left")
"""Endings after a film's stem in the names of its masks; those of Pleura's results included."""


def is_picture(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether the name is that of a picture; hidden copies (`._X.png`) are none."""
    name = path.name.lower()
    return not name.startswith(".") and name.endswith(suffixes)


def pictures(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> dict[str, Path]:
    """The pictures of one folder, by stem, in the order of their names.

    Raises `DataError` if two pictures share a stem.
    """
    by_stem: dict[str, Path] = {}
    for path in sorted(require_folder(folder).iterdir()):
        if not is_picture(path, suffixes) or not path.is_file():
            continue
        stem = _stem(path)
        if stem in by_stem:
            raise DataError(
                f"{folder}: {by_stem[stem].name} and {path.name} have the same stem; "
                "rename or remove one"
            )
        by_stem[stem] = path
    return by_stem


def require_folder(folder: Path) -> Path:
    """The folder itself; raises `DataError` if it is not there."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `pleura data check --help` lists the layouts")
    return folder


def mask_of(stem: str, masks: Mapping[str, Path]) -> Path | None:
    """The mask named `<stem>_mask`, or else `<stem>`."""
    return masks.get(f"{stem}_mask") or masks.get(stem)


def parts_of(stem: str, masks: Mapping[str, Path]) -> tuple[MaskPart, ...]:
    """The masks of the film `stem`: a mask, or a label map, or a mask for each lung.

    `X_mask` and `X`: any value but zero is lung. `X_labels` and `X_seg`: 1 right lung, 2 left
    lung, 3 heart, as Pleura writes them. `X_right` and `X_left`: the patient's.
    """
    mask = mask_of(stem, masks)
    if mask:
        return (MaskPart(mask, "field"),)
    labels = masks.get(f"{stem}_labels") or masks.get(f"{stem}_seg")
    if labels:
        return label_map_parts(labels)
    halves = (
        ("right_field", masks.get(f"{stem}_right")),
        ("left_field", masks.get(f"{stem}_left")),
    )
    return tuple(MaskPart(path, channel) for channel, path in halves if path)


def belongs_to(path: Path, stems: Collection[str]) -> bool:
    """Whether a file is named as a mask of one of the films `stems`."""
    stem = _stem(path)
    return any(stem.endswith(end) and stem.removesuffix(end) in stems for end in ENDINGS)


def _stem(path: Path) -> str:
    return Path(path.name[:-3] if path.name.lower().endswith(".nii.gz") else path.name).stem


def require_pairs(pairs: int, masks: Mapping[str, Path], folder: Path) -> None:
    """Raise `DataError` if there are masks but none belongs to a film."""
    if masks and not pairs:
        name = next(iter(masks.values())).name
        raise DataError(
            f"{folder}: {len(masks)} masks, none named after a film (e.g. {name}); a mask must "
            "have its film's stem, alone or with _mask, _labels, or _right and _left"
        )
