"""DICOM Secondary Capture of the overlay, for viewers that display pictures only."""

from __future__ import annotations

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from pleura.core.types import Segmentation
from pleura.io.dicom.objects.common import (
    NOT_FOR_DIAGNOSIS,
    add_remarks,
    common_arguments,
    copy_lossy_compression,
)
from pleura.io.images.write.overlay import marked_overlay

__all__ = ["dicom_sc"]


def dicom_sc(film: Dataset, segmentation: Segmentation, *, name: str = "dicom-sc") -> Dataset:
    """The overlay in RGB, 8 bits, uncompressed, at the film's own scale.

    `film` is of `io.dicom.source.FilmHeader`. The picture is that of the format `overlay`: the
    film's rows, then those of the legend and of a verdict that is not `ok`. The caption covers
    nothing of the film, and the film's spacing is valid for the picture.
    """
    sc: Dataset = SCImage.from_ref_dataset(
        film,
        pixel_array=np.array(marked_overlay(segmentation)),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        pixel_spacing=film.get("PixelSpacing"),
        patient_orientation=film.PatientOrientation or ("L", "F"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **common_arguments(film.SOPInstanceUID, segmentation, name),
    )
    sc.PatientOrientation = film.PatientOrientation
    sc.Laterality = None
    sc.ConversionType = "WSD"
    if "BurnedInAnnotation" in film:  # text burnt into the film is also in the picture
        sc.BurnedInAnnotation = film.BurnedInAnnotation
    sc.DerivationDescription = NOT_FOR_DIAGNOSIS
    sc.SourceImageSequence = [_source(film)]
    copy_lossy_compression(film, sc)
    add_remarks(sc, segmentation)
    return sc


def _source(film: Dataset) -> Dataset:
    item, purpose = Dataset(), Dataset()
    item.ReferencedSOPClassUID = film.SOPClassUID
    item.ReferencedSOPInstanceUID = film.SOPInstanceUID
    code = codes.DCM.SourceImageForImageProcessingOperation
    purpose.CodeValue, purpose.CodingSchemeDesignator = code.value, code.scheme_designator
    purpose.CodeMeaning = code.meaning
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item
