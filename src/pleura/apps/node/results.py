"""From a film to the DICOM files of its results, for the node and for `pleura dicomweb`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pleura.io.dicom_results import check_dicom_formats, dicom_bytes, dicom_results
from pleura.io.read import read_radiograph
from pleura.runtime.segmenter import Segmenter

__all__ = ["DEFAULT_FORMATS", "made_of", "read_formats", "results_of"]

DEFAULT_FORMATS = ("dicom-seg", "dicom-sr", "dicom-sc")


def read_formats(given: Sequence[str] | None) -> tuple[str, ...]:
    """The formats of all `--format`, each with commas or not; `UsageError` for an unknown one."""
    names = [name.strip() for each in given or () for name in each.split(",") if name.strip()]
    return check_dicom_formats(names or DEFAULT_FORMATS)


def made_of(film: Path | bytes, segmenter: Segmenter, formats: Sequence[str]) -> list[Any]:
    """DICOM objects, in the order of `check_dicom_formats`.

    Raises:
        UnreadableFilm: the film is damaged.
        UnsuitableFilm: it is none that can be segmented, or that results can refer to.
    """
    return list(dicom_results(film, segmenter(read_radiograph(film)), formats))


def results_of(
    film: Path | bytes, segmenter: Segmenter, formats: Sequence[str]
) -> dict[str, bytes]:
    """The same as files, by names that sort in the order in which they are to be sent."""
    made = made_of(film, segmenter, formats)
    names = check_dicom_formats(formats)
    return {
        f"{place}-{name}.dcm": dicom_bytes(each)
        for place, (name, each) in enumerate(zip(names, made, strict=True), 1)
    }
