"""What a training run on synthetic films learns, writes and exports."""

from __future__ import annotations

import io
import logging
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.lab.train.run.tiny import EPOCHS, QUIET, RECIPE, assert_same_end, held, rows

import pleura
from pleura.lab.data.film import Film, MaskPart, fingerprint
from pleura.lab.train import run as train_module
from pleura.lab.train.dataset import Loaders
from pleura.lab.train.export import Outcome, read_checkpoint
from pleura.lab.train.module import fresh_network, side_of
from pleura.lab.train.recipe import Augment, Stage, parse_recipe
from pleura.lab.train.run import divide, train
from pleura.net.unetplusplus import Architecture
from pleura.runtime.engine import OnnxEngine


def test_a_run_learns(films: list[Film], tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=25, augment=Augment(), network=Architecture(widths=(4, 8, 16)))
    outcome = train(recipe, films, tmp_path, machine=QUIET)
    assert outcome.finished
    assert outcome.val_dice is not None
    assert outcome.val_dice > 0.9
    # And so does what was exported: the engine finds the lungs of a film it was not taught.
    engine = OnnxEngine(outcome.weights.read_bytes(), threads=1)
    squares = train_module._squares(divide(films, recipe)[1], recipe, tmp_path, QUIET, hints=False)
    sample = squares.sample(0)
    mask = engine.predict(sample.image.numpy()[None])[0] >= 0.5
    truth = sample.target.numpy() == 1
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9


def test_a_run_writes_its_documented_files(whole_run: tuple[Outcome, Path]) -> None:
    outcome, out = whole_run
    assert outcome.finished
    assert outcome.epochs_done == EPOCHS
    assert outcome.weights == out / "weights" / "tiny.onnx"
    assert outcome.weights.is_file()
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert list((out / "log").glob("events.out.tfevents.*")), "for TensorBoard"
    with Image.open(out / "curves.png") as picture:
        assert picture.width > 600
        assert len(set(picture.convert("L").resize((60, 30)).tobytes())) > 3, "something is drawn"


def test_tensorboard_has_pictures_of_validation_films(whole_run: tuple[Outcome, Path]) -> None:
    _, out = whole_run
    events = EventAccumulator(str(out / "log")).Reload()
    assert "learning_rate" in events.Tags()["scalars"]
    images = events.Images("validation films")
    assert [event.step for event in images] == [1, 2, 3, 4]
    with Image.open(io.BytesIO(images[-1].encoded_image_string)) as picture:
        # Two films, each with its labels on the left and the masks of the network on the right.
        assert picture.size == (2 * 256, 2 * (256 + 14))
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    outline = np.abs(pixels - (0x00, 0x9E, 0x73)).sum(axis=2) == 0  # the colour of `field`
    assert outline[:, :256].sum() > 500, "the labels are outlined"
    assert images[0].encoded_image_string != images[-1].encoded_image_string


def test_the_table_has_a_row_for_each_epoch(whole_run: tuple[Outcome, Path]) -> None:
    outcome, out = whole_run
    table = rows(out)
    assert [row["epoch"] for row in table] == ["1", "2", "3", "4"]
    assert {"seconds", "learning_rate", "loss", "val_loss", "val_dice", "val_dice_field"} == set(
        table[0]
    ) - {"epoch"}
    best = max(float(row["val_dice"]) for row in table)
    assert outcome.val_dice == pytest.approx(best, abs=1e-5)
    # One-cycle: up for 15 % of 12 steps, then down to 1 / 250,000 of its peak.
    rates = [float(row["learning_rate"]) for row in table]
    assert rates[0] > rates[1] > rates[2] > rates[3]
    assert rates[3] == pytest.approx(0.02 / 250_000, rel=1e-3)


def test_the_checkpoint_says_how_it_was_made(
    whole_run: tuple[Outcome, Path], films: list[Film]
) -> None:
    outcome, out = whole_run
    facts = held(out, "best")["pleura"]
    assert parse_recipe(facts["recipe"]) == RECIPE
    assert facts["version"] == pleura.__version__
    training, validation = divide(films, RECIPE)
    assert facts["data"]["fingerprint"] == fingerprint([*training, *validation])
    assert facts["data"]["films"] == {"train": 6, "val": 2}
    assert sum(facts["data"]["train_by_source"].values()) == 6
    assert facts["val_dice"] == outcome.val_dice
    revision = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    # Someone may commit while this runs; that it is one of the project's is what counts.
    assert (facts["git_revision"] is None) == (revision.returncode != 0)


def test_the_exported_file_contains_the_card(whole_run: tuple[Outcome, Path]) -> None:
    outcome, out = whole_run
    facts = held(out, "best")["pleura"]
    card = OnnxEngine(outcome.weights.read_bytes(), threads=1).card
    assert card.name == "tiny"
    assert card.channels == ("field",)
    assert card.side == 32
    assert parse_recipe(card.recipe) == RECIPE
    assert Architecture(**card.architecture) == RECIPE.network
    assert card.scores == {
        "val_dice_square": outcome.val_dice,
        "epoch": held(out, "best")["epoch"] + 1,
    }
    assert card.data == facts["data"]
    assert (card.version, card.git_revision) == (facts["version"], facts["git_revision"])


def test_the_exported_weights_are_those_of_the_best_epoch(whole_run: tuple[Outcome, Path]) -> None:
    outcome, out = whole_run
    network, recipe, facts = read_checkpoint(out / "checkpoints" / "best.ckpt")
    assert recipe == RECIPE
    assert facts["epoch"] == max(range(EPOCHS), key=lambda e: float(rows(out)[e]["val_dice"]))
    batch = np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32)
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(batch))[-1]).numpy()
    given = OnnxEngine(outcome.weights.read_bytes(), threads=1).predict(batch)
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-5)


