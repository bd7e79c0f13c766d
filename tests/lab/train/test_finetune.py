"""Fine-tuning: heads by name, the chosen recipe, other films, diverged runs, licences."""

from __future__ import annotations

import csv
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pleura.apps.cli.main import main
from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import DataError, UsageError, WeightsError
from pleura.core.frame import Frame, normalise
from pleura.lab.data.film import Film, MaskPart, digest_of
from pleura.lab.data.layouts import read_films
from pleura.lab.train.finetune import Choices, divided, finetuning_recipe, summary
from pleura.lab.train.module import Learner, fresh_network
from pleura.lab.train.recipe import Recipe
from pleura.lab.train.records.facts import (
    NOT_STATED,
    facts_to_resume,
    run_facts,
    unlabelled_channels,
)
from pleura.lab.train.run import has_diverged
from pleura.net.checkpoint import joined_bias, read_network, transfer_heads
from pleura.net.unetplusplus import Architecture, build
from pleura.phantom.film import draw
from pleura.runtime.open import shipped

FIVE = ("right_field", "left_field", "right_whole", "left_whole", "heart")
NOISE = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
SMALL = Architecture(widths=(2, 4, 6))


def network(channels: tuple[str, ...], seed: int):
    torch.manual_seed(seed)
    return build(replace(SMALL, channels_out=len(channels)))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (FIVE, ("heart", "right_field", "left_field")),
        (("left_field", "right_field"), ("right_field", "left_field")),
    ],
)
def test_rows_are_copied_by_name_not_by_place(theirs, ours) -> None:
    source, target = network(theirs, 1), network(ours, 2)
    assert transfer_heads(source, target, theirs=theirs, ours=ours, films=NOISE) == []
    parts = SMALL.fold**2
    for name, value in target.state_dict().items():
        if name.startswith("head."):
            rows = source.state_dict()[name].view(len(theirs), parts, -1)
            for index, channel in enumerate(ours):
                expected = rows[theirs.index(channel)]
                assert torch.equal(value.view(len(ours), parts, -1)[index], expected)


def test_the_channel_of_both_lungs_starts_from_right_and_left() -> None:
    source, target = network(FIVE, 1), network(("field",), 2)
    assert transfer_heads(source, target, theirs=FIVE, ours=("field",), films=NOISE) == []
    given = source.state_dict()
    with torch.no_grad():
        logits = {f"head.{j}": one[:, :2] for j, one in zip("12", source(NOISE), strict=True)}
    parts = SMALL.fold**2
    for name, value in target.state_dict().items():
        if name.startswith("head."):
            rows = given[name].view(len(FIVE), parts, -1)
            joined = rows[0] + rows[1]
            if name.endswith("bias"):
                joined += joined_bias(logits[name.removesuffix(".bias")])
            assert torch.allclose(value.view(parts, -1), joined)


def test_right_and_left_start_from_both_and_a_new_channel_is_named() -> None:
    ours = ("right_field", "left_field", "heart")
    source, target = network(("field",), 1), network(ours, 2)
    assert transfer_heads(source, target, theirs=("field",), ours=ours, films=NOISE) == ["heart"]
    parts = SMALL.fold**2
    rows = target.state_dict()["head.1.weight"].view(3, parts, -1)
    theirs = source.state_dict()["head.1.weight"].view(1, parts, -1)
    assert torch.equal(rows[0], theirs[0])
    assert torch.equal(rows[1], theirs[0])


def test_the_sum_is_zero_where_the_larger_logit_is() -> None:
    # The right lung ends at the middle column, where the left one is at -12: both need 12.
    right = torch.linspace(5, -5, 101).expand(20, 101)
    left = -12 + 0.5 * right
    assert joined_bias(torch.stack([right, left])[None]) == pytest.approx(12, abs=0.2)
    assert joined_bias(torch.stack([left, right])[None]) == pytest.approx(12, abs=0.2)


