"""Drawn films, one complete run, and a clock that films move."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.lab.train.run.tiny import QUIET, RECIPE, Clock, Spy, draw_film

from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.lab.train import dataset as dataset_module
from pleura.lab.train import run as train_module
from pleura.lab.train.export import Outcome
from pleura.lab.train.run import train


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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


@pytest.fixture
def when_shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int, int], None]], None]:
    """Has a function called with (epoch, index) of every film that is shown."""

    def watch(shown: Callable[[int, int], None]) -> None:
        spy = type("Watching", (Spy,), {"shown": staticmethod(shown)})
        monkeypatch.setattr(dataset_module, "AugmentedSquares", spy)

    return watch


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
