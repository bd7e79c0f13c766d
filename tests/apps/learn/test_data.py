"""`pleura data`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

RECIPE = """
name = "sheet"
side = 64
[network]
widths = [4, 4, 4, 4, 4]
[augment]
shift = 0.1
rotation_deg = 10
"""


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Eight films with masks and one without, in images/ and masks/."""
    root = tmp_path / "clinic"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[10:50, 8:28] = mask[10:50, 36:56] = 255
    for number in range(9):
        noise = gaussian_filter(np.random.default_rng(number).normal(size=(64, 64)), 3)
        grey = 155 * (noise - noise.min()) / np.ptp(noise) + np.where(mask > 0, 0, 100)
        Image.fromarray(grey.astype(np.uint8)).save(root / "images" / f"f{number}.png")
        if number:
            own = mask.copy()
            own[10, 8 + number] = 0  # no two films have the same mask
            Image.fromarray(own).save(root / "masks" / f"f{number}_mask.png")
    return root


def test_a_sound_set_ends_with_0(run: Callable[..., Any], clinic: Path) -> None:
    ended = run("data", "check", clinic)
    assert (ended.code, ended.err) == (0, "")
    assert "9 films, 8 with masks, patients not stated" in ended.out
    assert re.search(r"without split .* without mask", ended.out)
    assert re.search(r"^films by channel: field \(8\)$", ended.out, re.MULTILINE)
    assert "warning: film-without-mask: 1 (not used for training or scoring)" in ended.out
    assert ended.out.rstrip().endswith("0 errors, 1 warnings")


def test_errors_end_with_1_and_are_named(run: Callable[..., Any], clinic: Path) -> None:
    (clinic / "images" / "f3.png").write_bytes(b"no picture")
    (clinic / "masks" / "f8_mask.png").rename(clinic / "masks" / "g8_mask.png")
    ended = run("data", "check", clinic)
    assert ended.code == 1
    assert "error: unreadable-film: 1" in ended.out
    assert "    f3  " in ended.out
    assert f"    {clinic / 'masks' / 'g8_mask.png'}" in ended.out
    assert "2 errors, 2 warnings" in ended.out


def test_check_for_machines(run: Callable[..., Any], clinic: Path) -> None:
    ended = run("data", "check", clinic, "--json")
    report = json.loads(ended.out)
    assert (report["films"], report["pairs"], report["errors"]) == (9, 8, 0)
    assert [finding["where"] for finding in report["findings"]] == ["f0"]


def test_many_findings_of_a_kind_are_listed_on_demand(
    run: Callable[..., Any], clinic: Path
) -> None:
    for number in range(2, 9):
        (clinic / "masks" / f"f{number}_mask.png").unlink()
    few, every = run("data", "check", clinic), run("data", "check", clinic, "--all")
    assert "film-without-mask: 8" in few.out
    assert "... and 3 more (--all)" in few.out
    assert "    f8" not in few.out
    assert "    f8" in every.out


