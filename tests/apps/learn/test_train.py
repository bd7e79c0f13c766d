from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pleura.apps.learn.train import duration
from pleura.core.errors import UsageError
from pleura.lab.train.export import Outcome, read_facts
from pleura.lab.train.machine import Machine
from pleura.lab.train.time_limit import shortened
from pleura.phantom.film import draw

CHECKOUT = Path(__file__).resolve().parents[3]
Run = Callable[..., Any]

RECIPE = """
side = 32
epochs = 1
batch = 2
[network]
widths = [4, 8]
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six synthetic films with masks, in two folders."""
    folder = tmp_path_factory.mktemp("drawn")
    for seed in range(6):
        film = draw(96, 84, seed=seed)
        for kind, pixels in (
            ("images", film.radiograph.pixels * 255),
            ("masks", (film.right | film.left) * 255.0),
        ):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype("uint8")).save(folder / kind / f"film{seed}.png")
    return folder


def test_runs_are_compared_on_one_page(run: Run, drawn: Path, tmp_path: Path) -> None:
    recipe, parts = tmp_path / "small.toml", tmp_path / "parts.csv"
    assert run("data", "split", drawn, "--test", 0, "--val", 0.34, "-o", parts).code == 0
    runs = [tmp_path / "one", tmp_path / "two"]
    for out, rate in zip(runs, (0.001, 0.02), strict=True):
        recipe.write_text(f"learning_rate = {rate}\n{RECIPE}")
        options = ("--data", drawn, "--splits", parts, "-o", out, "--accelerator", "cpu", "-q")
        assert run("train", recipe, *options).code == 0
    page = tmp_path / "runs.html"
    ended = run("runs", "compare", *runs, "-o", page)
    assert (ended.code, ended.out.strip()) == (0, str(page))
    html = page.read_text()
    text = " ".join(re.sub(r"<[^>]*>", " ", html).split())
    assert f"Differences of the recipes {runs[0]} {runs[1]} learning_rate 0.001 0.02 Notes" in text
    assert "1 of 1" in text
    assert "3 + 3" in text
    assert "not trained and validated on the same films" not in text
    best = [read_facts(out / "checkpoints" / "best.ckpt")["val_dice"] for out in runs]
    assert all(f"{dice:.4f}" in text for dice in best)
    (encoded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert picture.width > 800
    assert "http" not in html, "no network"


def test_a_folder_without_a_run_is_not_compared(run: Run, tmp_path: Path) -> None:
    ended = run("runs", "compare", tmp_path, tmp_path)
    assert ended.code == 2
    assert "no run with a complete epoch here (no metrics.csv)" in ended.err


def test_a_fold_validates_and_the_others_train(run: Run, drawn: Path, tmp_path: Path) -> None:
    recipe, folds = tmp_path / "small.toml", tmp_path / "folds.csv"
    recipe.write_text(RECIPE)
    assert run("data", "split", drawn, "--test", 0, "--folds", 2, "-o", folds).code == 0
    options = ("--data", drawn, "--accelerator", "cpu", "-q", "--splits", folds)
    for fold in (1, 2):
        ended = run("train", recipe, *options, "--fold", fold, "-o", tmp_path / f"fold{fold}")
        assert ended.code == 0, ended.err
        assert "3 films to train on, 3 to validate on" in ended.err
    weights = tmp_path / "fold2" / "weights" / "small.onnx"
    scored = ("evaluate", drawn, "--split", "val", "--weights", weights, "--splits", folds, "-q")
    ids = []
    for fold in (1, 2):
        report = tmp_path / f"report{fold}"
        assert run(*scored, "--fold", fold, "-o", report).code == 0
        with (report / "scores.csv").open(newline="") as file:
            ids.append({row["id"] for row in csv.DictReader(file)})
    assert ids[0].isdisjoint(ids[1])
    assert len(ids[0] | ids[1]) == 6
    # A run of one fold does not continue as one of another.
    mixed = run("train", recipe, *options, "--fold", 1, "-o", tmp_path / "fold2", "--resume")
    assert mixed.code == 2
    assert "a run on another split" in mixed.err
    missing = run("train", recipe, *options, "--fold", 3, "-o", tmp_path / "fold3")
    assert missing.code == 2
    assert "has 2 folds, and no fold 3" in missing.err
    without = run("train", recipe, "--data", drawn, "--fold", 1, "-o", tmp_path / "none")
    assert without.code == 2
    assert "--fold takes a fold of --splits" in without.err


def test_train_resume_export_and_segment_with_the_trained_weights(
    run: Run, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = tmp_path / "small.toml", tmp_path / "run"
    recipe.write_text(RECIPE.replace("epochs = 1", "epochs = 2"))
    parts = tmp_path / "parts.csv"
    split = run("data", "split", drawn, "--test", 0, "--val", 0.34, "-o", parts)
    assert split.code == 0, split.err
    options = ("--data", drawn, "--splits", parts, "--out", out, "--accelerator", "cpu", "-q")
    with monkeypatch.context() as patch:  # one of the two epochs fits into the time
        patch.setattr("pleura.lab.train.run.within_time", lambda recipe, *_: shortened(recipe, 1))
        ended = run("train", recipe, *options, "--max-time", "1h")
    assert ended.code == 0, ended.err
    assert ended.out.strip() == str(out / "weights/small.onnx")
    assert "epochs 1, best validation Dice 0." in ended.err
    assert "device cpu" in ended.err  # -q drops the bar, and nothing else

    again = run("train", recipe, *options)
    assert again.code == 2
    assert "--resume" in again.err
    other = run("train", recipe, *options, "--resume", "--init", "shipped")
    assert other.code == 2
    assert "init was '', now" in other.err
    more = run("train", recipe, *options, "--resume", "--epochs", 2)
    assert more.code == 0, more.err
    assert "epoch 2 of 2: loss " in more.err
    assert "epochs 2, best validation Dice 0." in more.err

    exported = run("export", out / "checkpoints/best.ckpt", "-o", tmp_path / "weights")
    assert exported.code == 0, exported.err
    weights = tmp_path / "weights/small.onnx"
    assert exported.out.strip() == str(weights)

    from_it = (
        "--init",
        weights,
        *options[:4],
        "--out",
        tmp_path / "second",
        "--accelerator",
        "cpu",
    )
    second = run("train", recipe, *from_it, "-q")
    assert second.code == 0, second.err
    assert "starts from the weights small; all channels have its heads" in second.err

    film = drawn / "images/film0.png"
    segmented = run("segment", film, "-o", tmp_path / "lungs", "--weights", weights)
    assert segmented.code == 0, segmented.err


def test_a_further_process_prints_nothing(
    run: Run, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning starts the same command for each device, with its number in LOCAL_RANK."""
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    seen = []

    def record(*given: object, machine: Machine, **_: object) -> Outcome:
        seen.append(machine)
        return Outcome(tmp_path / "w.onnx", val_dice=0.9, epochs_done=1, finished=True)

    monkeypatch.setattr("pleura.lab.train.run.train", record)
    monkeypatch.setenv("LOCAL_RANK", "1")
    ended = run("train", recipe, "--data", drawn, "--out", tmp_path / "run")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert [machine.progress for machine in seen] == [False]


def test_a_log_that_is_no_terminal_has_lines_and_no_bar(
    run: Run, drawn: Path, tmp_path: Path
) -> None:
    recipe, parts = tmp_path / "small.toml", tmp_path / "parts.csv"
    recipe.write_text(RECIPE)
    assert run("data", "split", drawn, "--test", 0, "--val", 0.34, "-o", parts).code == 0
    options = ("--data", drawn, "--splits", parts, "--accelerator", "cpu")
    ended = run("train", recipe, *options, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "epoch 1 of 1: loss " in ended.err
    assert "━" not in ended.err


def test_a_recipe_that_is_not_there_is_wrong_usage(run: Run, drawn: Path, tmp_path: Path) -> None:
    ended = run("train", tmp_path / "gone.toml", "--data", drawn, "--out", tmp_path / "run")
    assert ended.code == 2
    assert "gone.toml" in ended.err


def test_shipped_recipes_are_listed_and_trained_by_name(run: Run, tmp_path: Path) -> None:
    ended = run("train", "--list")
    assert ended.code == 0, ended.err
    ours = sorted(path.stem for path in (CHECKOUT / "recipes").glob("*.toml"))
    assert [line.split()[0] for line in ended.out.splitlines()] == ours
    assert "The published protocol the project began with" in ended.out
    assert str(CHECKOUT / "recipes") in ended.err

    begun = run("train", "seed", "--data", tmp_path / "gone", "--out", tmp_path / "run")
    assert begun.code == 2
    assert "gone" in begun.err  # the recipe was found; the films were not


def test_data_that_is_not_there_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    ended = run("train", recipe, "--data", tmp_path / "gone", "--out", tmp_path / "run")
    assert ended.code == 2
    assert "gone" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90m", 90), ("2h", 120), ("1h30m", 90), ("45s", 0.75), ("1d", 1440), ("0.5h", 30)],
)
def test_durations(text: str, minutes: float) -> None:
    assert duration(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "90", "m", "1h 30m", "soon", "-5m", "5m!"])
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="90m, 2h or 1h30m"):
        duration(text)


@pytest.mark.parametrize("channels", [["whole"], ["right_field", "left_field", "heart"]])
def test_a_channel_that_no_film_labels_is_not_trained(
    run: Run, drawn: Path, tmp_path: Path, channels: list[str]
) -> None:
    recipe, parts = tmp_path / "small.toml", tmp_path / "parts.csv"
    recipe.write_text(f"channels = {channels}\n{RECIPE}")
    assert run("data", "split", drawn, "--test", 0, "--val", 0.34, "-o", parts).code == 0
    options = ("--data", drawn, "--splits", parts, "--accelerator", "cpu", "-q")
    ended = run("train", recipe, *options, "-o", tmp_path / "run")
    assert ended.code == 2
    assert f"no training film labels {channels[-1]}: " in ended.err
    assert "these films label field, left_field, right_field" in ended.err
    assert not (tmp_path / "run" / "weights").exists()


def test_validation_films_must_label_a_channel(run: Run, drawn: Path, tmp_path: Path) -> None:
    recipe, table = tmp_path / "small.toml", tmp_path / "films.csv"
    recipe.write_text(f'channels = ["whole"]\n{RECIPE}')
    rows = ["id,image,mask,split,labels"]
    for seed in range(4):
        part, label = ("val", "field") if seed == 3 else ("train", "whole")
        files = [drawn / kind / f"film{seed}.png" for kind in ("images", "masks")]
        rows.append(f"f{seed},{files[0]},{files[1]},{part},{label}")
    table.write_text("\n".join(rows))
    options = ("--data", table, "--accelerator", "cpu", "-q", "-o", tmp_path / "run")
    ended = run("train", recipe, *options)
    assert ended.code == 2
    assert "none of the 1 validation films labels whole" in ended.err
