"""Earlier reports of the same film, which a new report names as its predecessors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import UID, ComprehensiveSRStorage

from pleura.io.dicom.objects.common import MAKER

__all__ = ["REPORT_CLASS", "EarlierReport", "films_of_report", "predecessors", "report_in"]


REPORT_CLASS = str(ComprehensiveSRStorage)
"""The SOP class of reports."""


class EarlierReport(NamedTuple):
    """The UIDs of a report of Pleura on a film, in the film's study."""

    series: str
    """SeriesInstanceUID."""

    uid: str
    """SOPInstanceUID."""


def report_in(dataset: Dataset) -> EarlierReport | None:
    """The UIDs of a DICOM object if it is a report, else None."""
    if dataset.get("SOPClassUID") != ComprehensiveSRStorage:
        return None
    return EarlierReport(str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID))


def films_of_report(dataset: Dataset) -> set[str]:
    """The UIDs of what a report refers to, its film among them; empty if it is not Pleura's."""
    if report_in(dataset) is None or dataset.get("ManufacturerModelName") != MAKER:
        return set()
    return {
        str(instance.ReferencedSOPInstanceUID)
        for study in dataset.get("CurrentRequestedProcedureEvidenceSequence") or ()
        for series in study.get("ReferencedSeriesSequence") or ()
        for instance in series.get("ReferencedSOPSequence") or ()
    }


def predecessors(
    film: Dataset, earlier: Iterable[EarlierReport], *, of: str
) -> list[Dataset] | None:
    """The earlier reports as highdicom takes them, in order; None without any.

    `of` is the SOPInstanceUID of the new report, which is no predecessor of itself.
    """
    reports = [_reference(film, report) for report in dict.fromkeys(earlier) if report.uid != of]
    return reports or None


def _reference(film: Dataset, report: EarlierReport) -> Dataset:
    reference = Dataset()
    reference.SOPClassUID = ComprehensiveSRStorage
    reference.StudyInstanceUID = film.StudyInstanceUID
    reference.SeriesInstanceUID = UID(report.series)
    reference.SOPInstanceUID = UID(report.uid)
    return reference
