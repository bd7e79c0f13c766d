"""Training squares: their cache on disk, their labels and their variation."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pleura.core.errors import DataError
from pleura.core.frame import Frame, normalise
from pleura.lab.data.film import Film, Labels, MaskPart
from pleura.lab.data.labels import square_target, target_for
from pleura.lab.train import dataset as squares_module
from pleura.lab.train.dataset import (
    AugmentedSquares,
    SquareOptions,
    Squares,
    cache_key,
    prepare,
)
from pleura.lab.train.recipe import Augment, Recipe, Stage

SIDE = 32


def halves(height: int = 64, width: int = 80) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two boxes: the right lung on the viewer's left, and larger."""
    right, left = np.zeros((2, height, width), bool)
    right[height // 4 : -height // 4, width // 8 : 3 * width // 8] = True
    left[height // 4 : -height // 4, 5 * width // 8 : -width // 8] = True
    return right, left


def save(path: Path, values: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def make_film(tmp_path: Path) -> Callable[..., Film]:
    """A film of 80 x 64 pixels whose mask says 1 right, 2 left, 9 ignore."""

    def make(
        name: str = "a", *, labels: tuple[tuple[str, int | None], ...] = (), grey: int = 90
    ) -> Film:
        right, left = halves()
        values = np.zeros(right.shape, np.uint8)
        values[right], values[left] = 1, 2
        values[:4] = 9
        noise = np.random.default_rng(grey).integers(0, 40, right.shape)
        image = save(
            tmp_path / f"{name}.png", (grey + noise + 80 * (right | left)).astype(np.uint8)
        )
        mask = save(tmp_path / f"{name}_mask.png", values)
        labels = labels or (("right_field", 1), ("left_field", 2), ("ignore", 9))
        parts = tuple(MaskPart(mask, channel, value) for channel, value in labels)
        return Film(id=name, source="drawn", image=image, masks=parts)

    return make


CHANNELS = ("right_field", "left_field", "field", "right_whole", "heart")


def test_a_square_is_the_input_of_the_network(make_film, tmp_path) -> None:
    film = make_film()
    prepared = prepare([film], tmp_path / "cache", SquareOptions(side=SIDE, channels=CHANNELS))
    assert len(prepared) == 1
    sample = prepared.sample(0)
    pixels = film.read_image().pixels
    expected = normalise(Frame(*pixels.shape, SIDE).fit(pixels))
    np.testing.assert_allclose(sample.image.numpy(), expected, atol=1 / 65535)
    right, left = halves()
    # 64 x 80 pixels to 32 x 32: edges of both boxes fall on edges of the new pixels.
    for index, mask in ((0, right), (1, left), (2, right | left)):
        known = sample.weight[index] == 1
        fitted = Frame(64, 80, SIDE).fit(mask.astype(np.float32))[0] >= 0.5
        assert np.array_equal(sample.target[index][known].numpy() == 1, fitted[known.numpy()])
        assert sample.target[index].sum() == fitted.sum() > 0
        # Ignored: 4 rows of 64, which are 2 of 32.
        assert sample.weight[index, :2].eq(0).all()
        assert sample.weight[index, 2:].eq(1).all()
    assert sample.weight[3:].eq(0).all(), "no label: nothing is known"
    assert sample.target[3:].eq(0).all()
    assert sample.image.dtype == sample.target.dtype == sample.weight.dtype == torch.float32


def test_squares_lie_on_the_disk_and_not_in_memory(make_film, tmp_path) -> None:
    prepared = prepare(
        [make_film()], tmp_path / "cache", SquareOptions(side=SIDE, channels=("field",))
    )
    for array, dtype in ((prepared.images, np.uint16), (prepared.targets, np.uint8)):
        assert isinstance(array, np.memmap)
        assert array.dtype == dtype
        assert not array.flags.writeable


def test_films_are_decoded_once(make_film, tmp_path, monkeypatch) -> None:
    films = [make_film("a"), make_film("b", grey=60)]
    calls: list[str] = []
    monkeypatch.setattr(
        squares_module,
        "square_image",
        lambda film, side, plain=squares_module.square_image: (
            calls.append(film.id),
            plain(film, side),
        )[1],
    )
    ticks: list[int] = []

    def get(which: list[Film], side: int = SIDE) -> Squares:
        return prepare(
            which,
            tmp_path / "cache",
            SquareOptions(side=side, channels=("field",)),
            on_film=lambda: ticks.append(1),
        )

    first = get(films)
    assert sorted(calls) == ["a", "b"]
    assert len(ticks) == 2
    again = get(films)
    assert len(calls) == 2
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images[0], first.images[1])
    get(films, side=16)
    assert len(calls) == 4
    # A changed file: another key, decoded again.
    make_film("a", grey=30)
    get(films)
    assert len(calls) == 6


def test_the_key_follows_films_files_labels_side_and_channels(make_film) -> None:
    film = make_film()

    def key(of: Film = film, **settings: Any) -> str:
        return cache_key([of], SquareOptions(**{"side": SIDE, "channels": ("field",)} | settings))

    now = key()
    assert key() == now
    others = [
        key(side=16),
        key(channels=("heart",)),
        key(hints=True),
        key(replace(film, id="b")),
        key(replace(film, masks=(replace(film.masks[0], value=2), *film.masks[1:]))),
        key(replace(film, masks=film.masks[:2])),
    ]
    stat = film.masks[0].path.stat()
    os.utime(film.masks[0].path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    others.append(key())
    assert len({now, *others}) == 8


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_missing_file_names_the_film(make_film, tmp_path, which) -> None:
    film = make_film("lost")
    (film.image if which == "image" else film.masks[0].path).unlink()
    with pytest.raises(DataError, match=r"lost: .*\.png cannot be read .*`pleura data check`"):
        prepare([film], tmp_path / "cache", SquareOptions(side=SIDE, channels=("field",)))


def test_no_film_at_all_is_an_error(tmp_path) -> None:
    with pytest.raises(DataError, match="no film with a mask"):
        prepare([], tmp_path / "cache", SquareOptions(side=SIDE, channels=("field",)))


def test_a_bad_film_ends_the_preparation_early_and_leaves_no_file(make_film, tmp_path) -> None:
    films = [make_film("bad"), *(make_film(f"good{i}") for i in range(30))]
    films[0].image.write_bytes(b"not an image")
    threads = threading.active_count()
    ticks: list[int] = []
    with pytest.raises(DataError, match=r"bad \(.*bad\.png\): .* or exclude this film"):
        prepare(
            films,
            tmp_path / "cache",
            SquareOptions(side=SIDE, channels=("field",)),
            on_film=lambda: ticks.append(1),
        )
    assert len(ticks) < 15, "it does not go on with the rest"
    assert list((tmp_path / "cache").iterdir()) == []
    assert threading.active_count() == threads
    films[0] = make_film("bad")
    assert (
        len(prepare(films, tmp_path / "cache", SquareOptions(side=SIDE, channels=("field",)))) == 31
    )


def labels(**targets: NDArray[np.bool_]) -> Labels:
    return Labels(targets)


def test_both_lungs_are_derived_from_right_and_left_and_the_reverse() -> None:
    right, left = halves()
    both = target_for(labels(right_whole=right, left_whole=left), "whole")
    assert both is not None
    assert np.array_equal(both, right | left)
    for channel, half in (("right_field", right), ("left_field", left)):
        target = target_for(labels(field=right | left), channel)
        assert target is not None
        assert np.array_equal(target, half)


def test_one_lung_or_the_other_definition_gives_no_labels() -> None:
    right, left = halves()
    for known, channel in (
        ({"right_field": right}, "field"),
        ({"right_field": right}, "left_field"),
        ({"right_field": right, "left_field": left}, "whole"),
        ({"field": right | left}, "whole"),
        ({"field": right | left}, "right_whole"),
        ({"field": right | left}, "heart"),
        ({"field": right}, "right_field"),  # one lung only: which one is not known
    ):
        assert target_for(labels(**known), channel) is None


def test_unknown_pixels_have_the_value_2() -> None:
    right, left = halves()
    ignore = np.zeros_like(right)
    ignore[:, :40] = True
    target = square_target(
        Labels({"right_field": right, "left_field": left}, ignore), SIDE, ("field", "heart")
    )
    assert target.dtype == np.uint8
    assert target.shape == (2, SIDE, SIDE)
    assert (target[0, :, :16] == 2).all()
    # The left lung's box: rows 16 to 47 of 64 and columns 50 to 69 of 80, so 8-23 and 20-27 of 32.
    assert (target[0, 8:24, 20:28] == 1).all()
    assert (target[0] == 1).sum() == 16 * 8
    assert (target[1] == 2).all()


def test_a_variation_depends_on_seed_epoch_and_film_alone(make_film, tmp_path) -> None:
    films = [make_film("a"), make_film("b", grey=60)]
    prepared = prepare(films, tmp_path / "cache", SquareOptions(side=SIDE, channels=("field",)))
    recipe = Recipe(name="a", side=SIDE, seed=4, augment=Augment(shift=0.2, noise=0.1))
    shown = AugmentedSquares(prepared, recipe)
    assert len(shown) == 2
    image, target, weight = shown[3, 1, 0]
    assert image.shape == target.shape == weight.shape == (1, SIDE, SIDE)
    shown[0, 0, 0]  # whatever was shown before
    torch.manual_seed(99)
    np.random.seed(99)
    again = AugmentedSquares(prepared, recipe)[3, 1, 0]
    assert all(torch.equal(a, b) for a, b in zip((image, target, weight), again, strict=True))
    for other in (
        shown[4, 1, 0],
        shown[3, 0, 0],
        shown[3, 1, 1],
        AugmentedSquares(prepared, replace(recipe, seed=5))[3, 1, 0],
    ):
        assert not torch.equal(other[0], image)


def test_without_augmentation_films_are_shown_as_they_are(make_film, tmp_path) -> None:
    prepared = prepare(
        [make_film()], tmp_path / "cache", SquareOptions(side=SIDE, channels=("field",))
    )
    sample = prepared.sample(0)
    for recipe in (None, Recipe(name="a", side=SIDE)):
        image, target, weight = AugmentedSquares(prepared, recipe)[7, 0, 0]
        assert torch.equal(image, sample.image)
        assert torch.equal(target, sample.target)
        assert torch.equal(weight, sample.weight)


def test_a_stage_has_a_side_and_an_augmentation_of_its_own(make_film, tmp_path) -> None:
    prepared = prepare(
        [make_film()], tmp_path / "cache", SquareOptions(side=SIDE, channels=("field",))
    )
    stages = (
        Stage(epochs=1, side=SIDE // 2),
        Stage(epochs=2, augment=Augment(noise=0.1)),
    )
    varied = AugmentedSquares(prepared, Recipe(name="a", side=SIDE, stages=stages))
    images = [varied[epoch, 0, 0][0] for epoch in range(4)]
    unvaried = prepared.sample(0)
    assert torch.equal(images[0], unvaried.at_side(SIDE // 2).image)
    assert images[1].shape == images[2].shape == unvaried.image.shape
    assert not torch.equal(images[1], unvaried.image)
    assert not torch.equal(images[2], unvaried.image)
    assert torch.equal(images[3], unvaried.image)


WITH_A_WORKER = """
import contextlib, os, pathlib, signal, sys
import numpy as np
from pleura.lab.data.layouts import read_films
from pleura.lab.train import dataset
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import Recipe

folder = pathlib.Path(sys.argv[1])
films = read_films(folder)
squares = dataset.SquareOptions(side=32, channels=("field",))
prepared = dataset.prepare(films, folder / "cache", squares)
machine = Machine(accelerator="cpu", workers=1)
loaders = dataset.Loaders(prepared, prepared, machine, np.ones(len(films)))
batches = iter(loaders.training(Recipe(name="a", side=32, batch=1)))
next(batches)
(worker,) = batches._workers
os.kill(worker.pid, signal.SIGTERM)
print("batches after SIGTERM:", len(list(batches)))
del batches
dataset.GRACE_S = 0.0
batches = iter(loaders.training(Recipe(name="a", side=32, batch=1)))
(worker,) = batches._workers
next(batches)
os.kill(worker.pid, signal.SIGTERM)
worker.join(60)
print("exit code:", worker.exitcode)
with contextlib.suppress(RuntimeError):  # torch tells that it ended
    list(batches)
"""
"""In a process of its own, because torch sets a handler of SIGCHLD that stays. Together with
parallel streams of OpenVINO it ends the process of pytest."""


def test_a_data_worker_outlives_sigterm(make_film, tmp_path) -> None:
    """It would end before the run, which then fails wherever it is, in a finalizer too."""
    rows = ["id,image,mask,split,labels"]
    for number, name in enumerate("abcdefgh"):
        make_film(name, grey=40 + 10 * number)
        rows.append(f"{name},{name}.png,{name}_mask.png,train,field")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    command = [sys.executable, "-c", WITH_A_WORKER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "batches after SIGTERM: 7\nexit code: 0\n"
