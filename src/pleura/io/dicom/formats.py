"""The names of the DICOM formats of results; this module does not import pydicom."""

from __future__ import annotations

__all__ = ["DICOM_FORMATS"]

DICOM_FORMATS: dict[str, str] = {
    "dicom-seg": "DICOM Segmentation, a bit a pixel",
    "dicom-seg-fractional": "DICOM Segmentation of the probabilities",
    "dicom-seg-labelmap": "DICOM label map, a kind of 2024 that few viewers know",
    "dicom-sr": "DICOM report of the measurements",
    "dicom-sc": "DICOM picture of the overlay",
    "dicom-gsps": "DICOM presentation state with the outlines",
    "dicom-kos": "DICOM key object selection: a list of the film and its DICOM results",
}
"""Description by name, in the order in which results are made."""
