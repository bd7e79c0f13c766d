"""DICOM films answered with DICOM results: a Segmentation that refers to the film."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image

from pleura.io.dicom.results import dicom_results
from pleura.io.read import read_radiograph
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter

WHERE = "/v1/segmentations"


@pytest.fixture
def film(films_root: Path) -> bytes:
    return (films_root / "dicom" / "CR-MONO1-10-chest_nopreamble.dcm").read_bytes()


@pytest.fixture(scope="module")
def client(start: Callable[..., httpx.Client]) -> httpx.Client:
    """Of a service with the limits that it has by itself."""
    return start()


def test_a_dicom_film_is_answered_with_a_segmentation_of_it(
    client: httpx.Client, film: bytes, engine: Engine
) -> None:
    told = client.post(WHERE, content=film, headers={"Accept": "application/dicom"})
    assert told.headers["content-type"] == "application/dicom"
    given, source = (
        pydicom.dcmread(io.BytesIO(told.content)),
        pydicom.dcmread(io.BytesIO(film), force=True),
    )
    assert given.SOPClassUID.name == "Segmentation Storage"
    assert given.StudyInstanceUID == source.StudyInstanceUID
    (referred,) = given.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert referred.ReferencedSOPInstanceUID == source.SOPInstanceUID
    found = Segmenter(engine)(read_radiograph(film))
    (expected,) = dicom_results(film, found, ["dicom-seg"])
    assert given.SOPInstanceUID == expected.SOPInstanceUID
    assert np.array_equal(given.pixel_array, expected.pixel_array)
    mask = client.post(WHERE, params={"format": "mask"}, content=film).content
    both = given.pixel_array.any(axis=0)
    assert np.array_equal(both, np.asarray(Image.open(io.BytesIO(mask))) > 0)


def test_json_tells_which_formats_a_film_can_be_had_in(
    client: httpx.Client, film: bytes, films: Path
) -> None:
    of_dicom = client.post(WHERE, content=film).json()["formats"]
    of_png = client.post(WHERE, content=(films / "a.png").read_bytes()).json()["formats"]
    assert "dicom-seg" in of_dicom
    assert of_png == [each for each in of_dicom if not each.startswith("dicom")]
    for each in of_dicom:
        assert client.post(WHERE, params={"format": each}, content=film).status_code == 200


def test_a_png_gives_no_dicom_and_says_so_before_it_is_segmented(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting)  # which would never answer
    told = client.post(
        WHERE, params={"format": "dicom-seg"}, content=(films / "a.png").read_bytes()
    )
    assert told.status_code == 422
    assert "give the film as DICOM" in told.json()["detail"]


def test_a_format_that_is_not_there_names_the_nearest(client: httpx.Client) -> None:
    told = client.post(WHERE, params={"format": "dicomseg"}, content=b"x")
    assert told.status_code == 400
    assert told.json()["detail"] == "there is no format 'dicomseg'; did you mean 'dicom-seg'?"


@pytest.mark.parametrize("kind", ["json", "mask", "dicom-seg", "dicom-sr"])
def test_a_film_is_parsed_once(
    client: httpx.Client, film: bytes, kind: str, parses: list[bytes]
) -> None:
    assert client.post(WHERE, params={"format": kind}, content=film).status_code == 200
    assert len(parses) == 1
