"""Training on drawings small enough to learn in seconds: what is kept, and what resuming gives."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import pleura
from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film, fingerprint
from pleura.lab.data.layouts import read_films
from pleura.lab.train import dataset as dataset_module
from pleura.lab.train import run as train_module
from pleura.lab.train.dataset import Loaders, VariedSquares
from pleura.lab.train.export import Outcome, read_checkpoint, read_facts
from pleura.lab.train.machine import Machine
from pleura.lab.train.module import fresh_network, side_of
from pleura.lab.train.recipe import Augment, Recipe, Stage, parse_recipe
from pleura.lab.train.records.sessions import read_sessions
from pleura.lab.train.run import balance, divide, train
from pleura.lab.train.time_limit import shortened
from pleura.net.checkpoint import read_network
from pleura.net.unetplusplus import Architecture
from pleura.runtime.engine import OnnxEngine

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


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Film]:
    """Six films to train on, two to validate on; those to test on are not even there."""
    folder = tmp_path_factory.mktemp("drawn")
    rows = ["id,image,mask,split,labels"]
    for index, split in enumerate(["train"] * 6 + ["val"] * 2 + ["test"] * 3):
        rows.append(f"f{index},f{index}.png,f{index}_mask.png,{split},right_field=1;left_field=2")
        if split != "test":
            draw_film(folder, f"f{index}", index)
    draw_film(folder, "maskless", 99)
    rows.append("maskless,maskless.png,,train,")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return read_films(folder)


@pytest.fixture(scope="module")
def whole_run(films: list[Film], tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """One run of all epochs, without a break."""
    out = tmp_path_factory.mktemp("whole")
    return train(RECIPE, films, out, machine=QUIET), out


@pytest.fixture(autouse=True)
def heeding_ctrl_c() -> Iterator[None]:
    """As in a terminal; a shell has what it runs in the background ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """For runs whose exported files nobody looks at; they take longest."""
    monkeypatch.setattr(
        train_module, "export_checkpoint", lambda _, folder: folder / "not exported"
    )


class Spy(VariedSquares):
    """Tells what is shown."""

    shown: Callable[[int, int], None]

    def __getitem__(self, key: tuple[int, int, int]) -> Any:
        self.shown(*key[:2])
        return super().__getitem__(key)


@pytest.fixture
def when_shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int, int], None]], None]:
    """Has a function called with (epoch, index) of every film that is shown."""

    def watch(shown: Callable[[int, int], None]) -> None:
        spy = type("Watching", (Spy,), {"shown": staticmethod(shown)})
        monkeypatch.setattr(dataset_module, "VariedSquares", spy)

    return watch


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


# --- a whole run ----------------------------------------------------------------------------


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


def test_a_run_leaves_what_it_says(whole_run: tuple[Outcome, Path]) -> None:
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


def test_the_card_travels_in_the_exported_file(whole_run: tuple[Outcome, Path]) -> None:
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


# --- going on -------------------------------------------------------------------------------


def test_a_run_is_not_overwritten(films: list[Film], whole_run: tuple[Outcome, Path]) -> None:
    with pytest.raises(UsageError, match="holds a run already; continue with --resume, or take"):
        train(RECIPE, films, whole_run[1], machine=QUIET)


def test_a_run_does_not_go_on_as_another(
    films: list[Film], whole_run: tuple[Outcome, Path]
) -> None:
    with pytest.raises(
        UsageError, match=r"another recipe \(epochs was 4, now 3\); .*only a finished"
    ):
        train(replace(RECIPE, epochs=3), films, whole_run[1], machine=QUIET, resume=True)
    with pytest.raises(
        UsageError, match=r"another recipe \(seed was 0, now 1\); resume with its own"
    ):
        train(replace(RECIPE, epochs=9, seed=1), films, whole_run[1], machine=QUIET, resume=True)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_a_finished_run_is_extended_with_a_schedule_of_its_own(
    films: list[Film], tmp_path: Path, no_export: None, schedule: str
) -> None:
    recipe = replace(RECIPE, epochs=2, schedule=schedule)  # type: ignore[arg-type]
    train(recipe, films, tmp_path, machine=QUIET)
    for epochs in (4, 5):
        outcome = train(replace(recipe, epochs=epochs), films, tmp_path, machine=QUIET, resume=True)
        assert (outcome.epochs_done, outcome.finished) == (epochs, True)
    rates = [float(row["learning_rate"]) for row in rows(tmp_path)]
    assert rates[2] > 10 * rates[1]  # the rate falls in each part, and begins again
    assert rates[3] < rates[2] / 10
    assert read_facts(tmp_path / "checkpoints/last.ckpt")["extended"] == [2, 4]
    before = held(tmp_path)
    train(replace(recipe, epochs=5), films, tmp_path, machine=QUIET, resume=True)
    assert held(tmp_path)["global_step"] == before["global_step"]


