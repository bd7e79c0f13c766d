"""A round of active learning by the commands of the how-to: the worst films are trained on."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pleura.io.run.table import read_rows
from pleura.lab.train.export import read_facts
from pleura.phantom.film import Phantom, draw

Run = Callable[..., Any]


def save(pixels: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 255.0).astype("uint8")).save(path)


def drawn(seed: int) -> Phantom:
    return draw(192, 168, seed=seed)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Six films with masks."""
    folder = tmp_path / "my-data"
    for seed in range(6):
        film = drawn(seed)
        save(film.radiograph.pixels, folder / "images" / f"film{seed}.png")
        save(film.right | film.left, folder / "masks" / f"film{seed}.png")
    return folder


def corrections(folder: Path, films: list[Path]) -> None:
    """The folder that the page saves, with the exact masks of synthetic films."""
    entries = []
    for path in films:
        film, name = drawn(int(path.stem.removeprefix("new"))), path.stem
        save(film.radiograph.pixels, folder / "films" / f"{name}.png")
        masks = {}
        for channel, mask in (("right_field", film.right), ("left_field", film.left)):
            masks[channel] = f"masks/{name}_{channel}.png"
            save(mask, folder / masks[channel])
        image = f"films/{name}.png"
        entries.append({"id": name, "image": image, "masks": masks, "mirrored": False})
    (folder / "corrections.json").write_text(json.dumps({"films": entries}))


def split_of(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        return {row["id"]: row["split"] for row in csv.DictReader(file)}


def test_a_round_from_unlabelled_films_to_new_weights(
    run: Run, labelled: Path, tmp_path: Path
) -> None:
    split, more, out = (tmp_path / name for name in ("split.csv", "more.csv", "round-2"))
    new = tmp_path / "new-films"
    for seed in range(10, 14):
        save(drawn(seed).radiograph.pixels, new / f"new{seed}.png")
    parts = ("--test", 0.3, "--val", 0.3)
    assert run("data", "split", labelled, *parts, "-o", split).code == 0

    assert run("segment", new, "-o", out, "--fast", "-q").code == 0
    ended = run("results", "worst", out, "--count", 3)
    assert ended.code == 0, ended.err
    worst = [Path(line) for line in ended.out.splitlines()]
    rated = sorted(read_rows(out / "results.csv"), key=lambda row: row.estimated_dice or 0)
    assert [path.name for path in worst] == [Path(row.path).name for row in rated[:3]]

    fixed = tmp_path / "corrections"
    corrections(fixed, worst)
    checked = run("data", "check", fixed)
    assert checked.code == 0, checked.out
    assert run("data", "split", fixed, "--test", 0, "--val", 0.3, "-o", more).code == 0
    with split.open("a") as file:
        file.writelines(more.read_text().splitlines(keepends=True)[1:])

    runs = tmp_path / "runs"
    machine = ("--accelerator", "cpu", "-q", "--side", 160, "--epochs", 1)
    trained = run("finetune", labelled, fixed, "--splits", split, "-o", runs, *machine)
    assert trained.code == 0, trained.err
    facts = read_facts(runs / "checkpoints" / "best.ckpt")
    divided = split_of(split)
    expected = {part: list(divided.values()).count(part) for part in ("train", "val")}
    assert facts["data"]["films"] == expected
    assert facts["data"]["train_by_source"]["corrections"] == 2
    weights = runs / "weights" / "finetuned.onnx"
    scored = ("evaluate", labelled, fixed, "--splits", split, "--weights", weights, "-q")
    report = tmp_path / "report-2"
    assert run(*scored, "-o", report).code == 0
    with (report / "scores.csv").open(newline="") as file:
        tested = {row["id"] for row in csv.DictReader(file)}
    assert tested == {name for name, part in divided.items() if part == "test"}
    assert tested.isdisjoint(path.stem for path in worst)

    third = tmp_path / "round-3"
    assert run("segment", new, "-o", third, "--weights", weights, "-q").code == 0
    rows = read_rows(third / "results.csv")
    assert {row.estimated_dice for row in rows} == {None}  # the new weights are not calibrated
    ended = run("results", "worst", third, "--count", 3)
    assert ended.code == 0, ended.err
    expected = sorted(rows, key=lambda row: (row.uncertainty is not None, -(row.uncertainty or 0)))
    assert ended.out.splitlines() == [row.path for row in expected[:3]]
    assert len({row.uncertainty for row in rows}) == len(rows)
