"""DICOM Key Object Selection: one list of a film and its results, for IHE AI Results."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from pleura.core.types import Segmentation
from pleura.io.dicom.objects.common import MAKER, VERDICT_TEXTS, common_arguments
from pleura.io.dicom.objects.report import observer

__all__ = ["dicom_kos"]


def dicom_kos(
    film: Dataset, segmentation: Segmentation, *, name: str, results: Sequence[Dataset]
) -> Dataset:
    """A Key Object Selection (TID 2010) of `film`, of `io.dicom.source.FilmHeader`, and `results`.

    Its title is (113000, DCM, "Of Interest"), and its description states the verdict. Pictures and
    Segmentations are named as images, reports and presentation states as composite objects.
    """
    made_by = segmentation.provenance
    named = [film, *results]
    kos: Dataset = KeyObjectSelectionDocument(
        evidence=named,
        content=KeyObjectSelection(
            codes.DCM.OfInterest,
            referenced_objects=named,
            observer_device_context=observer(film, made_by),
            description=f"A film and its results of {MAKER}. "
            f"{VERDICT_TEXTS[segmentation.quality.verdict]}",
        ),
        **common_arguments(film.SOPInstanceUID, segmentation, name),
    )
    return kos
