"""Verdicts of the shipped weights on real pictures, whether or not their card has norms."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageOps

import pleura
from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.main import main
from pleura.core.quality.verdict import DOUBTS
from pleura.io.run.find import find_films
from pleura.runtime.open import open_weights

LOOKED_AT = 4


def test_what_is_no_chest_film_never_passes_where_the_card_has_norms(films_root: Path) -> None:
    known = bool(open_weights().card.norms)
    paths = sorted(each.path for each in find_films([films_root / "negatives"]).films)
    kept = paths[1::2][:LOOKED_AT]  # the half that no limit was chosen on
    verdicts = []
    for path in kept:
        film = pleura.read_radiograph(path, photographs=True)
        found = pleura.segment(film.pixels)
        assert all(doubt.text == DOUBTS[doubt.code] for doubt in found.quality.doubts)
        assert bool(found.quality.doubts) == (found.quality.verdict != "ok")
        assert known or found.quality.estimated_dice is None
        verdicts.append(found.quality.verdict)
    assert not known or "ok" not in verdicts
    assert not known or verdicts.count("refused") >= LOOKED_AT - 1


def test_a_good_film_is_not_refused_and_half_a_film_is_doubted(films_root: Path) -> None:
    path = sorted((films_root / "shenzhen_montgomery" / "CXR_png").glob("MCUCXR_*.png"))[0]
    film = pleura.read_radiograph(path)
    whole = pleura.segment(film.pixels).quality
    assert whole.verdict != "refused"
    half = pleura.segment(film.pixels[:, : film.size[1] // 4]).quality
    assert half.verdict != "ok"


@pytest.mark.parametrize("name", ["JPCLN001", "JPCNN013", "JPCLN093"])
def test_a_mirrored_film_is_to_review(films_root: Path, tmp_path: Path, name: str) -> None:
    """The same film passes as it is; lungs are named by their place, also in the mirrored one."""
    source = films_root / "jsrt512" / "images" / f"{name}.png"
    mirrored = tmp_path / "mirrored.png"
    with Image.open(source) as film:
        ImageOps.mirror(film).save(mirrored)
    as_it_is, flipped = (pleura.segment(path).quality for path in (source, mirrored))
    assert "heart_on_right" not in [doubt.code for doubt in as_it_is.doubts]
    assert flipped.verdict == "review"
    assert "heart_on_right" in [doubt.code for doubt in flipped.doubts]


def test_the_command_line_says_that_a_film_may_be_mirrored(
    films_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirrored = tmp_path / "mirrored.png"
    with Image.open(films_root / "jsrt512" / "images" / "JPCLN001.png") as film:
        ImageOps.mirror(film).save(mirrored)
    code = main(["segment", str(mirrored), "-o", str(tmp_path / "out"), "--strict", "-q"])
    assert code == Exit.DOUBTED
    table = (tmp_path / "out" / "results.csv").read_text()
    assert "heart_on_right" in table
    assert "review" in table
    capsys.readouterr()