def test_an_extension_that_is_interrupted_ends_in_the_same_weights(
    films: list[Film], tmp_path: Path, no_export: None, clock: Callable[..., None]
) -> None:
    first = replace(RECIPE, epochs=EPOCHS - 2)
    for name in ("whole", "parts"):
        train(first, films, tmp_path / name, machine=QUIET)
    train(RECIPE, films, tmp_path / "whole", machine=QUIET, resume=True)
    clock(lambda _: 1.0)  # six films an epoch
    stopped = train(RECIPE, films, tmp_path / "parts", machine=limited(8), resume=True)
    assert (stopped.epochs_done, stopped.finished) == (EPOCHS - 1, False)
    train(RECIPE, films, tmp_path / "parts", machine=QUIET, resume=True)
    assert_same_end(tmp_path / "parts", tmp_path / "whole")


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
    assert [event.step for event in events.Scalars("learning_rate")] == [0]


def test_resuming_where_there_is_no_run_starts_one(
    films: list[Film], tmp_path: Path, no_export: None
) -> None:
    outcome = train(replace(RECIPE, epochs=1), films, tmp_path, machine=QUIET, resume=True)
    assert outcome.finished
    assert outcome.epochs_done == 1


def test_resuming_a_finished_run_only_exports_it_again(
    films: list[Film], whole_run: tuple[Outcome, Path], no_export: None
) -> None:
    outcome, out = whole_run
    before = (out / "metrics.csv").read_text(), held(out)
    sessions = (out / "sessions.json").read_text()
    again = train(RECIPE, films, out, machine=QUIET, resume=True)
    assert again == replace(outcome, weights=again.weights)
    assert (out / "metrics.csv").read_text() == before[0]
    assert (out / "sessions.json").read_text() == sessions
    assert held(out)["global_step"] == before[1]["global_step"]


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGINT, 0), (signal.SIGTERM, 2)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_resumed_run_ends_in_the_same_weights(
    films: list[Film],
    tmp_path: Path,
    whole_run: tuple[Outcome, Path],
    no_export: None,
    when_shown: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    number: signal.Signals,
    workers: int,
) -> None:
    count = 0

    def interrupt_in_the_third_epoch(epoch: int, _: int) -> None:
        nonlocal count
        count += epoch == 2
        if count == 3:
            signal.raise_signal(number)

    when_shown(interrupt_in_the_third_epoch)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, films, tmp_path, machine=QUIET)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert "the last finished epoch is kept, --resume continues from there" in caplog.text
    assert [row["epoch"] for row in rows(tmp_path)] == ["1", "2"]
    assert held(tmp_path)["epoch"] == 1

    count = -100
    outcome = train(RECIPE, films, tmp_path, resume=True, machine=replace(QUIET, workers=workers))
    assert outcome.finished
    assert outcome.epochs_done == EPOCHS
    assert outcome.val_dice == whole_run[0].val_dice
    assert_same_end(tmp_path, whole_run[1])


