"""The shipped weights answer as they did when they were shipped."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def record() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_record", HERE / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, float]]:
    return json.loads((HERE / "recorded.json").read_text())


def test_drawn_films_keep_their_areas(record: ModuleType, recorded: dict) -> None:
    areas = record.phantom_areas()
    assert areas.keys() == recorded["phantom_areas_px"].keys()
    for seed, sides in areas.items():
        assert sides == pytest.approx(recorded["phantom_areas_px"][seed], rel=0.005), seed


def test_real_films_keep_their_dice(record: ModuleType, recorded: dict, films_root: Path) -> None:
    dice = record.film_dice(films_root)
    assert len(dice) == 10
    for film, value in dice.items():
        assert value >= recorded["film_dice"][film] - 0.001, film


def test_drawn_hearts_keep_their_dice(record: ModuleType, recorded: dict) -> None:
    for seed, dice in record.phantom_hearts().items():
        assert dice >= recorded["phantom_hearts"][seed] - 0.005, seed


def test_hearts_of_other_hospitals_are_whole(record: ModuleType, films_root: Path) -> None:
    """Weights that knew hearts of one hospital cut all others at the spine."""
    shares = record.hearts_between(films_root)
    assert len(shares) == 8
    assert sum(share > 0.9 for share in shares.values()) >= 7, shares
