"""A drawn DICOM film, its segmentation, and its results."""

from __future__ import annotations

import subprocess
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from tests.io.dicom.films import set_tags

from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.measure import measure
from pleura.core.types import LungMasks, Provenance, Quality, Segmentation
from pleura.io.dicom.objects.gsps import MAX_POINTS
from pleura.io.dicom.results import dicom_bytes, dicom_results
from pleura.io.read import read_radiograph

NAME = "Secretname"

ROWS, COLUMNS = 96, 80

STUDY, FILM = "1.2.3.4", "1.2.3.4.5.6"


def film(**tags: Any) -> Dataset:
    """A DX film of 12 bits, low at the top; `tags` add to it or, with None, take away."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", FILM
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, "1.2.3.4.5"
    made.PatientName, made.PatientID = NAME, f"{NAME}-7"
    made.PatientBirthDate, made.PatientSex = "19701231", "F"
    made.StudyDate, made.StudyTime, made.AccessionNumber = "20260102", "030405", "A1"
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.PatientOrientation = ["L", "F"]
    made.PixelSpacing = [2, 2]
    values = 16 * np.arange(ROWS)[:, None] + np.arange(COLUMNS)[None]  # 0 .. 1520 + 79
    made.set_pixel_data(values.astype("<u2"), "MONOCHROME2", 12)
    made.SOPInstanceUID = FILM  # pydicom gave another with the pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests want what the standard forbids
        set_tags(made, tags)
    return made


def as_bytes(dataset: Dataset) -> bytes:
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def ellipses(data: bytes | Path, *, heart: bool = True) -> Segmentation:
    """A result by hand: two ellipses, and a heart that overlaps the left one."""
    radiograph = read_radiograph(data)
    height, width = radiograph.size
    y, x = np.mgrid[0:height, 0:width]
    y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width
    right = (y / 0.33) ** 2 + ((x - 0.28) / 0.15) ** 2 < 1
    left = (y / 0.30) ** 2 + ((x - 0.72) / 0.14) ** 2 < 1
    middle = ((y - 0.1) / 0.12) ** 2 + ((x - 0.55) / 0.13) ** 2 < 1
    masks = [right, left] + [middle] * heart
    soft = np.clip(0.2 + 0.6 * np.stack(masks), 0, 1).astype(np.float32)  # 0.2 out, 0.8 in
    return Segmentation(
        radiograph=radiograph,
        lungs=LungMasks(right, left, middle if heart else None),
        probabilities=ProbabilityMaps(soft),
        channels=("right_field", "left_field", "heart")[: len(masks)],
        measurements=measure(
            right, left, heart=middle if heart else None, spacing=radiograph.spacing
        ),
        provenance=Provenance("0.1.0", "by hand", "ab" * 32, "none", "field"),
        quality=Quality("ok", 0.97),
    )


def result_of(name: str, *, heart: bool = True, **tags: Any) -> tuple[Dataset, Segmentation]:
    """One result of the synthetic film, through bytes, and what it was made of."""
    data = as_bytes(film(**tags))
    segmentation = ellipses(data, heart=heart)
    (result,) = dicom_results(data, segmentation, [name])
    return dcmread(BytesIO(dicom_bytes(result))), segmentation


def errors(result: bytes | Dataset, place: Path) -> list[str]:
    """What dciodvfy calls an error."""
    place.write_bytes(result if isinstance(result, bytes) else dicom_bytes(result))
    process = subprocess.run(["dciodvfy", place], capture_output=True, encoding="latin-1")
    lines = (process.stdout + process.stderr).splitlines()
    assert lines, "dciodvfy names the kind of object at least"
    return [line for line in lines if line.startswith("Error")]


def lines(annotation: Dataset) -> list[np.ndarray]:
    """Closed polygons, of lines that may go on in the next one."""
    polygons: list[np.ndarray] = []
    for item in annotation.GraphicObjectSequence:
        assert item.GraphicType == "POLYLINE"
        assert item.NumberOfGraphicPoints <= MAX_POINTS
        points = np.reshape(item.GraphicData, (-1, 2))
        if polygons and not np.array_equal(polygons[-1][0], polygons[-1][-1]):
            polygons[-1] = np.concatenate([polygons[-1], points[1:]])
        else:
            polygons.append(points)
    return [polygon[:-1] for polygon in polygons]


def item(*, implicit: bool = False, **values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        if isinstance(value, bytes):
            tag = Tag(keyword)
            raw = RawDataElement(tag, dictionary_VR(keyword), len(value), value, 0, False, True)
            made[tag] = raw
        else:
            setattr(made, keyword, value)
    made.set_original_encoding(implicit, True, made._character_set)
    return made
