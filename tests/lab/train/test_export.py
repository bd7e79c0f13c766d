"""Reading checkpoints back, and the files and curves made of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from pleura.core.card import Card
from pleura.core.errors import UsageError, WeightsError
from pleura.lab.train.export import (
    read_checkpoint,
    read_facts,
    read_metrics,
    write_curves,
    write_weights,
)
from pleura.lab.train.recipe import Recipe
from pleura.net.unetplusplus import Architecture, build

RECIPE = Recipe(name="trial", side=32, network=Architecture(widths=(2, 4)))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint as Lightning writes it: the module's tensors, the loop's state, our facts."""
    network = build(RECIPE.network)
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    facts = {"recipe": RECIPE.as_dict(), "version": "0.1", "val_dice": 0.9}
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": state, "epoch": 6, "loops": {}, "pleura": facts}, path)
    return path


def test_all_parts_of_a_checkpoint_are_read(checkpoint: Path) -> None:
    network, recipe, facts = read_checkpoint(checkpoint)
    assert recipe == RECIPE
    assert not network.training
    assert (facts["epoch"], facts["val_dice"]) == (6, 0.9)
    assert read_facts(checkpoint) == facts
    held = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert {f"network.{name}" for name in network.state_dict()} == set(held)


def test_the_error_for_a_missing_checkpoint_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such checkpoint; a run keeps them in OUT/checkpoints"):
        read_checkpoint(tmp_path / "best.ckpt")


def test_another_projects_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.ckpt"
    torch.save({"state_dict": {}, "epoch": 3}, path)
    with pytest.raises(UsageError, match="not a checkpoint of `pleura train`"):
        read_facts(path)


class Payload:
    """Something that only unpickling would bring in."""


@pytest.mark.parametrize("kind", ["cut", "text", "pickle"])
def test_a_damaged_checkpoint_is_refused_and_no_code_in_it_is_run(
    checkpoint: Path, kind: str
) -> None:
    if kind == "cut":
        checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    elif kind == "text":
        checkpoint.write_text("not a checkpoint", encoding="utf-8")
    else:
        torch.save({"pleura": Payload(), "epoch": 0}, checkpoint)
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        read_checkpoint(checkpoint)


def test_weights_are_written_with_their_digests(tmp_path: Path) -> None:
    card = Card(
        name="trial",
        version="0.1",
        channels=("field",),
        side=32,
        architecture=RECIPE.network.as_dict(),
    )
    graph = write_weights(build(RECIPE.network), card, tmp_path / "weights" / "v1.5")
    assert graph == tmp_path / "weights" / "v1.5.onnx"
    words = graph.with_name("v1.5.onnx.sha256").read_text(encoding="ascii").split()
    assert words == [hashlib.sha256(graph.read_bytes()).hexdigest(), graph.name]
    assert len(list(graph.parent.iterdir())) == 2


TABLE = """\
epoch,seconds,learning_rate,loss,val_loss,val_dice,val_dice_field,val_dice_heart
1,9.5,0.01,1.4,1.3,0.45,0.45,
2,9.4,0.02,1.2,1.1,0.55,0.55,
"""


def test_curves_are_drawn_from_the_table(tmp_path: Path) -> None:
    table, picture = tmp_path / "metrics.csv", tmp_path / "curves.png"
    table.write_text(TABLE, encoding="utf-8")
    curves = read_metrics(table)
    assert curves["val_loss"] == [(1, 1.3), (2, 1.1)]
    assert "val_dice_heart" not in curves, "undefined is not zero"
    write_curves(table, picture)
    with Image.open(picture) as drawn:
        grey = drawn.convert("L").reduce(4)
        halves = [
            grey.crop(box).tobytes()
            for box in (
                (0, 0, grey.width // 2, grey.height),
                (grey.width // 2, 0, grey.width, grey.height),
            )
        ]
    assert all(len(set(half)) > 10 for half in halves), "both have something in them"
