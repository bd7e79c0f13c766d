"""`pleura segment --flip`: the mirror image of a real film gives its results, mirrored."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from pydicom import dcmread
from pydicom.dataset import Dataset

from pleura.apps.pacs.options import ResultOptions
from pleura.runtime.mirror import FLIPPED

Run = Callable[..., Any]

FILM = Path("jsrt512/images/JPCLN001.png")
DICOM = Path("dicom/nih_udacity_test1.dcm")


def table(out: Path) -> dict[str, str]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row


def labels(out: Path) -> np.ndarray:
    (path,) = out.glob("*_labels.png")
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture
def mirrored(films_root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mirrored.png"
    with Image.open(films_root / FILM) as film:
        ImageOps.mirror(film).save(path)
    return path


def test_a_mirrored_film_has_the_results_of_the_film(
    run: Run, films_root: Path, mirrored: Path, tmp_path: Path
) -> None:
    upright, flipped = tmp_path / "upright", tmp_path / "flipped"
    assert run("segment", films_root / FILM, "-o", upright, "-f", "labels", "-q").code == 0
    ended = run("segment", mirrored, "-o", flipped, "-f", "labels", "-q", "--flip", "--strict")
    assert ended.code == 0  # the heart lies on the patient's left: no doubt
    np.testing.assert_array_equal(labels(flipped), labels(upright)[:, ::-1])
    # 1 is the right lung: at the viewer's right in a film that is stored mirrored
    assert np.argwhere(labels(flipped) == 1)[:, 1].mean() > labels(flipped).shape[1] / 2
    one, other = table(upright), table(flipped)
    assert FLIPPED in other["notes"]
    assert FLIPPED not in one["notes"]
    same = [name for name in one if name.endswith(("_px", "_ratio", "verdict", "_dice", "doubts"))]
    assert len(same) >= 7
    assert {name: one[name] for name in same} == {name: other[name] for name in same}
    report = json.loads((flipped / "run.json").read_text())
    assert report["flip"] is True
    assert json.loads((upright / "run.json").read_text())["flip"] is False


def test_a_film_that_is_not_mirrored_gets_a_doubt_with_flip(
    run: Run, films_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = run("segment", films_root / FILM, "-o", out, "--flip", "--strict")
    assert ended.code == 4
    assert table(out)["doubts"] == "heart_on_right"
    assert "segment the film again with the other value of flip" in ended.err


@pytest.mark.parametrize(("before", "now"), [([], ["--flip"]), (["--flip"], [])])
def test_a_run_is_not_resumed_with_another_flip(
    run: Run, films: Path, tiny_weights: Path, tmp_path: Path, *, before: list[str], now: list[str]
) -> None:
    command = ("segment", films, "-o", tmp_path / "out", "--weights", tiny_weights, "-q")
    assert run(*command, *before).code == 0
    ended = run(*command, *now, "--resume")
    assert ended.code == 2
    was, is_now = ("on", "off") if before else ("off", "on")
    assert f"was started with flip {was}, now it is {is_now}" in ended.err
    assert run(*command, *before, "--resume").code == 0


def test_a_run_of_an_older_version_is_resumed_without_the_option(
    run: Run, films: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("segment", films, "-o", out, "--weights", tiny_weights, "-q", "--resume")
    assert run(*command).code == 0
    report = json.loads((out / "run.json").read_text())
    del report["flip"]
    (out / "run.json").write_text(json.dumps(report))
    assert run(*command, "--flip").code == 2
    assert run(*command).code == 0


def mirror_dicom(source: Path, target: Path, **changed: Any) -> Dataset:
    film = dcmread(source, force=True)
    film.PixelData = np.ascontiguousarray(film.pixel_array[:, ::-1]).tobytes()
    for keyword, value in changed.items():
        setattr(film, keyword, value)
    film.save_as(target)
    return film


def test_dicom_results_lie_on_the_pixels_of_the_source(
    run: Run, films_root: Path, tmp_path: Path
) -> None:
    stored = tmp_path / "mirrored.dcm"
    film = mirror_dicom(films_root / DICOM, stored, PatientOrientation=["R", "F"])
    formats = ("-f", "dicom-seg,dicom-sr", "-q")
    upright, flipped = tmp_path / "upright", tmp_path / "flipped"
    assert run("segment", films_root / DICOM, "-o", upright, *formats).code == 0
    assert run("segment", stored, "-o", flipped, *formats, "--flip").code == 0
    one, other = (dcmread(next(out.glob("*_seg.dcm"))) for out in (upright, flipped))
    np.testing.assert_array_equal(other.pixel_array, one.pixel_array[:, :, ::-1])
    assert other.PatientOrientation == film.PatientOrientation
    segment = other.SegmentSequence[0]
    assert segment.SegmentLabel == "Right lung"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert "flip=on" in algorithm.AlgorithmParameters
    assert "flip" not in str(one.SegmentSequence[0])
    report = dcmread(next(flipped.glob("*_sr.dcm")))
    texts = [element.value for element in report.iterall() if element.keyword == "TextValue"]
    assert FLIPPED in texts
    assert "flip=on" in texts
    # the file says that it is mirrored, and flip settles that
    assert "said_mirrored" not in table(flipped)["doubts"]
    assert run("segment", stored, "-o", tmp_path / "bare", *formats).code == 0
    assert "said_mirrored" not in table(tmp_path / "bare")["doubts"]  # turned by the file itself
    bare = dcmread(next((tmp_path / "bare").glob("*_seg.dcm")))
    np.testing.assert_array_equal(bare.pixel_array, other.pixel_array)


def test_the_node_and_dicomweb_mirror_on_request(run: Run, tiny_weights: Path) -> None:
    makers = [
        ResultOptions(flip=flip, weights=[tiny_weights], threads=1).maker()
        for flip in (False, True)
    ]
    assert [maker.segmenter.provenance.flip for maker in makers] == [False, True]
    for command in ("node", "dicomweb"):
        assert "--flip" in run(command, "--help").out
