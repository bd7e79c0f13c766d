"""DICOM structured report that a film could not be segmented, and why."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    ComprehensiveSR,
    FindingSite,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from pleura.core.types import Provenance
from pleura.io.dicom.objects.common import (
    BOTH_SIDES,
    MAKER,
    OUR_SCHEME,
    PARTS,
    PLAIN_FILM,
    result_uid,
    series_arguments,
)
from pleura.io.dicom.objects.earlier import EarlierReport, predecessors
from pleura.io.dicom.objects.sr import COMMENT, VERDICT, library_entry, observer
from pleura.io.images.write.masks import RIGHT

__all__ = ["NAME", "dicom_failure_report"]

NAME = "dicom-sr+failed"
"""The name from which the UIDs of these reports follow."""

FAILED = Code("failed", OUR_SCHEME, "Not segmented")
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
    report = MeasurementReport(
        observation_context=observer(film, made_by),
        procedure_reported=PLAIN_FILM,
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[library_entry(film)],
    )
    text = f"{MAKER} could not segment this film: {reason}"
    report[0].ContentSequence.append(
        TextContentItem(COMMENT, text, RelationshipTypeValues.CONTAINS)
    )
    arguments = series_arguments(film.SOPInstanceUID, made_by, NAME, suffix=SUFFIX)
    sr: Dataset = ComprehensiveSR(
        evidence=[film],
        content=report,
        is_complete=True,
        coding_schemes=[CodingSchemeIdentificationItem(OUR_SCHEME, name=f"Codes of {MAKER}")],
        previous_versions=predecessors(film, earlier, of=arguments["sop_instance_uid"]),
        **arguments,
    )
    return sr