class Clock:
    """A clock that only the films move."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(
    monkeypatch: pytest.MonkeyPatch, when_shown: Callable[..., None]
) -> Callable[[Callable[[int], float]], None]:
    """Sets how many seconds a film takes, by epoch."""
    watch = Clock()
    monkeypatch.setattr("pleura.lab.train.callbacks.time", watch)

    def set_cost(cost_s: Callable[[int], float]) -> None:
        def shown(epoch: int, _: int) -> None:
            watch.now_s += cost_s(epoch)

        when_shown(shown)

    return set_cost


def limited(seconds: float) -> Machine:
    return replace(QUIET, max_time=timedelta(seconds=seconds))


def test_a_run_ends_before_an_epoch_that_would_not_fit(
    films: list[Film],
    tmp_path: Path,
    whole_run: tuple[Outcome, Path],
    no_export: None,
    clock: Callable[..., None],
) -> None:
    clock(lambda _: 1.0)
    # An epoch shows 6 + 2 films. After two, 16 s have gone and a third needs 8 more.
    outcome = train(RECIPE, films, tmp_path, machine=limited(20), resume=True)
    assert not outcome.finished
    assert outcome.epochs_done == 2
    assert outcome.val_dice == pytest.approx(
        max(float(row["val_dice"]) for row in rows(tmp_path)), abs=1e-5
    )
    # The time counts anew: enough for one more, and then for the rest.
    again = train(RECIPE, films, tmp_path, machine=limited(10), resume=True)
    assert (again.finished, again.epochs_done) == (False, 3)
    last = train(RECIPE, films, tmp_path, machine=limited(10), resume=True)
    assert (last.finished, last.epochs_done) == (True, EPOCHS)
    assert_same_end(tmp_path, whole_run[1])
    # Each start is recorded with its machine.
    sessions = read_sessions(tmp_path / "sessions.json")
    assert [session["epochs_done"] for session in sessions] == [0, 2, 3]
    assert {session["machine"]["device"] for session in sessions} == {"cpu"}


def test_a_run_that_starts_with_a_limit_is_shortened_to_it(
    films: list[Film],
    tmp_path: Path,
    no_export: None,
    clock: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock(lambda _: 1.0)
    caplog.set_level(logging.INFO, "pleura")
    recipe = replace(RECIPE, stages=(Stage(epochs=2, learning_rate=0.01),))
    # An epoch shows 8 films, and so do the batches that are measured: of 30 s there are 22 left,
    # and 0.9 of these are two epochs. Half of the stage is one.
    limit = limited(30)
    outcome = train(recipe, films, tmp_path / "limited", machine=limit)
    assert (outcome.epochs_done, outcome.finished) == (2, True)
    assert "2 of 4 epochs fit into 0:00:30" in caplog.text
    planned = replace(recipe, epochs=2, stages=(Stage(epochs=1, learning_rate=0.01),))
    train(planned, films, tmp_path / "planned", machine=QUIET)
    one, other = (held(tmp_path / name) for name in ("limited", "planned"))
    assert parse_recipe(one["pleura"]["recipe"]) == planned
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name
    # The same command with --resume finds the run finished, and more epochs extend it.
    again = train(recipe, films, tmp_path / "limited", machine=limit, resume=True)
    assert (again.epochs_done, again.finished) == (2, True)
    more = replace(recipe, epochs=3)
    extended = train(more, films, tmp_path / "limited", machine=QUIET, resume=True)
    assert (extended.epochs_done, extended.finished) == (3, True)
    with pytest.raises(UsageError, match="a run of another recipe"):
        train(replace(recipe, seed=5), films, tmp_path / "limited", machine=QUIET, resume=True)


def test_a_constant_rate_is_not_shortened(
    films: list[Film],
    tmp_path: Path,
    no_export: None,
    clock: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock(lambda _: 1.0)
    caplog.set_level(logging.INFO, "pleura")
    outcome = train(replace(RECIPE, schedule="constant"), films, tmp_path, machine=limited(17))
    assert (outcome.epochs_done, outcome.finished) == (2, False)
    assert "not shortened to the time limit, because its rate is constant" in caplog.text


def test_stages_are_shortened_in_proportion() -> None:
    stages = (Stage(epochs=1, side=16), Stage(epochs=5, side=24), Stage(epochs=2))
    recipe = replace(RECIPE, epochs=12, stages=stages)
    half = shortened(recipe, 6)  # ends at 1, 6, 8 of 12: at 0 (0.5 to even), 3, 4 of 6
    assert (half.epochs, half.stages) == (6, (replace(stages[1], epochs=3), Stage(epochs=1)))
    assert shortened(recipe, 12) is recipe


def test_the_limit_holds_within_an_epoch_too(
    films: list[Film],
    tmp_path: Path,
    whole_run: tuple[Outcome, Path],
    no_export: None,
    clock: Callable[..., None],
) -> None:
    clock(lambda epoch: 10.0 if epoch == 2 else 1.0)
    # 16 s for two epochs; the third, for which 8 s are expected, meets 30 s in its first batch.
    outcome = train(RECIPE, films, tmp_path, machine=limited(30), resume=True)
    assert (outcome.finished, outcome.epochs_done) == (False, 2)
    assert [row["epoch"] for row in rows(tmp_path)] == ["1", "2"]
    assert held(tmp_path)["epoch"] == 1
    clock(lambda _: 1.0)
    assert train(RECIPE, films, tmp_path, machine=QUIET, resume=True).finished
    assert_same_end(tmp_path, whole_run[1])


def test_too_little_time_for_one_epoch_still_gives_weights(
    films: list[Film],
    tmp_path: Path,
    whole_run: tuple[Outcome, Path],
    no_export: None,
    clock: Callable[..., None],
) -> None:
    clock(lambda _: 1.0)
    outcome = train(RECIPE, films, tmp_path, machine=limited(3), resume=True)
    assert (outcome.finished, outcome.epochs_done) == (False, 0)
    assert outcome.val_dice is not None
    read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
    # To go on is to start over, since half an epoch cannot be gone on from exactly.
    assert train(RECIPE, films, tmp_path, machine=QUIET, resume=True).finished
    assert_same_end(tmp_path, whole_run[1])


def test_a_run_without_improvement_ends_early_also_when_resumed(
    films: list[Film], tmp_path: Path, no_export: None
) -> None:
    recipe = replace(
        RECIPE,
        epochs=9,
        early_stop=2,
        learning_rate=1e-9,  # nothing changes, so the first epoch is the best
        network=Architecture(widths=(2, 4), batch_norm=False),
    )
    outcome = train(recipe, films, tmp_path, machine=QUIET)
    assert (outcome.finished, outcome.epochs_done) == (True, 3)
    assert held(tmp_path, "best")["epoch"] == 0
    assert held(tmp_path, "last")["epoch"] == 2, "the last is kept though it is not the best"
    again = train(recipe, films, tmp_path, machine=QUIET, resume=True)
    assert (again.finished, again.epochs_done) == (True, 3)
    assert len(rows(tmp_path)) == 3


# --- what cannot be trained -----------------------------------------------------------------


def test_a_channel_that_no_film_labels_is_undefined_and_not_averaged(
    films: list[Film], tmp_path: Path, no_export: None
) -> None:
    recipe = replace(
        RECIPE,
        epochs=1,
        channels=("right_field", "left_field", "heart"),
        network=Architecture(widths=(2, 4), channels_out=3),
    )
    outcome = train(recipe, films, tmp_path, machine=QUIET)
    [row] = rows(tmp_path)
    assert row["val_dice_heart"] == ""
    lungs = [float(row[f"val_dice_{side}_field"]) for side in ("right", "left")]
    assert outcome.val_dice == pytest.approx(sum(lungs) / 2, abs=1e-4)


def test_films_are_divided_with_masks_only(films: list[Film]) -> None:
    training, validation = divide(films, RECIPE)
    assert [film.id for film in training] == [f"f{i}" for i in range(6)]
    assert [film.id for film in validation] == ["f6", "f7"]


def test_a_copy_of_a_test_film_is_not_trained_on(
    films: list[Film], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "renamed.png"
    copy.write_bytes(films[0].image.read_bytes())
    tested = replace(films[0], id="tested", image=copy, split="test")
    training, validation = divide([*films, tested], RECIPE)
    plain = divide(films, RECIPE)
    left_out = {film.id for part in plain for film in part} - {
        film.id for part in (training, validation) for film in part
    }
    assert left_out == {films[0].id}
    assert films[0].id in caplog.text


def test_small_sources_are_brought_up(films: list[Film]) -> None:
    twelve = [replace(film, source="large") for film in (films * 9)[:9]]
    twelve += [replace(film, source="small") for film in films[:1]]
    # 9 ** 0.5 : 1 ** 0.5 is 3 : 1, of 20 films in all.
    shares = balance(twelve, replace(RECIPE, balance=0.5, films_per_epoch=20))
    assert shares[:9].sum() == pytest.approx(15)
    assert shares[9] == pytest.approx(5)
    assert balance(twelve, RECIPE) == pytest.approx(1)
    # 9 : 1 without balance; three times the second is 9 : 3, of 20 films.
    shares = balance(twelve, replace(RECIPE, sources={"small": 3.0}, films_per_epoch=20))
    assert shares[:9].sum() == pytest.approx(15)
    assert shares[9] == pytest.approx(5)


def test_a_film_of_twice_the_weight_is_used_twice_as_often(films: list[Film]) -> None:
    weighed = [
        replace(film, weight=weight) for film, weight in zip(films[:3], (1, 2, 0.5), strict=True)
    ]
    # 3.5 parts of seven films are two films each.
    shares = balance(weighed, replace(RECIPE, films_per_epoch=7))
    assert shares == pytest.approx([2, 4, 1])
    assert fingerprint(weighed) != fingerprint(films[:3])


def test_a_source_that_no_film_is_from_is_named(films: list[Film]) -> None:
    with pytest.raises(UsageError, match="names mall, but these films are from small"):
        balance(
            [replace(film, source="small") for film in films],
            replace(RECIPE, sources={"mall": 2.0}),
        )


STAGES = (
    Stage(epochs=1, side=16, learning_rate=0.05),
    Stage(epochs=2, side=24, learning_rate=0.01, augment=Augment(rotation_deg=20)),
)


@pytest.mark.parametrize(
    "settings",
    [
        {"ema_decay": 0.8, "balance": 0.5, "films_per_epoch": 17},
        {"stages": STAGES},
        {"stages": STAGES, "schedule": "cosine"},
    ],
    ids=["averaging and balance", "stages of one cycle", "stages of a cosine"],
)
def test_an_interruption_changes_no_weights(
    films: list[Film],
    tmp_path: Path,
    no_export: None,
    when_shown: Callable[..., None],
    settings: dict[str, Any],
) -> None:
    recipe = replace(RECIPE, network=Architecture(widths=(2, 4, 8)), **settings)
    train(recipe, films, tmp_path / "whole", machine=QUIET)
    count = 0

    def interrupt_in_the_third_epoch(epoch: int, _: int) -> None:
        nonlocal count
        count += epoch == 2
        if count == 3:
            signal.raise_signal(signal.SIGINT)

    when_shown(interrupt_in_the_third_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, films, tmp_path / "broken", machine=QUIET)
    count = -100
    train(recipe, films, tmp_path / "broken", machine=QUIET, resume=True)
    assert_same_end(tmp_path / "broken", tmp_path / "whole")


def test_the_averaged_weights_are_kept(films: list[Film], tmp_path: Path) -> None:
    """With a decay next to 1 the average stays at the first step; without, it is the last."""
    kept = {}
    for decay in (0.0, 0.9999):
        recipe = replace(RECIPE, epochs=1, ema_decay=decay)
        train(recipe, films, tmp_path / str(decay), machine=QUIET)
        kept[decay] = held(tmp_path / str(decay), "best")["state_dict"]["network.head.2.weight"]
    start = fresh_network(RECIPE).state_dict()["head.2.weight"]
    assert torch.dist(kept[0.9999], start) < 0.9 * torch.dist(kept[0.0], start)


def test_validation_is_carved_where_there_is_none(films: list[Film]) -> None:
    bare = [film for film in films if film.split == "train"]
    training, validation = divide(bare, replace(RECIPE, validation_share=0.3))
    assert len(validation) == 2
    assert {film.id for film in [*training, *validation]} == {f"f{i}" for i in range(6)}


def test_a_chain_of_recipes_validates_on_the_same_films(films: list[Film]) -> None:
    """Another seed must not choose weights on films that the run before was trained on."""
    bare = [film for film in films if film.split == "train"]
    first = divide(bare, replace(RECIPE, validation_share=0.3))
    for seed in range(1, 9):
        assert divide(bare, replace(RECIPE, validation_share=0.3, seed=seed)) == first
    others = [
        divide(bare, replace(RECIPE, validation_share=0.3, validation_seed=seed))
        for seed in range(8)
    ]
    assert any(other != first for other in others)


@pytest.mark.parametrize(
    ("keep", "processes", "message"),
    [
        ("test", 1, "0 films of split 'train' with a mask among 3, at least 1 needed"),
        ("val", 1, "0 films of split 'train'"),
        ("train val", 3, "2 films of split 'val' .* at least 3 needed; see `pleura data check`"),
    ],
)
def test_too_few_films_are_an_error(
    films: list[Film], keep: str, processes: int, message: str
) -> None:
    some = [film for film in films if film.split in keep.split()]
    with pytest.raises(DataError, match=message):
        divide(some, RECIPE, processes=processes)


def test_a_batch_is_divided_among_the_devices(films: list[Film], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a batch of 3 films cannot be divided among 2 devices"):
        train(replace(RECIPE, batch=3), films, tmp_path, machine=replace(QUIET, devices=2))


def test_batches_of_an_epoch_are_as_many_on_two_devices() -> None:
    recipe = replace(RECIPE, batch=4)
    one, two = (train_module._steps(recipe, Machine(devices=count), 12) for count in (1, 2))
    assert one == two == 3


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


def test_a_stage_is_shown_small(films: list[Film], tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage(epochs=1, side=16),))
    training, _ = divide(films, recipe)
    squares = train_module._squares(training, recipe, tmp_path, QUIET, hints=False)
    loader = Loaders(squares, squares, QUIET, np.ones(len(training))).training(recipe)
    sides = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        sides.append({part.shape[-1] for batch in loader for part in batch})
    assert sides == [{16}, {RECIPE.side}]


@pytest.mark.parametrize(
    "choice",
    [
        {"accelerator": "cuda"},
        {"accelerator": "abacus"},
        {"strategy": "nonsense"},
        {"precision": "13-mixed"},
    ],
    ids=str,
)
def test_a_machine_that_is_not_there_is_an_error(
    films: list[Film], tmp_path: Path, choice: dict[str, str]
) -> None:
    if choice == {"accelerator": "cuda"} and torch.cuda.is_available():
        pytest.skip("this machine has what the test says it lacks")
    with pytest.raises(UsageError, match=r"cannot train as asked: .* Choose another --acc"):
        train(RECIPE, films, tmp_path, machine=replace(QUIET, **choice))


def test_the_device_is_chosen_and_its_precision_with_it() -> None:
    assert Machine(accelerator="cpu").device == "cpu"
    assert Machine(accelerator="cpu", precision="32-true").resolved_precision == "32-true"
    chosen = Machine()
    expected = "cuda" if torch.cuda.is_available() else chosen.device
    assert chosen.device == expected
    assert chosen.device in ("cuda", "mps", "cpu")
    # bf16 on a CPU only where it computes in it: emulated, it is many times slower.
    native = torch.cpu._is_avx512_bf16_supported()
    assert Machine(accelerator="cpu").resolved_precision == ("bf16-mixed" if native else "32-true")


TWO = Recipe(
    name="two",
    side=32,
    epochs=2,
    batch=2,
    network=Architecture(widths=(2, 4)),
    augment=Augment(shift=0.05, noise=0.05),
    ema_decay=0.5,
    early_stop=5,
)

SCRIPT = """
import json
import sys
from datetime import timedelta
from pathlib import Path

