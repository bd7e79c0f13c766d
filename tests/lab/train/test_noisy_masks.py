"""Training on films of which some have wrong masks: the robust loss against the usual one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pleura.lab.data.layouts import read_films
from pleura.lab.train import run
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import Recipe
from pleura.net.unetplusplus import Architecture

INVERTED = 11
"""Of 24 films to train on; the masks of the 6 films to validate on are right."""


def draw_film(folder: Path, name: str, *, seed: int, inverted: bool) -> None:
    """A bright film with two dark lungs at a place of their own."""
    rng = np.random.default_rng(seed)
    down, across = rng.uniform(-3, 3, 2)
    row, column = np.mgrid[:40, :48]
    lungs = np.zeros(row.shape, bool)
    for middle in (14, 33):
        lungs |= ((row - 20 - down) / 13) ** 2 + ((column - middle - across) / 7) ** 2 <= 1
    grey = 170 - 100 * lungs + rng.normal(0, 8, row.shape)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    Image.fromarray((lungs != inverted).astype(np.uint8)).save(folder / f"{name}_mask.png")


def test_inverted_masks_do_less_harm_with_the_robust_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["id,image,mask,split"]
    for index in range(30):
        split = "train" if index < 24 else "val"
        draw_film(tmp_path, f"f{index}", seed=index, inverted=index < INVERTED)
        rows.append(f"f{index},f{index}.png,f{index}_mask.png,{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    films = read_films(tmp_path)
    monkeypatch.setattr(run, "export_checkpoint", lambda _, folder: folder / "not exported")
    recipe = Recipe(
        name="tiny",
        side=32,
        epochs=12,
        batch=4,
        learning_rate=0.02,
        seed=1,
        network=Architecture(widths=(4, 8, 16)),
    )
    scores: dict[Any, float] = {}
    for loss in ("bce-dice", "robust"):
        machine = Machine(accelerator="cpu", progress=False)
        trained = run.train(replace(recipe, loss=loss), films, tmp_path / loss, machine=machine)
        assert trained.val_dice is not None
        scores[loss] = trained.val_dice
    assert scores["robust"] > scores["bce-dice"] + 0.1