def test_the_shipped_lungs_are_there_before_the_first_step() -> None:
    source, card = read_network(shipped("pleura-fast.onnx"))
    network = replace(source.architecture, channels_out=1)
    weights = files("pleura") / "weights" / "pleura-fast.onnx"
    recipe = Recipe(
        name="one", channels=("field",), init=str(weights), side=card.side, network=network
    )
    film = normalise(Frame(600, 500, card.side).fit(draw(600, 500, seed=9).radiograph.pixels))
    batch = torch.from_numpy(film)[None]
    with torch.no_grad():
        one = fresh_network(recipe).eval()(batch)[0][0, 0] > 0
        apart = source(batch)[0][0, :2].amax(dim=0) > 0
    assert 2 * (one & apart).sum() / (one.sum() + apart.sum()) > 0.97


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Ten synthetic films with masks of one value."""
    for part in ("images", "masks"):
        (tmp_path / "clinic" / part).mkdir(parents=True)
    for seed in range(10):
        drawn = draw(96, 84, seed=seed)
        grey = drawn.radiograph.pixels
        picture = (255 * (grey - grey.min()) / np.ptp(grey)).astype("u1")
        Image.fromarray(picture).save(tmp_path / f"clinic/images/f{seed}.png")
        lungs = (drawn.right | drawn.left).astype("u1") * 255
        Image.fromarray(lungs).save(tmp_path / f"clinic/masks/f{seed}.png")
    return tmp_path / "clinic"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save_weights(tmp_path)


def save_weights(folder: Path, data: dict[str, Any] | None = None) -> Path:
    card = Card(
        name="theirs",
        version="0.1",
        channels=FIVE,
        side=32,
        architecture=replace(SMALL, channels_out=5).as_dict(),
        licence="CC BY 4.0",
        data=data or {},
    )
    path = folder / "theirs.safetensors"  # quicker to write than an export
    save_file(network(FIVE, 1).state_dict(), path, metadata={CARD_KEY: card.to_json()})
    return path


def test_the_recipe_keeps_the_channels_that_the_masks_label(clinic: Path, weights: Path) -> None:
    films = divided(read_films(clinic))
    assert {film.split for film in films} == {"train", "val"}
    recipe = finetuning_recipe(films, Choices(init=str(weights)))
    assert recipe.channels == ("right_field", "left_field")
    assert (recipe.side, recipe.freeze, recipe.learning_rate) == (32, "encoder", 5e-4)
    # 100 steps of 4 films are 400 films: more than 20 times the 8 films to train on.
    assert recipe.epochs == 20
    one = finetuning_recipe(films, Choices(init=str(weights), channels=("field",)))
    assert (one.channels, one.network.channels_out) == (("field",), 1)
    with pytest.raises(DataError, match="no mask labels heart; the masks teach field, left_field"):
        finetuning_recipe(films, Choices(init=str(weights), channels=("field", "heart")))
    with pytest.raises(UsageError, match="no channel is called 'feild'; did you mean 'field'"):
        finetuning_recipe(films, Choices(init=str(weights), channels=("feild",)))
    many = films * 20
    recipe = finetuning_recipe(many, Choices(init=str(weights), side=64, epochs=3))
    assert (recipe.freeze, recipe.learning_rate, recipe.side, recipe.epochs) == (
        "none",
        1e-3,
        64,
        3,
    )


def test_a_side_far_from_that_of_the_weights_is_said(clinic: Path, weights: Path) -> None:
    films = divided(read_films(clinic))
    said = [
        summary(finetuning_recipe(films, Choices(init=str(weights), side=side)), films)
        for side in (16, 32)
    ]
    assert "side 16 px (far from the 32 px of the weights" in said[0]
    assert "side 32 px; " in said[1]


def test_too_few_films_to_train_and_validate_are_an_error(clinic: Path) -> None:
    with pytest.raises(DataError, match="1 of 1 films have a mask, and none of them is to be"):
        divided(read_films(clinic)[:1])


def test_a_file_that_holds_no_weights_is_named(clinic: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    file.write_text("id,split")
    with pytest.raises(WeightsError, match=r"split\.csv: not a readable weights file"):
        finetuning_recipe(divided(read_films(clinic)), Choices(init=str(file)))


def test_masks_that_the_weights_do_not_know_are_an_error(weights: Path) -> None:
    film = Film("a", "x", Path("a.png"), (MaskPart(Path("a.png"), "heart"),), "train")
    with pytest.raises(DataError, match="the masks label heart, but the weights theirs know"):
        finetuning_recipe([film], Choices(init=str(weights)))


def test_a_frozen_encoder_keeps_its_weights_and_its_averages(weights: Path, clinic: Path) -> None:
    recipe = finetuning_recipe(divided(read_films(clinic)), Choices(init=str(weights)))
    learner = Learner(fresh_network(recipe), recipe, 10)
    learner.train()
    before = {k: v.clone() for k, v in learner.network.encoder.state_dict().items()}
    optimiser = learner.configure_optimizers()["optimizer"]
    loss = sum(head.sum() for head in learner.network(torch.rand(2, 1, 32, 32)))
    loss.backward()
    optimiser.step()
    after = learner.network.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_channels_without_labels_are_named(clinic: Path) -> None:
    films = read_films(clinic)
    assert unlabelled_channels(FIVE, films) == ["right_whole", "left_whole", "heart"]
    assert unlabelled_channels(("field", "left_field"), films) == []


def test_a_run_continues_only_on_its_own_films(clinic: Path, tmp_path: Path) -> None:
    films, recipe = read_films(clinic), Recipe(name="r")
    facts = run_facts(films[:8], films[8:], recipe)
    assert facts_to_resume(facts, facts, tmp_path) == facts
    with pytest.raises(UsageError, match=r"other films or masks.*8 .*train on and 2 .*now 7 and 2"):
        facts_to_resume(facts, run_facts(films[:7], films[8:], recipe), tmp_path)
    moved = run_facts([*films[:7], films[9]], [films[8], films[7]], recipe)
    with pytest.raises(UsageError, match=r"other split.*--splits"):
        facts_to_resume(facts, moved, tmp_path)


def test_a_checkpoint_of_an_older_version_can_be_resumed(clinic: Path, tmp_path: Path) -> None:
    films = read_films(clinic)
    now = run_facts(films[:8], films[8:], Recipe(name="r"))
    old = {key: value for key, value in now.items() if key != "licence"}
    old["data"] = {key: now["data"][key] for key in ("fingerprint", "films", "train_by_source")}
    assert facts_to_resume(old, now, tmp_path) == {**old, "data": now["data"]}


def test_the_licence_is_that_of_the_weights_or_not_stated(clinic: Path, weights: Path) -> None:
    films = read_films(clinic)
    assert run_facts(films[:8], films[8:], Recipe(name="r"))["licence"] == NOT_STATED
    recipe = Recipe(name="r", init=str(weights))
    assert run_facts(films[:8], films[8:], recipe)["licence"] == "CC BY 4.0"


@pytest.mark.parametrize(
    ("listed", "complete"),
    [
        ({"digests": ["d0"]}, True),
        ({}, False),
        ({"digests": ["d0"], "digests_complete": False}, False),
    ],
)
def test_films_of_the_initial_weights_stay_known(
    clinic: Path, tmp_path: Path, listed: dict[str, Any], complete: bool
) -> None:
    films = read_films(clinic)
    recipe = Recipe(name="r", init=str(save_weights(tmp_path, listed)))
    data = run_facts(films[:2], films[2:4], recipe)["data"]
    own = {digest_of(film) for film in films[:4]}
    assert data["digests"] == sorted({*own, *listed.get("digests", ())})
    assert data["digests_complete"] is complete


def test_the_command_trains_and_a_known_film_is_reported(
    clinic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tuned = tmp_path / "runs", tmp_path / "runs/weights/finetuned.onnx"
    # The drawn lungs are none of a person, so the check of the border is left out.
    options = ("-q", "--accept", "misplaced-mask", "--side", 128, "--epochs", 1, "--rate", 1e-4)
    assert run("finetune", clinic, "-o", out, *options) == 0
    message = capsys.readouterr().err
    assert (
        "8 films to train on, fewer than 100: encoder frozen, learning rate 0.0001, batch 4"
        in message
    )
    assert "channels: right_field, left_field" in message
    with (out / "metrics.csv").open() as file:
        (epoch,) = csv.DictReader(file)
    assert float(epoch["val_dice"]) > 0.6  # fresh weights reach 0.2 in this time
    given = ("--split", "all", "--weights", tuned, "--accept", "misplaced-mask", "-q")
    assert run("evaluate", clinic, *given, "-o", tmp_path / "report") == 0
    assert "trained or selected on 10 of these films" in capsys.readouterr().err


def test_a_diverged_run_is_an_error_and_writes_no_weights(
    clinic: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    options = ("-q", "--accept", "misplaced-mask", "--epochs", 1, "--rate", 100)
    assert run("finetune", clinic, "--weights", weights, "-o", out, *options) == 2
    assert "the run diverged, so no weights are written" in capsys.readouterr().err
    assert not (out / "weights").exists()


@pytest.mark.parametrize(
    ("scores", "diverged"),
    [
        ((0.005, 0.002), True),  # nothing was ever found
        ((0.27, 0.0), True),  # ended at nothing, and was of no use before
        ((0.95, 0.0), False),  # the weights of the first epoch are of use
        ((0.27, 0.30), False),  # it still learns
    ],
)
def test_which_runs_have_diverged(
    tmp_path: Path, scores: tuple[float, ...], diverged: bool
) -> None:
    table = tmp_path / "metrics.csv"
    rows = [f"{epoch},{score}" for epoch, score in enumerate(scores, 1)]
    table.write_text("\n".join(["epoch,val_dice", *rows]))
    assert has_diverged(max(scores), table) is diverged


def run(*words: object) -> int:
    """The exit code of a command of Pleura."""
    return main([str(word) for word in words])
