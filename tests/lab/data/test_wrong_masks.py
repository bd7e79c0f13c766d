"""Masks that are wrong in any common way are errors that say what is wrong, on real films."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pleura.core.errors import DataError, UsageError
from pleura.lab.data.check import check, require_sound
from pleura.lab.data.findings import ERRORS
from pleura.lab.data.layouts import read_films

FILMS = 8
Make = Callable[[list[NDArray[np.bool_]], int], NDArray[np.generic] | Image.Image]


@pytest.fixture(scope="session")
def pairs(films_root: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Eight films of Montgomery to train on, and their masks."""
    root = films_root / "shenzhen_montgomery"
    with (root / "manifest.csv").open() as table:
        rows = [
            row
            for row in csv.DictReader(table)
            if row["id"].startswith("MCU") and row["split"] == "train"
        ]
    return [
        (
            np.asarray(Image.open(root / row["image"]).convert("L")),
            np.asarray(Image.open(root / row["mask"]).convert("L")) > 0,
        )
        for row in rows[:FILMS]
    ]


def write_set(root: Path, pairs: list, make: Make, *, suffix: str = ".png") -> Path:
    """A data set in the layout `folder` whose masks are those that `make` returns."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    masks = [mask for _, mask in pairs]
    for number, (film, _) in enumerate(pairs):
        Image.fromarray(film).save(root / "images" / f"f{number}.png")
        mask, path = make(masks, number), root / "masks" / f"f{number}{suffix}"
        if suffix == ".npy":
            np.save(path, np.asarray(mask))
        else:
            picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
            picture.save(path)
    return root


def grey(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return mask.astype(np.uint8) * 255


def halves(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """One lung 128, the other 255."""
    left = np.arange(mask.shape[1]) < mask.shape[1] // 2
    return np.where(mask, np.where(left, 128, 255), 0).astype(np.uint8)


def alpha(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """White everywhere; the lungs are opaque."""
    return np.dstack([np.full_like(grey(mask), 255), grey(mask)])


def white_first(mask: NDArray[np.bool_]) -> Image.Image:
    """A palette whose first colour is white, for the ground, and whose second is red."""
    picture = Image.fromarray(mask.astype(np.uint8)).convert("P")
    picture.putdata(mask.astype(np.uint8).ravel().tolist())
    picture.putpalette([255, 255, 255, 255, 0, 0])
    return picture


def tiny(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    out = np.zeros(mask.shape, np.uint8)
    out[250:270, 200:220] = out[250:270, 300:320] = 255
    return out


WRONG: dict[str, tuple[str, Make]] = {
    "inverted": ("inverted-mask", lambda masks, i: grey(~masks[i])),
    "all white": ("full-mask", lambda masks, i: np.full_like(grey(masks[i]), 255)),
    "128 as ground": ("full-mask", lambda masks, i: np.maximum(grey(masks[i]), 128)),
    "alpha only": ("unreadable-mask", lambda masks, i: alpha(masks[i])),
    "white-first palette": ("bright-ground", lambda masks, i: white_first(masks[i])),
    "of the next film": ("mask-of-another-film", lambda masks, i: grey(masks[(i + 1) % FILMS])),
    "upside down": ("misplaced-mask", lambda masks, i: grey(masks[i][::-1])),
    "mirrored": ("misplaced-mask", lambda masks, i: grey(masks[i][:, ::-1])),
    "turned": ("misplaced-mask", lambda masks, i: grey(np.rot90(masks[i])).copy()),
    "shifted": ("misplaced-mask", lambda masks, i: grey(np.roll(masks[i], 80, axis=1))),
    "0, 128 and 255": ("several-values", lambda masks, i: halves(masks[i])),
    "another shape": ("other-aspect", lambda masks, i: grey(masks[i][:256])),
    "tiny": ("implausible-area", lambda masks, i: tiny(masks[i])),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_set_is_an_error_of_every_film(name: str, pairs: list, tmp_path: Path) -> None:
    kind, make = WRONG[name]
    data = write_set(tmp_path / "data", pairs, make)
    report = check(data)
    assert {error.kind for error in report.errors} <= {kind, "several-values"}
    assert len({error.where for error in report.errors if error.kind == kind}) == FILMS
    with pytest.raises(DataError, match=f"f0: .*{kind}(.|\n)*--accept KIND"):
        require_sound(read_films(data))


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_correct_masks_have_no_finding(suffix: str, pairs: list, tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", pairs, lambda masks, i: grey(masks[i]), suffix=suffix)
    assert check(data).findings == ()
    require_sound(read_films(data))


def test_numpy_masks_are_looked_at(pairs: list, tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", pairs, lambda masks, i: ~masks[i], suffix=".npy")
    assert {error.kind for error in check(data).errors} == {"inverted-mask"}


def test_two_exchanged_masks_are_named_with_their_films(pairs: list, tmp_path: Path) -> None:
    other = {2: 5, 5: 2}
    data = write_set(tmp_path / "data", pairs, lambda masks, i: grey(masks[other.get(i, i)]))
    errors = [(error.where, error.detail) for error in check(data).errors]
    assert errors == [("f2", "that of f5 fits it"), ("f5", "that of f2 fits it")]


def test_a_mask_that_two_films_have_is_named_with_both(pairs: list, tmp_path: Path) -> None:
    pairs = [*pairs, pairs[0]]  # a copy of a film has its mask, and is no error
    data = write_set(tmp_path / "data", pairs, lambda masks, i: grey(masks[5 if i == 2 else i]))
    errors = [e for e in check(data).errors if e.kind != "mask-of-another-film"]
    assert [(error.kind, error.where, error.detail) for error in errors] == [
        ("shared-mask", "f2", "f5 has it too"),
        ("shared-mask", "f5", "f2 has it too"),
    ]
    with pytest.raises(DataError, match="f5: shared-mask: f2 has it too"):
        require_sound(read_films(data))


@pytest.mark.parametrize(
    ("turn", "detail"),
    [
        (lambda mask: mask[:, ::-1], "it fits if it is mirrored"),
        (lambda mask: mask[::-1], "it fits if it is upside down"),
        (lambda mask: np.roll(mask, 64, axis=0), r"it fits if it is shifted 1\d% up"),
    ],
)
def test_the_detail_says_how_the_mask_would_fit(turn, detail, pairs, tmp_path) -> None:
    import re

    data = write_set(tmp_path / "data", pairs[:1], lambda masks, i: grey(turn(masks[i])).copy())
    (error,) = check(data).errors
    assert re.match(detail, error.detail)


def test_accepted_errors_are_warnings(pairs: list, tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", pairs, lambda masks, i: grey(masks[i][::-1]))
    report = check(data, accepted=("misplaced-mask",))
    assert report.passed
    assert len(report.warnings) == FILMS
    require_sound(read_films(data), accepted=("misplaced-mask",))
    with pytest.raises(UsageError, match="did you mean 'misplaced-mask'"):
        check(data, accepted=("misplaced",))


@pytest.mark.parametrize(
    "name", ["shenzhen_montgomery", "jsrt", "jsrt512", "openist", "wingspan", "covid", "pediatric"]
)
def test_no_real_mask_is_called_wrong(name: str, films_root: Path) -> None:
    films = [film for film in read_films(films_root / name) if film.split == "train"]
    require_sound(films[:: max(1, len(films) // 40)])


def run_check(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pleura", "data", "check", str(data), "-q", *options],
        capture_output=True,
        text=True,
    )


def test_the_shipped_weights_contradict_wrong_masks(pairs: list, tmp_path: Path) -> None:
    good = write_set(tmp_path / "good", pairs, lambda masks, i: grey(masks[i]))
    swapped = write_set(tmp_path / "swapped", pairs, lambda masks, i: grey(masks[(i + 1) % FILMS]))
    done = run_check(good, "--with-model", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["median_dice"]["good"] > 0.95
    done = run_check(swapped, "--with-model")
    assert done.returncode == 1
    assert "set-contradicts-weights" in done.stdout
    assert "set-contradicts-weights" in ERRORS
