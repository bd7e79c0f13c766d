"""Small DICOM films that may depart from the standard."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
)

from pleura.core.types import Radiograph
from pleura.io.read import read_radiograph

ROWS, COLUMNS = 64, 48


def ramp() -> np.ndarray:
    """(64, 48) values 0 to 3071, row by row."""
    return np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)


def made(values: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, **tags: Any) -> Dataset:
    """A CR film of 16 bits, 12 of them used; `tags` add to it."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = syntax
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.Rows, film.Columns = values.shape[:2]
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelRepresentation = int(values.min() < 0)
    film.PixelData = values.astype("<i2" if values.min() < 0 else "<u2").tobytes()
    film["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        setattr(film, keyword, value)
    return film


def as_bytes(film: Dataset) -> bytes:
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the standard forbids what is tried here
        dcmwrite(file, film, enforce_file_format=True)
    return file.getvalue()


def read(values: np.ndarray, **tags: Any) -> Radiograph:
    return read_radiograph(as_bytes(made(values, **tags)))
