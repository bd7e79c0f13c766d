"""Zip files: names and bytes are those that the command line writes, for real films."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image

from pleura.apps.cli.engines import open_engine
from pleura.apps.serve.responses.zip_response import result_names
from pleura.io.outputs import FORMATS
from pleura.runtime.open import Choice

ENGINE = ("--engine", "onnxruntime", "--precision", "fp32", "--threads", 1)

WHERE_AND_WHEN = ("path", "seconds")
"""Columns of the table that differ: the client's name instead of a path, and no seconds."""


@pytest.fixture(scope="module")
def client(start: Callable[..., httpx.Client]) -> httpx.Client:
    """A client of a service with the shipped weights and the default limits."""
    return start(
        engine=open_engine(choice=Choice(engine="onnxruntime", precision="fp32", threads=1))
    )


@pytest.fixture
def films(films_root: Path, tmp_path: Path) -> Path:
    """A DICOM film, a PNG film, and a file that is no film."""
    folder = tmp_path / "films"
    (folder / "b").mkdir(parents=True)
    shutil.copy(sorted((films_root / "dicom").glob("nih_*.dcm"))[0], folder / "one.dcm")
    shutil.copy(sorted((films_root / "jsrt512").rglob("*.png"))[0], folder / "b" / "two.v1.png")
    (folder / "no.png").write_text("no film")
    return folder


def form(folder: Path) -> list[tuple[str, tuple[str, bytes]]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        ("film", (path.relative_to(folder).as_posix(), path.read_bytes()))
        for path in reversed(paths)  # the order of a request does not matter
    ]


