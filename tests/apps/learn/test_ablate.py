"""`pleura ablate`: arms trained, scored and set against each other, from the shell's side."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 32

RECIPE = """
channels = ["field"]
side = 32
epochs = 2
batch = 4
learning_rate = 2e-2
[network]
kind = "{kind}"
widths = [2, 4, 8]
"""


def draw_set(folder: Path, seed: int) -> None:
    """Twelve films of two dark boxes; half of them are tested on."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = [["id", "image", "mask", "split", "labels"]]
    for number in range(12):
        film = rng.normal(200, 5, (SIDE, SIDE))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        top = int(rng.integers(6, 10))
        for left in (4, 19):
            film[top : top + 16, left : left + 9] -= 140
            mask[top : top + 16, left : left + 9] = 255
        Image.fromarray(film.astype(np.uint8)).save(folder / f"{number}.png")
        Image.fromarray(mask).save(folder / f"{number}_mask.png")
        split = ("train", "test", "train", "val")[number % 4]
        rows.append([f"{number}", f"{number}.png", f"{number}_mask.png", split, "field"])
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    draw_set(tmp_path / "data" / "here", 1)
    draw_set(tmp_path / "data" / "there", 2)
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "plus.toml").write_text(RECIPE.format(kind="unet++"))
    (folder / "unet.toml").write_text(RECIPE.format(kind="unet"))
    (folder / "study.toml").write_text(
        'tested_on = "here"\ntrained_on = ["here"]\nseeds = [0]\n'
        '[[arm]]\nrecipe = "plus.toml"\ntitle = "UNet++"\nheads = true\n'
        '[[arm]]\nrecipe = "unet.toml"\ntitle = "U-Net"\n'
        '[[arm]]\nrecipe = "plus.toml"\ntitle = "pretrained"\n'
        'pretrained_with = "plus.toml"\npretrained_on = ["there"]\n'
    )
    return folder / "study.toml"


def test_a_study_is_run_and_its_table_is_of_paired_differences(run, study, tmp_path):
    out = tmp_path / "runs"
    ended = run("ablate", study, "--data", tmp_path / "data", "-o", out, "-q")
    assert ended.code == 0, ended.err
    table = json.loads((out / "study.json").read_text())
    rows = {row["title"]: row for row in table["rows"]}
    assert list(rows) == ["UNet++", "UNet++, head L1", "U-Net", "pretrained"]
    for row in rows.values():
        dice = row["metrics"]["dice"]
        assert dice["value"]["n"] == 3
        base = rows["UNet++"]["metrics"]["dice"]["value"]["mean"]
        assert dice["difference"]["mean"] == pytest.approx(dice["value"]["mean"] - base, abs=2e-6)
    # The pretrained arm began where the other set's run ended, so it is another network.
    assert rows["pretrained"]["metrics"]["dice"]["difference"]["mean"] != 0
    assert ended.out.startswith("| network |")
    assert "| U-Net | 1 |" in ended.out
    # What is there is not made again.
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.ckpt")}
    again = run("ablate", study, "--data", tmp_path / "data", "-o", out, "-q")
    assert again.out == ended.out, again.err
    assert kept == {path: path.stat().st_mtime_ns for path in out.rglob("*.ckpt")}
    # One arm with a seed more: the others are still set against the seed that they share with it.
    text = study.read_text().replace("seeds = [0]", "seeds = [0, 1]")
    study.write_text(re.sub(r'(title = "(?:U-Net|pretrained)")', r"\1\nseeds = [0]", text))
    more = run("ablate", study, "--data", tmp_path / "data", "-o", out, "-q")
    assert more.code == 0, more.err
    assert "| UNet++ | 2 |" in more.out
    assert "| U-Net | 1 |" in more.out
    now = {row["title"]: row for row in json.loads((out / "study.json").read_text())["rows"]}
    for title in ("U-Net", "pretrained"):
        assert now[title]["metrics"] == rows[title]["metrics"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [0]", "arm is missing"),
        ("not toml", "not a study"),
        ('[[arm]]\nrecipe = "none.toml"\ntitle = "x"', "no such recipe"),
        ('[[arm]]\nrecipe = "plus.toml"\ntitle = "x"\ncolour = 1', "colour"),
        (
            'tested_on = "here"\ntrained_on = ["here"]\nseeds = [0]\n'
            '[[arm]]\nrecipe = "plus.toml"\ntitle = "x"\nseeds = [7]',
            "seed 7",
        ),
    ],
)
def test_a_study_that_makes_no_sense_is_wrong_usage(run, study, tmp_path, text, message):
    study.write_text(text)
    ended = run("ablate", study, "--data", tmp_path / "data", "-o", tmp_path / "runs")
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('tested_on = "here"', 'tested_on = "away"', "away: no such folder or manifest"),
        ('["there"]', '["away"]', "away: no such folder or manifest"),
        ('["here"]', '"here"', "trained_on must be a list of folders, got 'here'"),
        (
            'title = "U-Net"',
            'titel = "U-Net"',
            "unknown key 'titel' in an arm; did you mean 'title'",
        ),
    ],
)
def test_a_wrong_study_trains_no_arm(run, study, tmp_path, before, after, message):
    text = study.read_text()
    assert before in text
    study.write_text(text.replace(before, after))
    out = tmp_path / "runs"
    ended = run("ablate", study, "--data", tmp_path / "data", "-o", out, "-q")
    assert ended.code == 2
    assert message in ended.err
    assert not out.exists()
