"""A recipe that learns synthetic films in seconds, and how two runs are compared."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pleura.lab.train.dataset import AugmentedSquares
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import Augment, Recipe
from pleura.net.unetplusplus import Architecture

EPOCHS = 4

QUIET = Machine(accelerator="cpu", progress=False)

RECIPE = Recipe(
    name="tiny",
    side=32,
    epochs=EPOCHS,
    batch=2,
    learning_rate=0.02,
    network=Architecture(widths=(2, 4, 8)),
    augment=Augment(shift=0.05, flip_chance=0.5, noise=0.05),
)


def draw_film(folder: Path, name: str, seed: int) -> None:
    """A bright film with two dark lungs at a place of their own: mask 1 right, 2 left."""
    rng = np.random.default_rng(seed)
    down, across = rng.uniform(-3, 3, 2)
    row, column = np.mgrid[:40, :48]

    def ellipse(at: tuple[float, float], height: float, width: float) -> Any:
        return ((row - at[0] - down) / height) ** 2 + ((column - at[1] - across) / width) ** 2 <= 1

    right, left = ellipse((20, 14), 13, 7), ellipse((21, 33), 12, 6)
    grey = 170 - 100 * (right | left) + rng.normal(0, 8, right.shape)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    Image.fromarray((right + 2 * left).astype(np.uint8)).save(folder / f"{name}_mask.png")


class Spy(AugmentedSquares):
    """Tells what is shown."""

    shown: Callable[[int, int], None]

    def __getitem__(self, key: tuple[int, int, int]) -> Any:
        self.shown(*key[:2])
        return super().__getitem__(key)


def held(out: Path, name: str = "last") -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(out / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return checkpoint


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_same_end(one: Path, other: Path) -> None:
    """Weights, statistics and optimiser are equal to the last bit, and so are the scores."""
    a, b = held(one), held(other)
    assert a["epoch"] == b["epoch"] == EPOCHS - 1
    assert a["state_dict"].keys() == b["state_dict"].keys()
    for name, value in a["state_dict"].items():
        assert torch.equal(value, b["state_dict"][name]), name
    for k, state in a["optimizer_states"][0]["state"].items():
        for name, value in state.items():
            assert torch.equal(value, b["optimizer_states"][0]["state"][k][name])
    timeless = [
        [{name: value for name, value in row.items() if name != "seconds"} for row in rows(out)]
        for out in (one, other)
    ]
    assert timeless[0] == timeless[1]
    best = [held(out, "best") for out in (one, other)]
    assert best[0]["epoch"] == best[1]["epoch"]
    assert best[0]["pleura"]["val_dice"] == best[1]["pleura"]["val_dice"]


class Clock:
    """A clock that only the films move."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


def limited(seconds: float) -> Machine:
    return replace(QUIET, max_time=timedelta(seconds=seconds))
