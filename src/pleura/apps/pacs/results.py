"""From a film to the DICOM files of its results, for the node and for `pleura dicomweb`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pleura.apps.cli.options import names_in
from pleura.core.types import Quality
from pleura.io.dicom.results import check_dicom_formats, dicom_bytes, dicom_results, result_uids
from pleura.io.film import ReadOptions
from pleura.io.read import read_film
from pleura.runtime.segmenter import Segmenter

__all__ = ["DEFAULT_FORMATS", "Made", "Maker", "OfRefused", "in_short", "read_formats"]

DEFAULT_FORMATS = ("dicom-seg", "dicom-sr", "dicom-sc")

OfRefused = Literal["marked", "report"]
"""What is sent of a film whose verdict is `refused`: all that was asked for, each marked as
refused, or the report alone."""

_REPORT = ("dicom-sr",)


@dataclass(frozen=True, slots=True)
class Made:
    """The results of a film, and what Pleura thinks of them."""

    files: dict[str, bytes]
    """By names that sort in the order in which they are to be sent."""

    quality: Quality


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the DICOM results of a film."""

    segmenter: Segmenter
    formats: Sequence[str]
    of_refused: OfRefused = "marked"

    def objects(
        self, film: Path | bytes, *, received: bool = False
    ) -> tuple[dict[str, Any], Quality]:
        """DICOM objects by format, in the order of `check_dicom_formats`.

        With `received` the film is checked as `io.dicom.received.check_arrival` does.

        Raises:
            UnreadableFilm: the film is damaged.
            UnsuitableFilm: it is none that can be segmented, or that results can refer to.
        """
        decoded = read_film(film, ReadOptions(header=True, received=received))
        header = decoded.dicom_header()
        found = self.segmenter(decoded.radiograph)
        alone = found.quality.verdict == "refused" and self.of_refused == "report"
        names = _REPORT if alone else check_dicom_formats(self.formats)
        made = dicom_results(header, found, names)
        return dict(zip(names, made, strict=True)), found.quality

    def files(self, film: Path | bytes) -> Made:
        """The same as files."""
        made, quality = self.objects(film)
        files = {
            f"{place}-{name}.dcm": dicom_bytes(each)
            for place, (name, each) in enumerate(made.items(), 1)
        }
        return Made(files, quality)

    def sets_of_uids(self, film: Any) -> list[set[str]]:
        """The SOPInstanceUIDs of each set of results that this film may have."""
        sets = [self.formats] + [_REPORT] * (self.of_refused == "report")
        return [set(map(str, result_uids(film, self.segmenter.provenance, each))) for each in sets]


def read_formats(given: list[str] | None) -> tuple[str, ...]:
    """The formats of all `--format`, each with commas or not; `UsageError` for an unknown one."""
    return check_dicom_formats(names_in(given) or DEFAULT_FORMATS)


def in_short(quality: Quality) -> str:
    """The verdict with the doubts' codes: `review (touches_border)`."""
    codes = ", ".join(doubt.code for doubt in quality.doubts)
    return f"{quality.verdict} ({codes})" if codes else quality.verdict