def test_every_film_is_shown_once_an_epoch_and_test_films_never(
    films: list[Film],
    tmp_path: Path,
    no_export: None,
    when_shown: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    seen: list[tuple[int, int]] = []
    when_shown(lambda epoch, index: seen.append((epoch, index)))
    recipe = replace(RECIPE, epochs=2)
    with caplog.at_level(logging.INFO, "pleura"):
        train(recipe, films, tmp_path, machine=replace(QUIET, progress=True))
    per_epoch = 6 + 2  # validation comes after training
    for epoch in range(2):
        shown = seen[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert {shown_epoch for shown_epoch, _ in shown[:6]} == {epoch}
        assert sorted(index for _, index in shown[:6]) == list(range(6))
        assert [index for _, index in shown[6:]] == [0, 1]
    assert [i for _, i in seen[:6]] != [i for _, i in seen[8:14]], "in another order"
    assert len(seen) == 2 * per_epoch
    assert "6 films to train on, 2 to validate on" in caplog.text
    assert "device cpu, precision " in caplog.text
    assert capfd.readouterr().out == "", "stdout is for machines"


def test_the_same_recipe_gives_the_same_weights(
    films: list[Film], tmp_path: Path, whole_run: tuple[Outcome, Path], no_export: None
) -> None:
    torch.manual_seed(1234)  # whatever the process drew before
    np.random.seed(1234)
    train(RECIPE, films, tmp_path, machine=QUIET)
    assert_same_end(tmp_path, whole_run[1])


def test_a_step_computed_in_parts_is_the_same_step(
    films: list[Film], tmp_path: Path, no_export: None
) -> None:
    # Without batch normalisation the gradient of two films is the mean of those of each.
    network = Architecture(widths=(2, 4, 8), batch_norm=False)
    recipe = replace(RECIPE, epochs=1, network=network)
    exact = replace(QUIET, precision="32-true")
    for parts in (1, 2):
        accumulated = replace(recipe, accumulate=parts)
        train(accumulated, films, tmp_path / str(parts), machine=exact)
    one, two = (held(tmp_path / name) for name in ("1", "2"))
    assert one["global_step"] == two["global_step"] == 3
    for name, value in one["state_dict"].items():
        assert torch.allclose(value, two["state_dict"][name], atol=1e-5), name


def test_a_log_without_a_bar_has_a_line_an_epoch(
    films: list[Film], tmp_path: Path, no_export: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pleura")
    threads = torch.get_num_threads()
    try:
        machine = replace(QUIET, lines=True, threads=1)
        train(replace(RECIPE, epochs=2), films, tmp_path, machine=machine)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    lines = [line for line in caplog.messages if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert "validation Dice 0." in lines[1]
    events = EventAccumulator(str(tmp_path / "log")).Reload()
    assert [event.step for event in events.Scalars("learning_rate")] == [0, 3]  # 3 steps an epoch


def test_a_channel_that_no_validation_film_labels_is_undefined_and_not_averaged(
    films: list[Film], tmp_path: Path, no_export: None
) -> None:
    recipe = replace(
        RECIPE,
        epochs=1,
        channels=("right_field", "left_field", "heart"),
        network=Architecture(widths=(2, 4), channels_out=3),
    )
    heart = MaskPart(films[0].masks[0].path, "heart")
    labelled = [replace(films[0], masks=(*films[0].masks, heart)), *films[1:]]
    outcome = train(recipe, labelled, tmp_path, machine=QUIET)
    [row] = rows(tmp_path)
    assert row["val_dice_heart"] == ""
    lungs = [float(row[f"val_dice_{side}_field"]) for side in ("right", "left")]
    assert outcome.val_dice == pytest.approx(sum(lungs) / 2, abs=1e-4)


def test_the_averaged_weights_are_kept(films: list[Film], tmp_path: Path) -> None:
    """With a decay next to 1 the average stays at the first step; without, it is the last."""
    kept = {}
    for decay in (0.0, 0.9999):
        recipe = replace(RECIPE, epochs=1, ema_decay=decay)
        train(recipe, films, tmp_path / str(decay), machine=QUIET)
        kept[decay] = held(tmp_path / str(decay), "best")["state_dict"]["network.head.2.weight"]
    start = fresh_network(RECIPE).state_dict()["head.2.weight"]
    assert torch.dist(kept[0.9999], start) < 0.9 * torch.dist(kept[0.0], start)


def test_the_side_of_a_batch_follows_from_its_place() -> None:
    """288 of 384 is three quarters; of 256 that is 192, a multiple of the stride 32."""
    recipe = replace(
        RECIPE,
        side=384,
        small_side=288,
        stages=(Stage(epochs=2, side=256),),
        network=Architecture(widths=(2, 2, 2, 2, 2), fold=2),
    )
    sides = [[side_of(recipe, epoch, number) for number in (0, 1, 2)] for epoch in (0, 1, 2)]
    assert sides == [[256, 192, 256], [256, 192, 256], [384, 288, 384]]
    assert side_of(replace(recipe, small_side=0), 0, 1) == 256


def test_a_stage_with_a_smaller_side_uses_smaller_squares(
    films: list[Film], tmp_path: Path
) -> None:
    recipe = replace(RECIPE, stages=(Stage(epochs=1, side=16),))
    training, _ = divide(films, recipe)
    squares = train_module._squares(training, recipe, tmp_path, QUIET, hints=False)
    loader = Loaders(squares, squares, QUIET, np.ones(len(training))).training(recipe)
    sides = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        sides.append({part.shape[-1] for batch in loader for part in batch})
    assert sides == [{16}, {RECIPE.side}]
