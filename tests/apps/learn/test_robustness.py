"""`pleura robustness` from the shell's side."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from tests.apps.learn.drawn import film_and_low_mask


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """images/ and masks/ of one film, which the tiny network finds 4 rows of 32 too high."""
    folder = tmp_path / "set"
    film, mask = film_and_low_mask()
    for name, image in (("images", film), ("masks", mask)):
        (folder / name).mkdir(parents=True)
        Image.fromarray(image).save(folder / name / "a.png")
    return folder


def test_prints_the_table_and_writes_four_files(run, labelled, tiny_weights, tmp_path):
    out = tmp_path / "report"
    options = ("--split", "all", "--weights", tiny_weights, "-o", out, "--json")
    ended = run("robustness", labelled, *options)
    assert ended.code == 0, ended.err
    names = {f"robustness.{kind}" for kind in ("csv", "html", "json", "png")}
    assert {path.name for path in out.iterdir()} == names
    assert json.loads(ended.out) == json.loads((out / "robustness.json").read_text())
    assert re.search(r"as it is +1 +0 +0\.875 +0\.875 +100\.0% +\+0\.0000", ended.err)
    assert str(out / "robustness.html") in ended.err


def test_a_failed_film_is_named_and_sets_the_exit_code(run, labelled, tiny_weights, tmp_path):
    (labelled / "images" / "a.png").write_bytes(b"no picture")
    options = ("--split", "all", "--weights", tiny_weights, "-o", tmp_path / "out", "-q")
    ended = run("robustness", labelled, *options)
    assert ended.code == 3
    assert re.search(r"^\S+/a: .*expected", ended.err, re.MULTILINE)
