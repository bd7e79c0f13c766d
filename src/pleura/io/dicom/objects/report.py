"""The parts that all reports share: observer, image library, comments and earlier reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from pleura.core.types import Provenance
from pleura.io.dicom.objects.codes import (
    COMMENT,
    MODALITIES,
    OUR_SCHEME,
    PLAIN_FILM,
    PROCEDURE,
    RADIOGRAPH,
)
from pleura.io.dicom.objects.common import MAKER, result_uid
from pleura.io.dicom.objects.earlier import EarlierReport, predecessors

__all__ = ["Report", "observer"]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A report on `film`, of `io.dicom.source.FilmHeader`."""

    film: Dataset
    made_by: Provenance
    groups: Sequence[Any]
    """Its groups of measurements."""

    comments: Sequence[str]
    """Text after the groups: verdict, doubts and notes. TID 1500 is extensible and permits it."""

    seg: Dataset | None = None
    """A Segmentation that its groups refer to."""

    earlier: Sequence[EarlierReport] = ()
    """Earlier reports of Pleura on the film: the predecessors of this one."""

    def document(self, **arguments: Any) -> Dataset:
        """The Comprehensive SR; `arguments` are those of `objects.common.series_arguments`."""
        uid = arguments["sop_instance_uid"]
        sr: Dataset = ComprehensiveSR(
            evidence=[self.film] if self.seg is None else [self.film, self.seg],
            content=self._content(),
            is_complete=True,
            coding_schemes=[CodingSchemeIdentificationItem(OUR_SCHEME, name=f"Codes of {MAKER}")],
            performed_procedure_codes=[PLAIN_FILM],
            previous_versions=predecessors(self.film, self.earlier, of=uid),
            **arguments,
        )
        return sr

    def _content(self) -> MeasurementReport:
        report = MeasurementReport(
            observation_context=ObservationContext(
                observer_device_context=observer(self.film, self.made_by)
            ),
            procedure_reported=PROCEDURE,
            imaging_measurements=list(self.groups),
            title=codes.DCM.ImagingMeasurementReport,
            referenced_images=[_library_entry(self.film)],
        )
        _set_modality(report[0], MODALITIES.get(self.film.Modality, RADIOGRAPH))
        report[0].ContentSequence.extend(
            TextContentItem(COMMENT, text, RelationshipTypeValues.CONTAINS)
            for text in self.comments
        )
        return report


def observer(film: Dataset, made_by: Provenance) -> ObserverContext:
    """Pleura with its weights, as the device that observed `film`."""
    device = DeviceObserverIdentifyingAttributes(
        uid=result_uid(film.SOPInstanceUID, made_by, "sr/device"),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=MAKER,
        serial_number=made_by.weights_sha256[:16],
    )
    return ObserverContext(codes.DCM.Device, device)


def _library_entry(film: Dataset) -> Dataset:
    """The film as the image library (TID 1600) of a report lists it: its class, UID and size.

    highdicom describes a projection further only if its header has the spacing at the detector and
    the orientation, which many films lack; a modality of its own, OT, keeps it from that.
    """
    entry = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "Rows", "Columns"):
        setattr(entry, keyword, film[keyword].value)
    entry.Modality = "OT"
    return entry


def _set_modality(item: Dataset, modality: Code) -> None:
    """Set the code of the modality in a content item and all below it, in place."""
    for below in item.get("ContentSequence", ()):
        if below.ConceptNameCodeSequence[0].CodeValue == codes.DCM.Modality.value:
            code = below.ConceptCodeSequence[0]
            code.CodeValue, code.CodeMeaning = modality.value, modality.meaning
        _set_modality(below, modality)
