"""Runs with a time limit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.lab.train.run.tiny import EPOCHS, QUIET, RECIPE, assert_same_end, held, limited, rows

from pleura.core.errors import UsageError
from pleura.lab.data.film import Film
from pleura.lab.train.export import Outcome, read_checkpoint
from pleura.lab.train.recipe import Stage, parse_recipe
from pleura.lab.train.records.sessions import read_sessions
from pleura.lab.train.run import train
from pleura.lab.train.time_limit import shortened

# Exporting takes longest, and these tests do not look at the exported files.
pytestmark = pytest.mark.usefixtures("no_export")


def test_a_run_ends_before_an_epoch_that_would_not_fit(
    films: list[Film], tmp_path: Path, whole_run: tuple[Outcome, Path], clock: Callable[..., None]
) -> None:
    clock(lambda _: 1.0)
    # An epoch shows 6 + 2 films. After two, 16 s have gone and a third needs 8 more.
    outcome = train(RECIPE, films, tmp_path, machine=limited(20), resume=True)
    assert not outcome.finished
    assert outcome.epochs_done == 2
    assert outcome.val_dice == pytest.approx(
        max(float(row["val_dice"]) for row in rows(tmp_path)), abs=1e-5
    )
    # The time counts again: enough for one more, and then for the rest.
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
    films: list[Film], tmp_path: Path, clock: Callable[..., None], caplog: pytest.LogCaptureFixture
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
    # The number of epochs that it was asked for at first is more, too, if it is named.
    caplog.clear()
    again = train(recipe, films, tmp_path / "limited", machine=QUIET, resume=True)
    assert (again.epochs_done, again.finished) == (3, True)
    assert "shortened to 3 of 4 epochs and is finished; more --epochs continue it" in caplog.text
    whole = train(recipe, films, tmp_path / "limited", machine=QUIET, resume="extend")
    assert (whole.epochs_done, whole.finished) == (4, True)
    assert len(rows(tmp_path / "limited")) == 4
    with pytest.raises(UsageError, match="a run of another recipe"):
        train(replace(recipe, seed=5), films, tmp_path / "limited", machine=QUIET, resume=True)


def test_a_constant_rate_is_not_shortened(
    films: list[Film], tmp_path: Path, clock: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    clock(lambda _: 1.0)
    caplog.set_level(logging.INFO, "pleura")
    outcome = train(replace(RECIPE, schedule="constant"), films, tmp_path, machine=limited(17))
    assert (outcome.epochs_done, outcome.finished) == (2, False)
    assert "not shortened to the time limit, because its learning rate is constant" in caplog.text


def test_stages_are_shortened_in_proportion() -> None:
    stages = (Stage(epochs=1, side=16), Stage(epochs=5, side=24), Stage(epochs=2))
    recipe = replace(RECIPE, epochs=12, stages=stages)
    half = shortened(recipe, 6)  # ends at 1, 6, 8 of 12: at 0 (0.5 to even), 3, 4 of 6
    assert (half.epochs, half.stages) == (6, (replace(stages[1], epochs=3), Stage(epochs=1)))
    assert shortened(recipe, 12) is recipe


def test_the_limit_holds_within_an_epoch_too(
    films: list[Film], tmp_path: Path, whole_run: tuple[Outcome, Path], clock: Callable[..., None]
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
    films: list[Film], tmp_path: Path, whole_run: tuple[Outcome, Path], clock: Callable[..., None]
) -> None:
    clock(lambda _: 1.0)
    outcome = train(RECIPE, films, tmp_path, machine=limited(3), resume=True)
    assert (outcome.finished, outcome.epochs_done) == (False, 0)
    assert outcome.val_dice is not None
    read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
    # An incomplete epoch cannot be continued exactly, so the resumed run starts again.
    assert train(RECIPE, films, tmp_path, machine=QUIET, resume=True).finished
    assert_same_end(tmp_path, whole_run[1])
