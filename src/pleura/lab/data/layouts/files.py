"""Rules for all layouts: which files are pictures, and which mask belongs to a film."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from pleura.core.errors import DataError
from pleura.io.sniff import is_dicom
from pleura.lab.data.film import MaskPart, label_map_parts
from pleura.lab.data.layouts.structures import Meanings, parts_by_value, segment_parts

__all__ = [
    "MASK_SUFFIXES",
    "SUFFIXES",
    "belongs_to",
    "by_spelling",
    "is_picture",
    "mask_of",
    "parts_of",
    "pictures",
    "require_folder",
    "require_pairs",
    "segments_of",
]

_HEAD = 1024  # bytes that are enough to recognise DICOM

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
    *(".dcm", ".dicom", ".nii", ".nii.gz"),
)
"""File name endings of pictures; Thumbs.db, .DS_Store and notes are ignored."""

MASK_SUFFIXES = (*SUFFIXES, ".npy")
"""File name endings of masks."""

MASK_NAMES = (
    *("{}_mask", "{}", "mask_{}", "{}_masks", "{}_seg", "{}_segmentation", "seg_{}"),
    *("{}_label", "label_{}", "{}_lung", "{}_lungs", "{}_gt", "{}_lung_mask", "{}_lungmask"),
    *("{}_manual", "{}_annotation"),
)
"""Names of the mask of a film, the first that is there; `{}` is the film's stem. Case does not
matter, and `-`, `.` and a space are as good as `_`."""

LABEL_NAMES = ("{}_labels", "{}_seg_labelmap", "{}_seg_fractional")
"""Names of further results of Pleura that hold several structures."""

NAMES = (
    *(*MASK_NAMES, *LABEL_NAMES, "{}_right", "{}_left", "{}_coco"),
    *("{}_overlay", "{}_crop", "{}_crop_mask"),
)
"""Names of all masks of a film; those of Pleura's results included."""


def is_picture(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether the name is that of a picture; hidden copies (`._X.png`) do not count."""
    name = path.name.lower()
    return not name.startswith(".") and name.endswith(suffixes)


def pictures(
    folder: Path, suffixes: tuple[str, ...] = SUFFIXES, *, nested: bool = False
) -> dict[str, Path]:
    """The pictures of one folder, by stem, in the order of their names; DICOM without suffix too.

    With `nested`, those of its folders too: the stem of `a/X.png` is `a_X`.
    Raises `DataError` if two pictures share a stem.
    """
    by_stem: dict[str, Path] = {}
    files = require_folder(folder).rglob("*") if nested else require_folder(folder).iterdir()
    for path in sorted(files):
        if not (is_picture(path, suffixes) or _is_nameless_dicom(path)) or not path.is_file():
            continue
        stem = "_".join((*path.relative_to(folder).parts[:-1], _stem(path)))
        if stem in by_stem:
            raise DataError(
                f"{folder}: {by_stem[stem].name} and {path.name} have the same stem {stem}; "
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


def by_spelling(masks: Mapping[str, Path]) -> dict[str, Path]:
    """The masks by their name in lower case, and by its plain spelling if no other mask has it."""
    plain = Counter(_plain(name) for name in masks)
    alike = {_plain(name): path for name, path in masks.items() if plain[_plain(name)] == 1}
    return alike | {name.lower(): path for name, path in masks.items()}


def parts_of(
    stem: str, masks: Mapping[str, Path], meanings: Meanings | None = None
) -> tuple[MaskPart, ...]:
    """The masks of the film `stem`: a mask, or a label map, or a mask for each lung.

    `masks` are those of `by_spelling`.

    `X_mask`, `X` and other `MASK_NAMES`: by the stated meanings, else any value but zero is lung.
    `X_labels`: 1 right lung, 2 left lung, 3 heart, as Pleura writes them, if no meaning is stated.
    DICOM segmentations: by the names of the segments. `X_right` and `X_left`: the patient's.
    """

    def named(*patterns: str) -> Path | None:
        names = [pattern.format(stem) for pattern in patterns]
        paths = (masks.get(spelt(name)) for spelt in (str.lower, _plain) for name in names)
        return next((path for path in paths if path), None)

    mask = named(*MASK_NAMES)
    path = mask or named(*LABEL_NAMES)
    if path is not None:
        plain = (MaskPart(path, "field"),) if mask else label_map_parts(path)
        stated = meanings or {}
        return segments_of(path, stated) or parts_by_value(path, stated) or plain
    halves = (("right_field", named("{}_right")), ("left_field", named("{}_left")))
    return tuple(MaskPart(path, channel) for channel, path in halves if path)


def segments_of(path: Path, meanings: Meanings) -> tuple[MaskPart, ...]:
    """The parts of a DICOM segmentation by its segments' names; empty for other files."""
    return (segment_parts(path, meanings) if _is_dicom(path) else None) or ()


def belongs_to(path: Path, stems: Collection[str]) -> bool:
    """Whether a file is named as a mask of one of the films `stems`."""
    own = _plain(_stem(path))
    ends = [name.split("{}") for name in NAMES]
    named = {
        own.removeprefix(start).removesuffix(end)
        for start, end in ends
        if own.startswith(start) and own.endswith(end)
    }
    return bool(named & {_plain(stem) for stem in stems})


def _plain(name: str) -> str:
    """A name in lower case, with `_` for each separator of words."""
    return re.sub(r"[-_. ]+", "_", unicodedata.normalize("NFC", name).lower())


def _is_nameless_dicom(path: Path) -> bool:
    """Whether a file without a suffix, or with a number as one, is a DICOM file."""
    suffix = path.suffix.lower().lstrip(".")
    if path.name.startswith(".") or (suffix and not suffix.isdecimal()) or not path.is_file():
        return False
    return _is_dicom(path)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return is_dicom(stream.read(_HEAD))
    except OSError:
        return False


def _stem(path: Path) -> str:
    if path.suffix.lstrip(".").isdecimal():  # a part of a UID, not a suffix
        return path.name
    return Path(path.name[:-3] if path.name.lower().endswith(".nii.gz") else path.name).stem


def require_pairs(pairs: int, masks: Mapping[str, Path], folder: Path) -> None:
    """Raise `DataError` if there are masks but none belongs to a film."""
    if masks and not pairs:
        name = next(iter(masks.values())).name
        raise DataError(
            f"{folder}: {len(masks)} masks, none named after a film (e.g. {name}); a mask must "
            "have its film's stem X: X, X_mask, mask_X, X_seg, X_labels, or X_right and X_left"
        )
