from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]


def read(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_film_and_its_masks(run: Run, tmp_path: Path) -> None:
    ended = run("phantom", "-o", tmp_path / "new" / "film.png", "--size", 256, "--masks")
    names = ("film.png", "film_mask.png", "film_right.png", "film_left.png")
    paths = [tmp_path / "new" / name for name in names]
    assert ended.code == 0
    assert ended.out.split() == [str(path) for path in paths]
    film, mask, right, left = map(read, paths)
    assert film.shape == mask.shape == (256, 224)
    assert film.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    assert np.array_equal(mask, right | left)
    assert not np.any(right & left)
    # The patient's right lung is on the viewer's left.
    assert np.nonzero(right)[1].mean() < 112 < np.nonzero(left)[1].mean()


def test_a_seed_gives_the_same_person(run: Run, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("phantom", "-o", tmp_path / f"{name}.png", "--size", 128, "--seed", seed)
    a, b, c = (read(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("size", [0, 31, 12_001])
def test_an_invalid_size_is_wrong_usage(run: Run, tmp_path: Path, size: int) -> None:
    assert run("phantom", "-o", tmp_path / "film.png", "--size", size).code == 2
    assert list(tmp_path.iterdir()) == []