def test_check_draws_a_sheet(run: Callable[..., Any], clinic: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "made" / "sheet.png"
    assert run("data", "check", clinic, "--sheet", sheet, "--tiles", 5).code == 0
    with Image.open(sheet) as picture:
        assert picture.size == (5 * 200, 214)


@pytest.mark.parametrize("where", ["nowhere", "."])
def test_no_data_set_is_wrong_usage(run: Callable[..., Any], tmp_path: Path, where: str) -> None:
    ended = run("data", "check", tmp_path / where)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("pleura: ")
    assert "Traceback" not in ended.err


def test_split_writes_a_csv_that_check_takes(
    run: Callable[..., Any], clinic: Path, tmp_path: Path
) -> None:
    ended = run("data", "split", clinic, "--test", 0.25, "--val", 0.3, "--seed", 1)
    assert ended.code == 0
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    # 8 films with masks: 2 test; 0.3 * 6 = 1.8, so 2 val.
    assert Counter(row["split"] for row in rows) == {"test": 2, "val": 2, "train": 4}
    assert "clinic" in ended.err  # the table is for people
    path = tmp_path / "split.csv"
    again = run("data", "split", clinic, "--test", 0.25, "--val", 0.3, "--seed", 1, "-o", path)
    assert again.out == ""
    assert path.read_text() == ended.out
    report = json.loads(run("data", "check", clinic, "--splits", path, "--json").out)
    assert report["counts"] == {"clinic": {"unlabelled": 1, "train": 4, "val": 2, "test": 2}}


def test_split_for_machines(run: Callable[..., Any], clinic: Path, tmp_path: Path) -> None:
    ended = run("data", "split", clinic, "-o", tmp_path / "s.csv", "--json")
    # 0.2 * 8 = 1.6 and 0.1 * 6 = 0.6, rounded up.
    assert json.loads(ended.out)["films"] == {"test": 2, "val": 1, "train": 5}
    assert run("data", "split", clinic, "--json").code == 2
    assert run("data", "split", clinic, "--test", 1.5).code == 2
    assert run("data", "split", clinic, "--by", "hospital").code == 2


def test_another_split_is_not_overwritten_unasked(
    run: Callable[..., Any], clinic: Path, tmp_path: Path
) -> None:
    path = tmp_path / "split.csv"
    line = ("data", "split", clinic, "-o", path)
    assert run(*line, "--seed", 1).code == 0
    first = path.read_bytes()
    assert run(*line, "--seed", 1).code == 0  # the same again
    ended = run(*line, "--seed", 2)
    assert ended.code == 2
    assert "has other content" in ended.err
    assert path.read_bytes() == first
    assert run(*line, "--seed", 2, "--overwrite").code == 0
    assert path.read_bytes() != first


def test_a_recipe_is_proposed_and_trains(
    run: Callable[..., Any], clinic: Path, tmp_path: Path
) -> None:
    split, path = tmp_path / "split.csv", tmp_path / "mine.toml"
    run("data", "split", clinic, "-o", split)
    ended = run("data", "recipe", clinic, "--splits", split, "-o", path)
    assert (ended.code, ended.out) == (0, f"{path}\n")
    assert "5 films to train on, 1 to validate on" in ended.err
    assert "5 films are few" in ended.err
    assert f"next: pleura train {path} --data {clinic} --splits {split}" in ended.err
    assert 'channels = ["right_field", "left_field"]\n' in path.read_text()
    assert "side = 64\n" in path.read_text()
    kept = path.read_text()
    path.write_text("epochs = 3\n")
    refused = run("data", "recipe", clinic, "--splits", split, "-o", path)
    assert refused.code == 2
    assert "has other content" in refused.err
    assert path.read_text() == "epochs = 3\n"
    line = ("data", "recipe", clinic, "--splits", split, "-o", path, "--overwrite", "--json")
    told = json.loads(run(*line).out)
    assert path.read_text() == kept
    assert told["fingerprint"]["labelled"] == {"field": 5, "right_field": 5, "left_field": 5}
    assert told["recipe"]["films_per_epoch"] == 200
    assert run("data", "recipe", clinic, "--splits", split).out == kept
    run_folder = tmp_path / "run"
    line = ("train", path, "--data", clinic, "--splits", split, "--out", run_folder, "--epochs", 1)
    assert run(*line, "--accept", "misplaced-mask").code == 0
    assert (run_folder / "weights" / "mine.onnx").is_file()


def test_a_recipe_counts_the_films_that_training_uses(
    run: Callable[..., Any], clinic: Path, tmp_path: Path
) -> None:
    split, path = tmp_path / "split.csv", tmp_path / "mine.toml"
    run("data", "split", clinic, "--val", 0, "-o", split)  # training holds out films itself
    proposed = run("data", "recipe", clinic, "--splits", split, "-o", path)
    counts = "4 films to train on, 2 to validate on"  # a fifth of six, rounded up, is two
    assert counts in proposed.err
    assert "# For 4 films to train on and 2 to validate on, of " in path.read_text()
    line = ("train", path, "--data", clinic, "--splits", split, "--out", tmp_path / "run")
    trained = run(*line, "--epochs", 1, "--accept", "misplaced-mask")
    assert trained.code == 0
    assert counts in trained.err


def test_no_recipe_is_proposed_without_films_to_train_on(
    run: Callable[..., Any], clinic: Path
) -> None:
    ended = run("data", "recipe", clinic)
    assert (ended.code, ended.out) == (2, "")
    assert "`pleura data split` makes a split" in ended.err


def test_the_published_split_by_name(run: Callable[..., Any], films_root: Path) -> None:
    """Reading alone: all of check takes a quarter of a minute on 800 films."""
    ended = run("data", "split", films_root / "shenzhen_montgomery")
    assert Counter(row["split"] for row in csv.DictReader(io.StringIO(ended.out))) == {
        "train": 506,
        "val": 57,
        "test": 141,
    }


def test_sheet_draws_films(run: Callable[..., Any], clinic: Path, tmp_path: Path) -> None:
    out = tmp_path / "films.png"
    assert run("data", "sheet", clinic, "-o", out, "--side", 64).code == 0
    with Image.open(out) as picture:
        assert picture.size == (8 * 64, 2 * (64 + 14))


def test_sheet_draws_what_training_will_see(
    run: Callable[..., Any], clinic: Path, tmp_path: Path
) -> None:
    recipe, out, same, other = (tmp_path / name for name in ("r.toml", "1.png", "2.png", "3.png"))
    recipe.write_text(RECIPE)
    wish = ("data", "sheet", clinic, "--recipe", recipe, "--tiles", 8, "--each", 4, "--side", 64)
    assert run(*wish, "-o", out).code == 0
    with Image.open(out) as picture:
        assert picture.size == (4 * 64, 2 * (64 + 14))
        tiles = np.asarray(picture)
    assert not np.array_equal(tiles[:64, :64], tiles[:64, 64:128])  # varied
    run(*wish, "-o", same)
    run(*wish, "-o", other, "--seed", 1)
    assert same.read_bytes() == out.read_bytes()
    assert other.read_bytes() != out.read_bytes()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that has an archive."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    with zipfile.ZipFile(folder / "films.zip", "w") as content:
        content.writestr("MontgomerySet/CXR_png/MCUCXR_0001_0.png", b"film")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetch_says_where_the_films_are(run: Callable[..., Any], host: str, tmp_path: Path) -> None:
    wish = ("data", "fetch", "montgomery", "--to", tmp_path / "to", "--url", f"{host}/films.zip")
    first = run(*wish)
    assert (first.code, first.out) == (0, f"{tmp_path / 'to' / 'MontgomerySet'}\n")
    assert "now written down beside the archive" in first.err
    assert "Cite Jaeger et al. 2014" in first.err
    second = json.loads(run(*wish, "--json").out)
    assert (second["name"], second["first_use"]) == ("montgomery", False)


def test_fetch_without_the_file_is_wrong_usage(
    run: Callable[..., Any], host: str, tmp_path: Path
) -> None:
    ended = run("data", "fetch", "montgomery", "--to", tmp_path / "to", "--url", f"{host}/no.zip")
    assert ended.code == 2
    assert "404" in ended.err
    assert "by hand" in ended.err
    assert run("data", "fetch", "kaggle", "--to", tmp_path).code == 2


@pytest.mark.parametrize("command", ["fetch", "check", "split", "sheet"])
def test_help_names_every_command(run: Callable[..., Any], command: str) -> None:
    assert command in run("data", "--help").out
    ended = run("data", command, "--help")
    assert ended.code == 0
    assert f"pleura data {command}" in ended.out
