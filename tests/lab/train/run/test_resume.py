"""Resuming and extending a run, and runs that are interrupted."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.lab.train.run.tiny import EPOCHS, QUIET, RECIPE, assert_same_end, held, limited, rows

from pleura.core.errors import UsageError
from pleura.lab.data.film import Film
from pleura.lab.train.export import Outcome, read_facts
from pleura.lab.train.recipe import Augment, Stage
from pleura.lab.train.run import train
from pleura.net.unetplusplus import Architecture


def test_a_run_is_not_overwritten(films: list[Film], whole_run: tuple[Outcome, Path]) -> None:
    with pytest.raises(UsageError, match="holds a run already; continue with --resume, or take"):
        train(RECIPE, films, whole_run[1], machine=QUIET)


def test_a_run_is_not_resumed_with_another_recipe(
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
