"""Making the DICOM results of a film, for `pleura node` and `pleura dicomweb`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pleura.apps.cli.options import names_in
from pleura.core.types import Quality
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.objects.earlier import EarlierReport
from pleura.io.dicom.results import (
    check_dicom_formats,
    dicom_bytes,
    dicom_failure,
    dicom_results,
    result_uids,
)
from pleura.io.film import ReadOptions
from pleura.io.read import read_film
from pleura.runtime.segmenter import Segmenter

__all__ = [
    "DEFAULT_FORMATS",
    "FilmResults",
    "RefusedResults",
    "ResultMaker",
    "read_formats",
    "verdict_text",
]

DEFAULT_FORMATS = ("dicom-seg", "dicom-sr", "dicom-sc")

RefusedResults = Literal["marked", "report"]
"""The results that are sent for a film whose verdict is `refused`: all formats, each marked as
refused, or the report alone."""

_REPORT = ("dicom-sr",)
_POSITIONS = {name: position for position, name in enumerate(DICOM_FORMATS, 1)}
"""The number in the file name of a format's result. It does not depend on the other formats,
since the queue notes by file name which results a destination has."""


@dataclass(frozen=True, slots=True)
class FilmResults:
    """The result files of a film, and their quality."""

    files: dict[str, bytes]
    """The content of each file by its name; the names sort in the order of sending."""

    quality: Quality


@dataclass(frozen=True, slots=True)
class ResultMaker:
    """Makes the DICOM results of a film."""

    segmenter: Segmenter
    formats: Sequence[str]
    refused_results: RefusedResults = "marked"

    @property
    def made_with(self) -> str:
        """The formats and the option `--refused`: other values make other results of a film."""
        return " ".join((*check_dicom_formats(self.formats), f"refused={self.refused_results}"))

    def objects(
        self,
        film: Path | bytes,
        *,
        received: bool = False,
        earlier: Sequence[EarlierReport] = (),
    ) -> tuple[dict[str, Any], Quality]:
        """DICOM objects by format, in the order of `check_dicom_formats`.

        With `received` the film is checked as `io.dicom.received.check_received_file` does. A
        report names the reports `earlier` of the film as its predecessors.

        Raises:
            UnreadableFilm: the film is damaged.
            UnsuitableFilm: it cannot be segmented, or results cannot refer to it.
        """
        decoded = read_film(film, ReadOptions(header=True, received=received))
        header = decoded.dicom_header()
        lungs = self.segmenter(decoded.radiograph)
        report_only = lungs.quality.verdict == "refused" and self.refused_results == "report"
        names = _REPORT if report_only else check_dicom_formats(self.formats)
        objects = dicom_results(header, lungs, names, earlier=earlier)
        return dict(zip(names, objects, strict=True)), lungs.quality

    def files(self, film: Path | bytes, *, earlier: Sequence[EarlierReport] = ()) -> FilmResults:
        """The DICOM objects as files; raises the errors of `objects`."""
        objects, quality = self.objects(film, earlier=earlier)
        files = {
            f"{_POSITIONS[name]}-{name}.dcm": dicom_bytes(dataset)
            for name, dataset in objects.items()
        }
        return FilmResults(files, quality)

    def failure(
        self, film: Path | bytes, reason: str, *, earlier: Sequence[EarlierReport] = ()
    ) -> dict[str, bytes]:
        """The report that a film was not segmented, as a file by its name.

        Raises:
            UnreadableFilm, UnsuitableFilm: no report can refer to the film.
        """
        content = film if isinstance(film, bytes) else film.read_bytes()
        report = dicom_failure(content, reason, self.segmenter.provenance, earlier=earlier)
        return {"1-dicom-sr-failed.dcm": dicom_bytes(report)}

    def result_uid_sets(self, film: Any) -> list[set[str]]:
        """The SOPInstanceUIDs of each set of results that this film can have."""
        sets = [self.formats] + [_REPORT] * (self.refused_results == "report")
        provenance = self.segmenter.provenance
        return [set(map(str, result_uids(film, provenance, formats))) for formats in sets]


def read_formats(given: list[str] | None) -> tuple[str, ...]:
    """The formats of the options `--format`, which may hold commas; `UsageError` if unknown."""
    return check_dicom_formats(names_in(given) or DEFAULT_FORMATS)


def verdict_text(quality: Quality) -> str:
    """The verdict with the codes of its doubts, such as `review (touches_border)`."""
    codes = ", ".join(doubt.code for doubt in quality.doubts)
    return f"{quality.verdict} ({codes})" if codes else quality.verdict
