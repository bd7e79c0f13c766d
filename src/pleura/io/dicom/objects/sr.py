"""DICOM structured reports: of the measurements (TID 1500), and that a film was not segmented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from pleura.core.types import HeartQuality, Provenance, Quality, Segmentation
from pleura.io.dicom.objects.codes import (
    AI,
    ANATOMY,
    AREA,
    BOTH_SIDES,
    CARDIOTHORACIC,
    CM2,
    DOUBT,
    ESTIMATED_DICE,
    FAILED,
    OUR_SCHEME,
    PARTS,
    PIXELS,
    RATIO,
    RIGHT_TO_LEFT,
    SIDES,
    VERDICT,
    VERDICTS,
)
from pleura.io.dicom.objects.common import (
    LABELS,
    MAKER,
    common_arguments,
    parameters,
    remarks,
    result_uid,
    series_arguments,
    tracking_uid,
)
from pleura.io.dicom.objects.earlier import EarlierReport
from pleura.io.dicom.objects.report import Report
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = ["FAILURE_NAME", "dicom_failure_report", "dicom_sr"]

DIGITS = 6  # significant, as in results.csv

FAILURE_NAME = "dicom-sr+failed"
"""The name from which the UIDs of failure reports are made."""

FAILURE_SUFFIX = " (FAILED, no result)"


def dicom_sr(
    film: Dataset,
    segmentation: Segmentation,
    *,
    name: str = "dicom-sr",
    seg: Dataset | None = None,
    earlier: Sequence[EarlierReport] = (),
) -> Dataset:
    """A Comprehensive SR of the areas and ratios; `film` is of `io.dicom.source.FilmHeader`.

    There is a group of measurements for each part: both lungs, right lung, left lung and, if the
    weights have one, the heart. The first also holds the verdict and the doubts, and that of the
    heart the verdict on the cardiothoracic ratio, which is left out unless it is `ok`. With `seg`,
    a Segmentation of the same film, a part's group refers to its segment; without one, to the film.
    Undefined values are left out. Verdict, doubts and notes are also written as comments. `earlier`
    are earlier reports of Pleura on the film: the predecessors of this one.
    """
    report = Report(
        film,
        segmentation.provenance,
        list(_Measurements(film, segmentation, seg).groups()),
        comments=remarks(segmentation),
        seg=seg,
        earlier=earlier,
    )
    return report.document(**common_arguments(film.SOPInstanceUID, segmentation, name))


def dicom_failure_report(
    film: Dataset, reason: str, *, made_by: Provenance, earlier: Sequence[EarlierReport] = ()
) -> Dataset:
    """A Comprehensive SR without measurements: the verdict `failed`, and the reason as a comment.

    `film` is of `io.dicom.source.FilmHeader`; `made_by` is what would have made the result;
    `earlier` are earlier reports of Pleura on the film.
    """
    source = SourceImageForMeasurementGroup(film.SOPClassUID, film.SOPInstanceUID)
    uid = result_uid(film.SOPInstanceUID, made_by, f"{FAILURE_NAME}/group")
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=uid, identifier="Both lungs"),
        finding_type=PARTS[RIGHT],
        finding_sites=[FindingSite(PARTS[RIGHT], laterality=BOTH_SIDES)],
        source_images=[source],
        qualitative_evaluations=[QualitativeEvaluation(VERDICT, FAILED)],
    )
    text = f"{MAKER} could not segment this film: {reason}"
    report = Report(film, made_by, [group], [text], earlier=earlier)
    return report.document(
        **series_arguments(film.SOPInstanceUID, made_by, FAILURE_NAME, suffix=FAILURE_SUFFIX)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Measurements:
    film: Dataset
    segmentation: Segmentation
    seg: Dataset | None

    def groups(self) -> Iterator[Any]:
        measured = self.segmentation.measurements
        both = _areas(measured.lungs_area_px, measured.lungs_area_cm2)
        both += _ratios(RIGHT_TO_LEFT, measured.right_to_left_ratio)
        site = FindingSite(PARTS[RIGHT], laterality=BOTH_SIDES)
        both += _ratios(ESTIMATED_DICE, self.segmentation.quality.estimated_dice)
        verdict = list(_evaluations(self.segmentation.quality))
        yield self._group("Both lungs", (RIGHT, LEFT), site=site, values=both, verdict=verdict)
        yield self._part_group(RIGHT, _areas(measured.right_area_px, measured.right_area_cm2))
        yield self._part_group(LEFT, _areas(measured.left_area_px, measured.left_area_cm2))
        if measured.heart_area_px is not None:
            heart = _areas(measured.heart_area_px, None)
            heart += _ratios(CARDIOTHORACIC, measured.cardiothoracic_ratio)
            quality = self.segmentation.quality.heart
            yield self._part_group(
                HEART, heart, None if quality is None else list(_evaluations(quality))
            )

    def _part_group(
        self,
        part: int,
        values: list[Measurement],
        verdict: list[QualitativeEvaluation] | None = None,
    ) -> Any:
        site = FindingSite(PARTS[part], laterality=SIDES.get(part))
        return self._group(LABELS[part], (part,), site=site, values=values, verdict=verdict)

    def _group(
        self,
        label: str,
        parts: tuple[int, ...],
        *,
        site: FindingSite,
        values: list[Measurement],
        verdict: list[QualitativeEvaluation] | None,
    ) -> Any:
        """A group; it refers to the segments of its parts, or else to the film."""
        arguments = self._arguments(label, site=site, values=values)
        if self.seg is None:
            film = SourceImageForMeasurementGroup(self.film.SOPClassUID, self.film.SOPInstanceUID)
            return MeasurementsAndQualitativeEvaluations(
                source_images=[film], qualitative_evaluations=verdict, **arguments
            )
        return PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=self._segments(parts, self.seg),
            qualitative_evaluations=verdict,
            **arguments,
        )

    def _arguments(
        self, label: str, *, site: FindingSite, values: list[Measurement]
    ) -> dict[str, Any]:
        """The arguments that both kinds of group share."""
        settings = parameters(self.segmentation.provenance)
        if self.segmentation.measurements.spacing_source is not None:
            settings["millimetres"] = self.segmentation.measurements.spacing_source
        return {
            "tracking_identifier": TrackingIdentifier(
                uid=tracking_uid(self.film.SOPInstanceUID, self.segmentation.provenance, label),
                identifier=label,
            ),
            "finding_type": site.value,
            "finding_category": ANATOMY,
            "finding_sites": [site],
            "algorithm_id": AlgorithmIdentification(
                name=MAKER,
                version=self.segmentation.provenance.version,
                family=AI,
                manufacturer=MAKER,
                parameters=[f"{key}={value}" for key, value in settings.items()],
            ),
            "measurements": values,
        }

    def _segments(self, parts: tuple[int, ...], seg: Dataset) -> ReferencedSegmentationFrame:
        """The segments of `parts`, in one reference: ReferencedSegmentNumber may be several."""
        reference = ReferencedSegmentationFrame(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            frame_number=parts[0],
            segment_number=parts[0],
            source_image=SourceImageForSegmentation(
                self.film.SOPClassUID, self.film.SOPInstanceUID
            ),
        )
        # PS3.3 C.17.3 allows a frame number or a segment number; highdicom writes both
        item = reference[0].ReferencedSOPSequence[0]
        del item.ReferencedFrameNumber
        item.ReferencedSegmentNumber = list(parts) if len(parts) > 1 else parts[0]
        return reference


def _evaluations(quality: Quality | HeartQuality) -> Iterator[QualitativeEvaluation]:
    """A verdict and its doubts, each as a code."""
    yield QualitativeEvaluation(VERDICT, VERDICTS[quality.verdict])
    for doubt in quality.doubts:
        value = Code(doubt.code, OUR_SCHEME, doubt.code.replace("_", " ").capitalize())
        yield QualitativeEvaluation(DOUBT, value)


def _areas(px: int, cm2: float | None) -> list[Measurement]:
    in_cm2 = [] if cm2 is None else [_measurement(AREA, cm2, CM2)]
    return [*in_cm2, _measurement(AREA, px, PIXELS)]


def _ratios(name: Code, value: float | None) -> list[Measurement]:
    return [] if value is None else [_measurement(name, value, RATIO)]


def _measurement(name: Code, value: float, unit: Code) -> Measurement:
    shown = value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")
    return Measurement(name=name, value=shown, unit=unit)
