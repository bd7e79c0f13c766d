"""A film that its header calls mirrored: film and labels are read upright."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from pleura.io.read import read_radiograph
from pleura.lab.data.layouts import read_films
from pleura.lab.train.dataset import SquareOptions, cache_key, prepare

CHANNELS = ("right_field", "left_field", "heart")


@pytest.fixture
def pair(films_root: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two data folders of a real film, upright in one and stored mirrored in the other."""
    source = sorted((films_root / "dicom").glob("nih_*.dcm"))[0]
    upright, mirrored = tmp_path / "upright", tmp_path / "mirrored"
    for folder in (upright, mirrored):
        (folder / "images").mkdir(parents=True)
    shutil.copy(source, upright / "images" / "film.dcm")
    film = pydicom.dcmread(source)
    film.PixelData = np.ascontiguousarray(film.pixel_array[:, ::-1]).tobytes()
    film.PatientOrientation = ["R", "F"]
    film.save_as(mirrored / "images" / "film.dcm")
    return upright, mirrored


def with_results(run: Callable[..., Any], folder: Path, ending: str, form: str) -> Path:
    """The folder with the result of `pleura segment` as its masks."""
    (folder / "masks").mkdir(exist_ok=True)
    out = folder.parent / f"out-{folder.name}"
    assert run("segment", folder / "images", "-o", out, "--format", form).code == 0
    shutil.copy(out / f"film{ending}", folder / "masks")
    return folder


@pytest.mark.parametrize(
    ("ending", "form"),
    [("_labels.png", "labels"), ("_labels.npy", "npy"), ("_seg.dcm", "dicom-seg")],
)
def test_results_of_a_mirrored_film_train_as_those_of_the_upright_film(
    run: Callable[..., Any], pair: tuple[Path, Path], tmp_path: Path, ending: str, form: str
) -> None:
    (plain,), (turned,) = (read_films(with_results(run, one, ending, form)) for one in pair)
    stored = read_radiograph(turned.image)
    assert stored.mirrored
    assert np.array_equal(turned.read_image().pixels, stored.pixels[:, ::-1])
    assert not turned.read_image().mirrored
    for channel, expected in plain.read_labels().targets.items():
        assert expected.any()
        assert np.array_equal(turned.read_labels().targets[channel], expected), channel
    options = SquareOptions(side=64, channels=CHANNELS)
    squares = [prepare([film], tmp_path / "cache", options) for film in (plain, turned)]
    assert np.array_equal(squares[0].images, squares[1].images)
    assert np.array_equal(squares[0].targets, squares[1].targets)


def test_evaluation_compares_results_and_labels_on_the_same_side(
    run: Callable[..., Any], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = with_results(run, pair[1], "_labels.png", "labels")
    ended = run("evaluate", folder, "--split", "all", "--out", tmp_path / "report", "--json")
    assert ended.code == 0, ended.err
    assert '"right"' in ended.out


def test_masks_of_corrections_of_a_mirrored_film_are_upright_already(
    run: Callable[..., Any], pair: tuple[Path, Path]
) -> None:
    """The page of `pleura serve` saves them on the mirror image of the film."""
    upright, mirrored = pair
    (plain,) = read_films(with_results(run, upright, "_labels.png", "labels"))
    labels = plain.read_labels().targets
    (mirrored / "masks").mkdir()
    for channel, mask in labels.items():
        Image.fromarray(np.uint8(255) * mask).save(mirrored / "masks" / f"film_{channel}.png")
    masks = {channel: f"masks/film_{channel}.png" for channel in labels}
    entry = {"id": "film", "image": "images/film.dcm", "masks": masks, "mirrored": True}
    (mirrored / "corrections.json").write_text(json.dumps({"films": [entry]}))
    (film,) = read_films(mirrored)
    assert np.array_equal(film.read_image().pixels, plain.read_image().pixels)
    for channel, mask in labels.items():
        assert np.array_equal(film.read_labels().targets[channel], mask), channel


def test_the_cache_of_a_film_depends_on_whether_its_masks_are_mirrored(
    run: Callable[..., Any], pair: tuple[Path, Path]
) -> None:
    (film,) = read_films(with_results(run, pair[1], "_labels.png", "labels"))
    options = SquareOptions(side=64, channels=CHANNELS)
    before = cache_key([film], options)
    object.__setattr__(film, "masks_are_upright", True)
    assert cache_key([film], options) != before