from pleura.lab.data.layouts import read_films
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import parse_recipe
from pleura.lab.train.run import train

recipe = parse_recipe(json.loads(sys.argv[3]))
machine = Machine(
    accelerator="cpu",
    precision="32-true",
    devices=2,
    strategy="ddp",
    max_time=timedelta(hours=1),
    progress=False,
)
outcome = train(recipe, read_films(Path(sys.argv[1])), Path(sys.argv[2]), machine=machine)
print(outcome.finished, outcome.epochs_done, outcome.val_dice is not None, flush=True)
"""


@pytest.fixture
def partly_labelled(films: list[Film], tmp_path: Path) -> Path:
    """The folder of films, half of which label the right lung alone."""
    folder = tmp_path / "films"
    shutil.copytree(films[0].image.parent, folder)
    manifest = (folder / "manifest.csv").read_text(encoding="utf-8")
    for index in (1, 2, 4):
        both = f"f{index}_mask.png,train,right_field=1;left_field=2"
        assert both in manifest
        manifest = manifest.replace(both, both.removesuffix(";left_field=2"))
    (folder / "manifest.csv").write_text(manifest, encoding="utf-8")
    return folder


def test_two_processes_reach_the_weights_of_one(partly_labelled: Path, tmp_path: Path) -> None:
    """With batch normalisation, and films that label only a part of the channels."""
    script, out = tmp_path / "two.py", tmp_path / "two"
    script.write_text(SCRIPT, encoding="utf-8")
    recipe = json.dumps(TWO.as_dict())
    command = [sys.executable, str(script), str(partly_labelled), str(out), recipe]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as run:
        machine = Machine(accelerator="cpu", precision="32-true", progress=False)
        train(TWO, read_films(partly_labelled), tmp_path / "one", machine=machine)
        try:
            printed, error = run.communicate(timeout=240)
        finally:  # processes that wait for each other would wait for ever
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, error
    assert printed.splitlines() == ["True 2 True"] * 2, error
    # Three of six films for each process, one a step: the batch of two is for both together.
    assert held(out)["global_step"] == held(tmp_path / "one")["global_step"] == 6
    assert len(rows(out)) == 2
    assert_close_weights(tmp_path / "one", out)


def assert_close_weights(one: Path, two: Path) -> None:
    """The weights are equal to rounding, which Adam enlarges where a gradient is nearly zero."""
    start, learned = fresh_network(TWO).state_dict(), 0.0
    weights, others = held(one)["state_dict"], held(two)["state_dict"]
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        torch.testing.assert_close(others[name], values, rtol=1e-4, atol=5e-5)
        before = start.get(name.removeprefix("network."))
        learned += 0.0 if before is None else float((values - before).abs().sum())
    assert learned > 0.01  # they are not just the same first weights
    exported = [read_network(out / "weights" / "two.onnx")[0].state_dict() for out in (one, two)]
    for name, values in exported[0].items():
        torch.testing.assert_close(exported[1][name], values, rtol=1e-4, atol=5e-5)


LONG_SCRIPT = """
import sys
from pathlib import Path

