"""DICOM results for DICOM films: a Segmentation object that refers to the film."""

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

ROUTE = "/v1/segmentations"


@pytest.fixture
def film(films_root: Path) -> bytes:
    return (films_root / "dicom" / "CR-MONO1-10-chest_nopreamble.dcm").read_bytes()


@pytest.fixture(scope="module")
def client(start: Callable[..., httpx.Client]) -> httpx.Client:
    """A client of a service with the default limits."""
    return start()


def test_a_dicom_film_gives_a_dicom_segmentation(
    client: httpx.Client, film: bytes, engine: Engine
) -> None:
    response = client.post(ROUTE, content=film, headers={"Accept": "application/dicom"})
    assert response.headers["content-type"] == "application/dicom"
    given, source = (
        pydicom.dcmread(io.BytesIO(response.content)),
        pydicom.dcmread(io.BytesIO(film), force=True),
    )
    assert given.SOPClassUID.name == "Segmentation Storage"
    assert given.StudyInstanceUID == source.StudyInstanceUID
    (referred,) = given.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert referred.ReferencedSOPInstanceUID == source.SOPInstanceUID
    lungs = Segmenter(engine)(read_radiograph(film))
    (expected,) = dicom_results(film, lungs, ["dicom-seg"])
    assert given.SOPInstanceUID == expected.SOPInstanceUID
    assert np.array_equal(given.pixel_array, expected.pixel_array)
    mask = client.post(ROUTE, params={"format": "mask"}, content=film).content
    both = given.pixel_array.any(axis=0)
    assert np.array_equal(both, np.asarray(Image.open(io.BytesIO(mask))) > 0)


def test_a_film_of_another_body_part_is_segmented_on_request(
    client: httpx.Client, film: bytes
) -> None:
    knee = pydicom.dcmread(io.BytesIO(film), force=True)
    knee.BodyPartExamined = "KNEE"
    file = io.BytesIO()
    pydicom.dcmwrite(file, knee)
    problem = client.post(ROUTE, content=file.getvalue()).json()
    assert problem["detail"].endswith(
        "expected CHEST. If the file's tags are wrong, export the film as PNG and give that"
    )
    assert problem["can_force"] is True
    forced = client.post(ROUTE, params={"force": "true"}, content=file.getvalue())
    assert forced.status_code == 200
    assert "can_force" not in client.post(ROUTE, content=b"no film").json()


def test_json_lists_the_formats_of_a_film(client: httpx.Client, film: bytes, films: Path) -> None:
    of_dicom = client.post(ROUTE, content=film).json()["formats"]
    of_png = client.post(ROUTE, content=(films / "a.png").read_bytes()).json()["formats"]
    assert "dicom-seg" in of_dicom
    assert of_png == [name for name in of_dicom if not name.startswith("dicom")]
    for name in of_dicom:
        assert client.post(ROUTE, params={"format": name}, content=film).status_code == 200


def test_dicom_results_of_a_png_are_refused_before_it_is_segmented(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting)  # a paused engine: it would never answer
    response = client.post(
        ROUTE, params={"format": "dicom-seg"}, content=(films / "a.png").read_bytes()
    )
    assert response.status_code == 422
    assert "give the film as DICOM" in response.json()["detail"]


def test_an_unknown_format_names_the_nearest(client: httpx.Client) -> None:
    response = client.post(ROUTE, params={"format": "dicomseg"}, content=b"x")
    assert response.status_code == 400
    assert response.json()["detail"] == "there is no format 'dicomseg'; did you mean 'dicom-seg'?"


@pytest.mark.parametrize("kind", ["json", "mask", "dicom-seg", "dicom-sr"])
def test_a_film_is_parsed_once(
    client: httpx.Client, film: bytes, kind: str, parses: list[bytes]
) -> None:
    assert client.post(ROUTE, params={"format": kind}, content=film).status_code == 200
    assert len(parses) == 1