def unzipped(response: Any) -> dict[str, bytes]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    with ZipFile(BytesIO(response.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(folder: Path) -> dict[str, bytes]:
    """The files of a run's output folder, hidden ones left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def rows(table: bytes) -> list[dict[str, str]]:
    lines = csv.DictReader(StringIO(table.decode()))
    return [{key: row[key] for key in row if key not in WHERE_AND_WHEN} for row in lines]


def compare(zipped: dict[str, bytes], folder: Path) -> None:
    expected = written(folder)
    assert set(zipped) == set(expected)
    ours, theirs = json.loads(zipped.pop("run.json")), json.loads(expected.pop("run.json"))
    assert set(ours) == set(theirs)
    same = set(ours) - {"options", "started", "seconds", "left_out"}
    assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
    assert rows(zipped.pop("results.csv")) == rows(expected.pop("results.csv"))
    for name, content in zipped.items():
        assert timeless(name, content) == timeless(name, expected[name]), name


def timeless(name: str, content: bytes) -> Any:
    """What a file holds, without the time at which it was written."""
    if name.endswith(".dcm"):
        dataset = pydicom.dcmread(BytesIO(content))
        dataset.walk(lambda inside, element: inside.pop(element.tag) if is_time(element) else None)
        return dataset.to_json_dict()
    if name.endswith(".npz"):
        with ZipFile(BytesIO(content)) as archive:
            return {member: archive.read(member) for member in archive.namelist()}
    return content


def is_time(element: pydicom.DataElement) -> bool:
    return element.VR in ("DA", "TM", "DT")


def test_many_films_give_the_files_of_a_run(
    client: httpx.Client, run: Callable[..., Any], films: Path, tmp_path: Path
) -> None:
    formats = ["mask", "overlay", "overlay-jpeg", "split", "labels", "npy", "nifti", "coco", "crop"]
    chosen = "".join(f"&files={name}" for name in formats)
    response = client.post(f"/v1/segmentations?format=zip{chosen}", files=form(films))
    options = (*ENGINE, "-o", tmp_path / "out", "--format", ",".join(formats))
    assert run("segment", films, *options).code == 3  # no.png failed
    compare(unzipped(response), tmp_path / "out")


def test_the_files_are_dated_with_the_local_time(client: httpx.Client, films: Path) -> None:
    earliest = datetime.now() - timedelta(seconds=2)  # the zip format has steps of two seconds
    response = client.post(
        "/v1/segmentations?format=zip", content=(films / "b" / "two.v1.png").read_bytes()
    )
    with ZipFile(BytesIO(response.content)) as archive:
        times = [datetime(*member.date_time) for member in archive.infolist()]
    assert len(times) == 4
    assert earliest <= min(times) <= max(times) <= datetime.now()


def test_one_film_gives_mask_overlay_and_segmentation(
    client: httpx.Client, run: Callable[..., Any], films: Path, tmp_path: Path
) -> None:
    film = films / "one.dcm"
    response = client.post(
        "/v1/segmentations?name=one.dcm",
        content=film.read_bytes(),
        headers={"Accept": "application/zip"},
    )
    assert (
        run("segment", film, *ENGINE, "-o", tmp_path / "o", "-f", "mask,overlay,dicom-seg").code
        == 0
    )
    zipped = unzipped(response)
    assert set(zipped) >= {"one_mask.png", "one_overlay.png", "one_seg.dcm"}
    compare(zipped, tmp_path / "o")


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if len(one.writers) == 1])
def test_a_file_of_one_film_is_that_of_the_command_line(
    client: httpx.Client, run: Callable[..., Any], films: Path, tmp_path: Path, name: str
) -> None:
    film = films / "one.dcm"
    response = client.post(
        f"/v1/segmentations?format={name}&name=one.dcm", content=film.read_bytes()
    )
    assert run("segment", film, *ENGINE, "-o", tmp_path / "o", "-f", name).code == 0
    (ending,) = FORMATS[name].endings
    assert response.status_code == 200, response.text
    theirs = (tmp_path / "o" / f"one{ending}").read_bytes()
    assert timeless(ending, response.content) == timeless(ending, theirs)


def test_an_edited_film_has_a_zip_file_of_the_edited_masks(
    client: httpx.Client, films: Path
) -> None:
    name, film = "b/two.v1.png", (films / "b" / "two.v1.png").read_bytes()
    masks = client.post("/v1/segmentations", content=film).json()["lungs"]["field"]["rle"]
    height, width = masks["right"]["size"]
    masks["right"]["counts"] = [height * width]  # nothing is left of the right lung
    form_of_two = [("film", (name, film)), ("masks", ("masks.json", json.dumps(masks).encode()))]
    response = client.post("/v1/corrections?format=zip&files=split", files=form_of_two)
    zipped = unzipped(response)
    assert set(zipped) == {f"b/two.v1{end}" for end in ("_right.png", "_left.png")} | {
        "results.csv",
        "run.json",
    }
    right, left = (
        Image.open(BytesIO(zipped[f"b/two.v1_{side}.png"])) for side in ("right", "left")
    )
    assert not np.asarray(right).any()
    assert np.asarray(left).any()
    (row,) = csv.DictReader(StringIO(zipped["results.csv"].decode()))
    assert "edited by hand" in row["notes"]


def test_a_film_that_is_the_body_and_fails_is_a_problem(client: httpx.Client) -> None:
    response = client.post("/v1/segmentations?format=zip", content=b"no film")
    assert response.status_code == 415
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("format=zp", "there is no format 'zp'; did you mean 'zip'?"),
        ("format=zip&files=maks", "there is no format 'maks'; did you mean 'mask'?"),
        ("format=zip&lungs=all", "a zip file holds the lungs by one definition"),
        ("files=mask", "files names what a zip file holds, not a json; add format=zip"),
        ("format=split", "split is two files; ask for format=zip&files=split"),
    ],
)
def test_an_impossible_zip_request_is_400_with_advice(
    client: httpx.Client, query: str, detail: str
) -> None:
    response = client.post(f"/v1/segmentations?{query}", content=b"film")
    assert response.status_code == 400
    assert detail in response.json()["detail"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["film.png"], ["film"]),
        ([""], ["film"]),
        (["a.nii.gz", "b/a.png"], ["a", "b/a"]),
        (["a.png", "a.jpg"], ["a_png", "a_jpg"]),
        (["a.png", "a.png"], ["1/a", "2/a"]),
        (["", ""], ["1/film", "2/film"]),
        (["../../etc/a.png", "/b.png", "C:\\films\\c.png"], ["etc/a", "b", "films/c"]),
    ],
)
def test_names_are_unique_and_stay_in_the_zip_file(names: list[str], expected: list[str]) -> None:
    assert [path.as_posix() for path in result_names(names)] == expected
