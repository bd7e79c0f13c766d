"""What is acknowledged ends with results or in the quarantine, with a report and a count."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from pleura.io.dicom.received import check_received_file

ONE_SET = Counter({"SEG": 1, "SR": 1, "OT": 1})
LEADING_ZERO = {
    "SOPInstanceUID": "1.2.392.200036.9107.00523.1",
    "StudyInstanceUID": "1.2.840.113619.2.0055.3",
    "SeriesInstanceUID": "1.2.840.113619.2.0055.4",
}


def compressed(film: Dataset, folder: Path) -> Dataset:
    """The film in lossless JPEG, by dcmtk."""
    plain, packed = folder / "plain.dcm", folder / "packed.dcm"
    film.save_as(plain, enforce_file_format=True)
    subprocess.run(["dcmcjpeg", "+e1", plain, packed], check=True)
    return pydicom.dcmread(packed)


def cut_short(film: Dataset) -> Dataset:
    (frame,) = generate_frames(film.PixelData, number_of_frames=1)
    whole = frame.rstrip(b"\0")
    film.PixelData = encapsulate([whole[: len(whole) // 2]])
    return film


def with_leading_zeros(film: Dataset) -> Dataset:
    for keyword, uid in LEADING_ZERO.items():
        setattr(film, keyword, UID(uid, validation_mode=0))
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    return film


def of_one_frame(film: Dataset) -> Dataset:
    film.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    film.Modality, film.NumberOfFrames = "OT", 1
    return film


@pytest.fixture
def node(orthanc: Any, start_node: Callable[..., Any]) -> Any:
    node = start_node(*orthanc.node_options)
    node.orthanc = orthanc
    return node


def test_a_film_that_fails_is_kept_reported_and_counted(
    node: Any, small_films: Callable[[int], list[Dataset]], tools: SimpleNamespace
) -> None:
    film = tools.two_greys(small_films(1)[0])
    assert tools.send(node.port, film) == [0]
    tools.until(lambda: node.orthanc.instances("SR"), "the report of the failure is delivered")
    status = node.status()
    assert status.films["failed"] == 1
    assert "2 grey values" in status.failed[0]["reason"]
    (kept,) = (node.folder / "films").iterdir()
    assert film.PixelData in kept.read_bytes()

    (entry,) = node.orthanc.instances()
    content = node.orthanc.rest.get(f"/instances/{entry['ID']}/file").content
    report = pydicom.dcmread(BytesIO(content))
    assert report.SeriesDescription == "Pleura: Lung measurements (FAILED, no result)"
    assert report.StudyInstanceUID == film.StudyInstanceUID
    assert str(report.PatientName) == str(film.PatientName)
    values = [str(item.value) for item in report.iterall() if item.keyword == "TextValue"]
    assert any("could not segment this film: the image holds 2 grey values" in v for v in values)
    assert "failed" in [str(e.value) for e in report.iterall() if e.keyword == "CodeValue"]

    assert tools.send(node.port, small_films(1)[0]) == [0]  # the same UID, with its pixels
    tools.until(lambda: node.has(delivered=1, failed=0), "the film is segmented")
    tools.until(lambda: not list((node.folder / "films").iterdir()), "no pixels are left")


def test_a_film_that_hangs_is_given_up_and_holds_up_no_other(
    orthanc: Any,
    start_node: Callable[..., Any],
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
) -> None:
    node = start_node(*orthanc.node_options, "--film-timeout", "20", faulty=["--hang", "P0"])
    films = small_films(3)  # of the patients P0, P1, P2
    assert tools.send(node.port, *films) == [0, 0, 0]
    tools.until(lambda: node.has(delivered=2, failed=1), "the others are delivered")
    assert node.status().failed[0]["reason"] == "it took longer than 20 s"
    assert "film 1 hangs: it is given up, and the node restarts" in node.log()
    tools.until(lambda: len(orthanc.instances("SR")) == 3, "the failure is reported")
    assert node.process.poll() is None  # the same process, which no supervisor started
    assert node.stop() == 0


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_films_of_unusual_headers_have_results(
    node: Any, small_films: Callable[[int], list[Dataset]], tools: SimpleNamespace
) -> None:
    zeros, one_frame = small_films(2)
    films = [with_leading_zeros(zeros), of_one_frame(one_frame)]
    assert tools.send(node.port, *films) == [0, 0]
    tools.until(lambda: node.has(delivered=2), "both films are delivered")
    assert tools.send(node.orthanc.dicom_port, *films) == [0, 0]
    assert tools.results_in(node.orthanc) == {film.SOPInstanceUID: ONE_SET for film in films}


def test_damaged_films_are_not_acknowledged(
    node: Any,
    small_films: Callable[[int], list[Dataset]],
    tools: SimpleNamespace,
    tmp_path: Path,
) -> None:
    blank, cut = small_films(2)
    blank.PixelData = b"\7\0" * (len(blank.PixelData) // 2)
    assert tools.send(node.port, blank, cut_short(compressed(cut, tmp_path))) == [0xC000, 0xC000]
    assert node.status().counts == {"unreadable": 2}
    assert sum(node.status().films.values()) == 0
    assert "every pixel of the film has the same value" in node.log()


def test_a_codestream_without_its_end_is_detected(
    small_films: Callable[[int], list[Dataset]], tmp_path: Path
) -> None:
    def arrival(film: Dataset) -> Any:
        file = BytesIO()
        film.save_as(file, enforce_file_format=True)
        return check_received_file(file.getvalue())

    film, cut = small_films(2)
    assert not arrival(compressed(film, tmp_path)).ends_early
    assert arrival(cut_short(compressed(cut, tmp_path))).ends_early
