"""The files a result can be written as. A new format is a line in `FORMATS`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pleura.core.errors import UsageError
from pleura.core.types import Segmentation
from pleura.io.coco import write_coco
from pleura.io.masks import write_labels, write_mask, write_nifti, write_npy, write_split
from pleura.io.pictures import write_crop, write_overlay
from pleura.io.whole import written_whole

__all__ = ["FORMATS", "Format", "Writer", "check_formats", "output_paths", "write_outputs"]

Writer = Callable[[Segmentation, Path], list[Path]]
"""(segmentation, stem) -> the files written, each `stem` with an ending behind its name."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a result."""

    write: Writer
    endings: tuple[str, ...]
    """Of the files it writes, put behind the film's stem."""

    says: str
    """For lists of formats."""


def _write_probabilities(segmentation: Segmentation, stem: Path) -> list[Path]:
    path = stem.with_name(f"{stem.name}_probabilities.npz")
    with written_whole(path) as file:
        np.savez_compressed(
            file,
            probabilities=segmentation.probabilities.astype(np.float16),
            channels=np.array(segmentation.channels),
        )
    return [path]


FORMATS: dict[str, Format] = {
    "mask": Format(write_mask, ("_mask.png",), "both lungs, PNG of 0 and 255"),
    "overlay": Format(write_overlay, ("_overlay.png",), "the film with the lungs coloured"),
    "split": Format(write_split, ("_right.png", "_left.png"), "one PNG a lung"),
    "labels": Format(write_labels, ("_labels.png",), "PNG: 1 right, 2 left, 3 heart"),
    "npy": Format(write_npy, ("_labels.npy",), "the labels as a numpy array"),
    "nifti": Format(write_nifti, ("_labels.nii.gz",), "the labels as NIfTI"),
    "coco": Format(write_coco, ("_coco.json",), "COCO JSON, polygons and RLE"),
    "crop": Format(write_crop, ("_crop.png",), "the film cut to the lungs, 5% margin"),
    "probabilities": Format(
        _write_probabilities, ("_probabilities.npz",), "the network's maps, 16-bit floats"
    ),
}
"""By the name on the command line."""


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats, each once, in the order of `FORMATS`; `UsageError` for an unknown one."""
    asked = set(formats)
    for name in sorted(asked - set(FORMATS)):
        near = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"there is no format {name!r}{hint} The formats: {', '.join(FORMATS)}")
    return tuple(name for name in FORMATS if name in asked)


def output_paths(stem: Path, formats: Iterable[str] = ("mask",)) -> list[Path]:
    """Where `write_outputs` writes; a crop only exists where lungs were found."""
    return [
        stem.with_name(stem.name + ending)
        for name in check_formats(formats)
        for ending in FORMATS[name].endings
    ]


def write_outputs(
    segmentation: Segmentation, stem: Path, formats: Iterable[str] = ("mask",)
) -> list[Path]:
    """Write a result in each of the formats beside `stem`; returns the files.

    `stem` is a path without suffix: `out/film` gives `out/film_mask.png`. Folders are made. Each
    file appears whole or not at all, in the order of `FORMATS`. Raises `UsageError` for an unknown
    format, before anything is written, and where the disk takes no file.
    """
    names = check_formats(formats)
    return [path for name in names for path in FORMATS[name].write(segmentation, Path(stem))]
