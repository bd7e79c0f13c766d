"""`--weights` given several times: the same masks and the same provenance through every door."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.accuracy.own_films import save_film
from benchmarks.faults.weights import dark_is_lung
from numpy.typing import NDArray
from PIL import Image

import pleura
from pleura.apps.cli.main import main
from pleura.apps.pacs.options import ResultOptions

LEVELS = (0.2, 0.8)
BANDS = {40: (40, 70), 104: (70, 95), 150: (95, 120)}
"""Rows of each grey of the lungs, on a ground of 200 to 215: after the scaling, about 0, 0.37 and
0.63. With p = sigmoid(20 (level - x)), the second band has 0.03 and 1.00 by the two levels, mean
0.52; the third has 0.00 and 0.97, mean 0.48."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files of weights; a threshold of 0.2 finds the first band, one of 0.8 all three."""
    folder = tmp_path_factory.mktemp("folds")
    paths = [folder / f"{level}.onnx" for level in LEVELS]
    for path, level in zip(paths, LEVELS, strict=True):
        path.write_bytes(dark_is_lung(level=level))
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/ and masks/ of one film; its mask is what the ensemble finds."""
    root = tmp_path_factory.mktemp("data")
    film = np.tile((200 + np.arange(128) // 8).astype(np.uint8), (160, 1))
    mask = np.zeros((160, 128), np.uint8)
    for columns in (slice(16, 48), slice(80, 112)):
        for grey, (top, bottom) in BANDS.items():
            film[top:bottom, columns] = grey
        mask[40:95, columns] = 255
    for name, image in (("images", film), ("masks", mask)):
        (root / name).mkdir()
        Image.fromarray(image).save(root / name / "a.png")
    return root


def options(two: list[Path]) -> list[str]:
    return [word for path in two for word in ("--weights", str(path))]


def read(path: Path) -> NDArray[np.bool_]:
    with Image.open(path) as image:
        return np.asarray(image) > 0


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_every_door_gives_the_mean(two: list[Path], folder: Path, tmp_path: Path) -> None:
    film, truth = folder / "images/a.png", read(folder / "masks/a.png")
    expected = pleura.segment(film, weights=two)
    assert dice(expected.mask, truth) > 0.98
    for path in two:
        assert dice(pleura.segment(film, weights=path).mask, truth) < 0.85
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in two]
    made_by = expected.provenance
    assert made_by.weights_name == f"tiny {digests[0][:8]} + tiny {digests[1][:8]}"

    by_hand = pleura.Segmenter(weights=[path.read_bytes() for path in two])
    np.testing.assert_array_equal(by_hand(pleura.read_radiograph(film)).mask, expected.mask)
    assert by_hand.provenance == made_by

    assert main(["segment", str(film), "-o", str(tmp_path / "cli"), *options(two), "-q"]) == 0
    pleura.segment_folder(film, tmp_path / "python", weights=two)
    for name in ("cli", "python"):
        np.testing.assert_array_equal(read(tmp_path / name / "a_mask.png"), expected.mask)
        run = json.loads((tmp_path / name / "run.json").read_text())
        assert (run["weights"], run["weights_sha256"]) == (
            made_by.weights_name,
            made_by.weights_sha256,
        )

    maker = ResultOptions(weights=two, formats=["dicom-seg"]).maker()
    assert maker.segmenter.provenance == made_by
    save_film(tmp_path / "film.dcm", np.asarray(Image.open(film), np.float32), "1")
    objects, _ = maker.objects(tmp_path / "film.dcm")
    algorithm = objects["dicom-seg"].SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert f"weights={made_by.weights_name}" in algorithm[0].AlgorithmParameters
    assert f"weights_sha256={made_by.weights_sha256}" in algorithm[0].AlgorithmParameters


def test_evaluate_robustness_and_calibrate_take_several(
    run, two: list[Path], folder: Path, tmp_path: Path
) -> None:
    for command, page in (("evaluate", "summary.json"), ("robustness", "robustness.json")):
        ended = run(command, folder, "--split", "all", *options(two), "-o", tmp_path / command)
        assert ended.code == 0, ended.err
        weights = json.loads((tmp_path / command / page).read_text())["provenance"]["weights"]
        assert weights["name"].count("tiny") == 2
    with (tmp_path / "evaluate/scores.csv").open() as table:
        assert float(next(csv.DictReader(table))["dice"]) > 0.98
    ended = run("calibrate", folder, *options(two), "--write", tmp_path / "one.onnx")
    assert (ended.code, ended.out) == (2, "")
    assert "--write changes one weights file" in ended.err


def test_what_does_not_go_together_is_refused(run, two: list[Path], folder: Path) -> None:
    twice = [*options(two), "--weights", two[0]]
    ended = run("segment", folder / "images", "-o", folder / "out", *twice)
    assert ended.code == 2
    assert "given twice" in ended.err
    with pytest.raises(pleura.UsageError, match="weights is empty"):
        pleura.segment(folder / "images/a.png", weights=[])
    with pytest.raises(pleura.UsageError, match="not both"):
        pleura.Segmenter(pleura.Segmenter(weights=two).engine, weights=two)


def test_an_ensemble_estimates_no_dice(two: list[Path], folder: Path) -> None:
    assert pleura.segment(folder / "images/a.png", weights=two).quality.estimated_dice is None


def test_an_ensemble_is_more_uncertain_where_its_networks_disagree(
    two: list[Path], folder: Path, tmp_path: Path
) -> None:
    film = folder / "images/a.png"
    alone = [pleura.segment(film, weights=path).quality.uncertainty for path in two]
    both = pleura.segment(film, weights=two).quality.uncertainty
    # In two of the three bands the mean is about 1/2, where each network alone is certain.
    assert both is not None
    assert both > 2 * max(uncertainty or 1 for uncertainty in alone)
    assert main(["segment", str(film), "-o", str(tmp_path), *options(two), "-q"]) == 0
    with (tmp_path / "results.csv").open(newline="") as table:
        (row,) = csv.DictReader(table)
    assert float(row["uncertainty"]) == both


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "(0 bytes) are no ONNX graph"),
        (None, "the file is damaged, cut short or of another kind. Take the shipped weights"),
        (b"PK\3\4archive/data.pkl", "this is a checkpoint of a training run, not its weights"),
    ],
)
def test_a_file_of_several_that_is_no_weights_is_named(
    two: list[Path],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    cause: str,
) -> None:
    third = tmp_path / "third.onnx"
    third.write_bytes(two[0].read_bytes()[:300] if content is None else content)
    words = [
        "segment",
        str(folder / "images"),
        "-o",
        str(tmp_path / "out"),
        *options([*two, third]),
    ]
    assert main(words) == 5
    error = capsys.readouterr().err
    assert "file 3 of the 3 weights: " in error
    assert cause in error
