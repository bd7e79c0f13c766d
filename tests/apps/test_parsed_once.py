"""A DICOM film is parsed once for each time that its bytes arrive, and its header travels with it.

`tests/apps/serve/test_dicom.py` has the same for HTTP.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import RLELossless

from pleura.apps.cli.engines import open_engine
from pleura.apps.pacs.node.disk_space import DiskSpace
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.reception.scp import FilmReceiver
from pleura.apps.pacs.node.reception.store_status import StoreStatus
from pleura.apps.pacs.node.worker import Worker
from pleura.apps.pacs.results import ResultMaker
from pleura.core.errors import FilmError, UnsuitableFilm
from pleura.io.dicom.results import dicom_bytes, dicom_results
from pleura.io.film import ReadOptions
from pleura.io.read import read_film, read_here
from pleura.runtime.segmenter import Segmenter

FORMATS = ("dicom-seg", "dicom-sr", "dicom-sc", "dicom-gsps")
HEADER = ReadOptions(header=True)
NAME = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"  # in characters that need a set of their own


def dicom_film(grey: np.ndarray[Any, Any], number: int, **tags: Any) -> Dataset:
    film = Dataset()
    film.SOPClassUID, film.StudyInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    film.SeriesInstanceUID, film.Modality = "1.2.3.4", "CR"
    film.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    film.PatientName, film.PatientID, film.PatientBirthDate = NAME, "P-1", "19701231"
    film.ImagerPixelSpacing, film.PixelSpacing = [2, 2], ["0.14300000", "0.14300000"]
    film.WindowCenter, film.WindowWidth = [128, 90], [256, 40]
    film.set_pixel_data(grey, "MONOCHROME2", 8)
    film.SOPInstanceUID = f"1.2.3.4.{number}"
    for keyword, value in tags.items():
        setattr(film, keyword, value)
    return film


def as_bytes(film: Dataset, *, compressed: bool = False) -> bytes:
    file = BytesIO()
    if compressed:
        film.compress(RLELossless, generate_instance_uid=False)
    film.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture
def grey(films: Path) -> np.ndarray[Any, Any]:
    with Image.open(films / "a.png") as image:
        return np.asarray(image)


@pytest.fixture
def segmenter(tiny_weights: Path) -> Segmenter:
    return Segmenter(open_engine(tiny_weights, threads=1))


@pytest.mark.parametrize(("compressed", "here"), [(False, 3), (True, 0)])
def test_the_command_parses_each_film_once(
    run: Callable[..., Any],
    grey: np.ndarray[Any, Any],
    tiny_weights: Path,
    tmp_path: Path,
    parses: list[bytes],
    compressed: bool,
    here: int,
) -> None:
    """Compressed films are parsed by the decoder process alone."""
    ward, out = tmp_path / "ward", tmp_path / "out"
    ward.mkdir()
    for number in range(3):
        film = as_bytes(dicom_film(grey, number), compressed=compressed)
        (ward / f"{number}.dcm").write_bytes(film)
    formats = ("--format", "mask,dicom-seg,dicom-sr", "--uid")
    options = ("--weights", tiny_weights, "--threads", 1)
    assert run("segment", ward, "-o", out, *formats, *options).code == 0
    assert len(parses) == here
    with (out / "results.csv").open(newline="") as file:
        uids = [row["uid"] for row in csv.DictReader(file)]
    assert uids == ["1.2.3.4.0", "1.2.3.4.1", "1.2.3.4.2"]
    for number in range(3):
        assert dcmread(out / f"{number}_seg.dcm").StudyInstanceUID == "1.2.3"


def test_the_decoder_process_parses_a_film_once(
    grey: np.ndarray[Any, Any], parses: list[bytes]
) -> None:
    """`read_here` is what it runs."""
    film = as_bytes(dicom_film(grey, 1), compressed=True)
    assert read_here(film, HEADER).dicom_header().patient.PatientID == "P-1"
    assert len(parses) == 1


def test_the_node_parses_a_film_when_it_comes_and_when_it_is_segmented(
    grey: np.ndarray[Any, Any], segmenter: Segmenter, tmp_path: Path, parses: list[bytes]
) -> None:
    folder = NodeFolder(tmp_path / "node")
    folder.make()
    queue, space = Queue(folder.queue), DiskSpace(folder.root, keep_free=0)
    receiver = FilmReceiver(queue, folder, space, on_film=lambda: None)
    film = as_bytes(dicom_film(grey, 1))
    assert receiver.store(film, uid="1.2.3.4.1", sender="CR1") is StoreStatus.STORED
    assert len(parses) == 1
    stopping = threading.Event()
    worker = Worker(
        queue=queue,
        folder=folder,
        maker=ResultMaker(segmenter, FORMATS),
        destinations=["A"],
        wake=threading.Event(),
        space=space,
        on_results=stopping.set,
        stopping=stopping,
    )
    worker.run()
    assert len(parses) == 2
    due = queue.next_delivery("A")
    assert due is not None
    assert len(folder.results_of(due.number)) == len(FORMATS)


def test_a_pulled_film_is_checked_and_read_in_one_parse(
    grey: np.ndarray[Any, Any], segmenter: Segmenter, parses: list[bytes]
) -> None:
    maker = ResultMaker(segmenter, FORMATS)
    results, _ = maker.objects(as_bytes(dicom_film(grey, 1)), received=True)
    assert set(results) == set(FORMATS)
    assert len(parses) == 1
    ours = as_bytes(dicom_film(grey, 1, ManufacturerModelName="Pleura"))
    maker.objects(ours)
    with pytest.raises(UnsuitableFilm, match="a result of Pleura"):
        maker.objects(ours, received=True)


def test_the_transferred_header_gives_the_same_results(
    grey: np.ndarray[Any, Any], segmenter: Segmenter
) -> None:
    """From another process, from this one, and read from the file again: byte for byte."""
    film = as_bytes(dicom_film(grey, 1), compressed=True)
    travelled, stayed = read_film(film, HEADER), read_here(film, HEADER)
    assert travelled.uid == stayed.uid == "1.2.3.4.1"
    result = segmenter(travelled.radiograph)
    sources = (travelled.dicom_header(), stayed.dicom_header(), film)
    first, *others = ([steady(one) for one in dicom_results(s, result, FORMATS)] for s in sources)
    assert others == [first, first]
    name = dcmread(BytesIO(film)).get_item("PatientName").value.strip()
    assert b"\x1b$B" in name  # the bytes of the film's own character set
    assert all(name in content for content in first)
    assert all(str(dcmread(BytesIO(content)).PatientName) == NAME for content in first)


def steady(result: Dataset) -> bytes:
    """The object's file without the moment at which it was made."""
    for element in list(result.iterall()):
        is_moment = element.VR in ("DA", "TM", "DT") and element.keyword != "PatientBirthDate"
        if is_moment:
            element.value = None
    return dicom_bytes(result)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_film_that_no_result_can_refer_to_is_read_and_says_why(
    grey: np.ndarray[Any, Any], compressed: bool
) -> None:
    nameless = dicom_film(grey, 1, StudyInstanceUID="")
    film = read_film(as_bytes(nameless, compressed=compressed), HEADER)
    assert film.radiograph.size == grey.shape
    assert (film.uid, film.header) == ("1.2.3.4.1", None)
    with pytest.raises(UnsuitableFilm, match="no valid StudyInstanceUID"):
        film.dicom_header()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_film_that_is_not_dicom_has_no_dicom_header(
    grey: np.ndarray[Any, Any], kind: str
) -> None:
    file = BytesIO()
    Image.fromarray(grey).save(file, kind)
    film = read_film(file.getvalue(), HEADER)
    assert film.uid is None
    with pytest.raises(FilmError, match="this film is not DICOM; ask for other formats"):
        film.dicom_header()
    with pytest.raises(ValueError, match="read without its header"):
        read_film(file.getvalue()).dicom_header()