from pleura.apps.cli.main import _end
from pleura.lab.data.layouts import read_films
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import Recipe
from pleura.lab.train.run import train
from pleura.net.checkpoint import read_network
from pleura.net.unetplusplus import Architecture

recipe = Recipe(name="long", side=32, epochs=9000, batch=2, network=Architecture(widths=(2, 4)))
devices, workers = map(int, sys.argv[3:])
machine = Machine(
    accelerator="cpu",
    devices=devices,
    strategy="ddp" if devices > 1 else "auto",
    workers=workers,
    progress=False,
)
try:
    train(recipe, read_films(Path(sys.argv[1])), Path(sys.argv[2]), machine=machine)
except BaseException as error:
    sys.exit(_end(error))
"""


@pytest.mark.parametrize(("devices", "workers"), [(1, 1), (2, 0)])
def test_sigterm_to_all_processes_ends_in_a_saved_state(
    films: list[Film], tmp_path: Path, devices: int, workers: int
) -> None:
    """As Slurm and systemd send it: to data workers and to every training process, too."""
    script, out = tmp_path / "long.py", tmp_path / "out"
    script.write_text(LONG_SCRIPT, encoding="utf-8")
    command = [sys.executable, script, films[0].image.parent, out, str(devices), str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as run:
        try:
            deadline = time.monotonic() + 240
            while not (out / "checkpoints" / "last.ckpt").exists():
                assert run.poll() is None, run.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.killpg(run.pid, signal.SIGTERM)
            _, error = run.communicate(timeout=120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 130, error
    assert "the last finished epoch is kept, --resume continues from there" in error
    assert "defect" not in error
    assert "Traceback" not in error
    assert held(out)["global_step"] >= 3
