"""DICOM structured report of the measurements (TID 1500)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from pleura.core.arrays import Verdict
from pleura.core.types import HeartQuality, Provenance, Quality, Segmentation
from pleura.io.dicom.objects.common import (
    AI,
    ANATOMY,
    BOTH_SIDES,
    LABELS,
    MAKER,
    OUR_SCHEME,
    PARTS,
    PLAIN_FILM,
    SIDES,
    common_arguments,
    parameters,
    remarks,
    result_uid,
    tracking_uid,
)
from pleura.io.dicom.objects.earlier import EarlierReport, predecessors
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = ["COMMENT", "VERDICT", "dicom_sr", "library_entry", "observer"]

COMMENT = Code("121106", "DCM", "Comment")
AREA = Code("42798000", "SCT", "Area")
CARDIOTHORACIC = Code("cardiothoracic", OUR_SCHEME, "Cardiothoracic ratio of widths")
ESTIMATED_DICE = Code("estimated-dice", OUR_SCHEME, "Estimated Dice with a reader's outline")
VERDICT = Code("verdict", OUR_SCHEME, "Verdict of the software on its own result")
VERDICTS: dict[Verdict, Code] = {
    "ok": Code("ok", OUR_SCHEME, "No reason to doubt it was found"),
    "review": Code("review", OUR_SCHEME, "To be reviewed before use"),
    "refused": Code("refused", OUR_SCHEME, "Not to be used"),
}
DOUBT = Code("doubt", OUR_SCHEME, "Reason to doubt the result")
RIGHT_TO_LEFT = Code("right-over-left", OUR_SCHEME, "Area of right lung over left lung")
PIXELS = Code("{pixels}", "UCUM", "pixels")
CM2 = Code("cm2", "UCUM", "square centimeter")
RATIO = Code("{ratio}", "UCUM", "ratio")
DIGITS = 6  # significant, as in results.csv


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
    arguments = common_arguments(film.SOPInstanceUID, segmentation, name)
    sr: Dataset = ComprehensiveSR(
        evidence=[film] if seg is None else [film, seg],
        content=_Report(film, segmentation, seg).content(),
        is_complete=True,
        coding_schemes=[CodingSchemeIdentificationItem(OUR_SCHEME, name=f"Codes of {MAKER}")],
        previous_versions=predecessors(film, earlier, of=arguments["sop_instance_uid"]),
        **arguments,
    )
    return sr


def observer(film: Dataset, made_by: Provenance) -> ObservationContext:
    """Pleura with its weights, as the device that observed `film`."""
    device = DeviceObserverIdentifyingAttributes(
        uid=result_uid(film.SOPInstanceUID, made_by, "sr/device"),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=MAKER,
        serial_number=made_by.weights_sha256[:16],
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def library_entry(film: Dataset) -> Dataset:
    """The film as the image library (TID 1600) of a report lists it: its class, UID and size.

    highdicom describes a projection further only if its header has the spacing at the detector and
    the orientation, which many films lack; a class of its own, OT, keeps it from that.
    """
    entry = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "Rows", "Columns"):
        setattr(entry, keyword, film[keyword].value)
    entry.Modality = "OT"
    return entry


@dataclass(frozen=True, slots=True, eq=False)
class _Report:
    film: Dataset
    segmentation: Segmentation
    seg: Dataset | None

    def content(self) -> MeasurementReport:
        report = MeasurementReport(
            observation_context=observer(self.film, self.segmentation.provenance),
            procedure_reported=PLAIN_FILM,
            imaging_measurements=list(self._groups()),
            title=codes.DCM.ImagingMeasurementReport,
            referenced_images=[library_entry(self.film)],
        )
        # TID 1500 is extensible: verdict, doubts and notes are added as comments
        report[0].ContentSequence.extend(
            TextContentItem(COMMENT, note, RelationshipTypeValues.CONTAINS)
            for note in remarks(self.segmentation)
        )
        return report

    def _groups(self) -> Iterator[Any]:
        measured = self.segmentation.measurements
        both = _areas(measured.lungs_area_px, measured.lungs_area_cm2)
        both += _ratios(RIGHT_TO_LEFT, measured.right_to_left_ratio)
        site = FindingSite(PARTS[RIGHT], laterality=BOTH_SIDES)
        both += _ratios(ESTIMATED_DICE, self.segmentation.quality.estimated_dice)
        verdict = list(_evaluations(self.segmentation.quality))
        yield self._film_group("Both lungs", site=site, values=both, verdict=verdict)
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
        """A part's group; it refers to its segment, or to the film without a Segmentation."""
        site = FindingSite(PARTS[part], laterality=SIDES.get(part))
        if self.seg is None:
            return self._film_group(LABELS[part], site=site, values=values, verdict=verdict)
        return PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=self._segment(part, self.seg),
            qualitative_evaluations=verdict,
            **self._group(LABELS[part], site=site, values=values),
        )

    def _film_group(
        self,
        label: str,
        *,
        site: FindingSite,
        values: list[Measurement],
        verdict: list[QualitativeEvaluation] | None = None,
    ) -> MeasurementsAndQualitativeEvaluations:
        film = SourceImageForMeasurementGroup(self.film.SOPClassUID, self.film.SOPInstanceUID)
        return MeasurementsAndQualitativeEvaluations(
            source_images=[film],
            qualitative_evaluations=verdict,
            **self._group(label, site=site, values=values),
        )

    def _group(self, label: str, *, site: FindingSite, values: list[Measurement]) -> dict[str, Any]:
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

    def _segment(self, part: int, seg: Dataset) -> ReferencedSegmentationFrame:
        reference = ReferencedSegmentationFrame(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            frame_number=part,
            segment_number=part,
            source_image=SourceImageForSegmentation(
                self.film.SOPClassUID, self.film.SOPInstanceUID
            ),
        )
        # PS3.3 C.17.3 allows a frame number or a segment number; highdicom writes both
        del reference[0].ReferencedSOPSequence[0].ReferencedFrameNumber
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
