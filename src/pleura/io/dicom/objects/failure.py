"""DICOM structured report that a film could not be segmented, and why."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    FindingSite,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset

from pleura.core.types import Provenance
from pleura.io.dicom.objects.codes import BOTH_SIDES, FAILED, PARTS, VERDICT
from pleura.io.dicom.objects.common import MAKER, result_uid, series_arguments
from pleura.io.dicom.objects.earlier import EarlierReport
from pleura.io.dicom.objects.report import Report
from pleura.io.images.write.masks import RIGHT

__all__ = ["NAME", "dicom_failure_report"]

NAME = "dicom-sr+failed"
"""The name from which the UIDs of these reports follow."""

SUFFIX = " (FAILED, no result)"


def dicom_failure_report(
    film: Dataset, reason: str, *, made_by: Provenance, earlier: Sequence[EarlierReport] = ()
) -> Dataset:
    """A Comprehensive SR without measurements: the verdict `failed`, and the reason as a comment.

    `film` is of `io.dicom.source.FilmHeader`; `made_by` is what would have made the result;
    `earlier` are earlier reports of Pleura on the film.
    """
    source = SourceImageForMeasurementGroup(film.SOPClassUID, film.SOPInstanceUID)
    uid = result_uid(film.SOPInstanceUID, made_by, f"{NAME}/group")
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=uid, identifier="Both lungs"),
        finding_type=PARTS[RIGHT],
        finding_sites=[FindingSite(PARTS[RIGHT], laterality=BOTH_SIDES)],
        source_images=[source],
        qualitative_evaluations=[QualitativeEvaluation(VERDICT, FAILED)],
    )
    text = f"{MAKER} could not segment this film: {reason}"
    report = Report(film, made_by, [group], [text], earlier=earlier)
    return report.document(**series_arguments(film.SOPInstanceUID, made_by, NAME, suffix=SUFFIX))
