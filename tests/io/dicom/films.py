"""Small DICOM films of any grey values and header."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from pleura.io.read import read_radiograph

NAME = "Secretname^Person"

ROWS, COLUMNS = 64, 48


def ramp(*, low: int = 0, step: int = 1) -> np.ndarray:
    """(64, 48) values low, low + step, ... row by row: 3072 of them."""
    return low + step * np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)


def dataset(values: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, **tags: Any) -> Dataset:
    """A CR film of 16 bits, 12 of them used; `tags` add to it or, with None, take away."""
    signed = np.issubdtype(values.dtype, np.signedinteger) and values.min() < 0
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.SOPClassUID = ComputedRadiographyImageStorage
    made.SOPInstanceUID = "1.2.3.4"
    made.PatientName = NAME
    made.PatientID = NAME
    made.Modality = "CR"
    made.BodyPartExamined = "CHEST"
    made.ViewPosition = "PA"
    made.Rows, made.Columns = values.shape[:2]
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = int(signed)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    made.PixelData = values.astype(f"{order}{'i' if signed else 'u'}2").tobytes()
    made["PixelData"].VR = "OW"
    set_tags(made, tags)
    return made


def set_tags(film: Dataset, tags: Mapping[str, Any]) -> None:
    """Set the attributes by keyword; None removes one."""
    for keyword, value in tags.items():
        if value is None:
            delattr(film, keyword)
        else:
            setattr(film, keyword, value)


def written(values: np.ndarray, **tags: Any) -> bytes:
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests want what the standard forbids
        dcmwrite(file, dataset(values, **tags), enforce_file_format=True)
    return file.getvalue()


def read(values: np.ndarray, **tags: Any) -> Any:
    return read_radiograph(written(values, **tags))


def compressed(syntax: str, codestream: bytes, **tags: Any) -> bytes:
    made = dataset(ramp(), syntax=syntax, **tags)
    made.PixelData = encapsulate([codestream])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()
