"""Reliability and temperature by hand, and the whole command with an engine that knows its doubt.

The film is 96 x 96. Of its 48 rows of lung, the engine is right about the upper half and calls the
lower half lung with probability 0.8 where only every second column is; elsewhere it says 0.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from pleura.core.card import Card
from pleura.core.errors import DataError, UsageError, WeightsError
from pleura.lab.evaluate import calibration
from pleura.lab.evaluate.calibration import (
    Tempered,
    best_temperature,
    draw_pixels,
    joined,
    reliability,
)
from pleura.lab.evaluate.case import Judge
from pleura.lab.evaluate.trial import Trial, choose
from pleura.lab.report.calibration import Tuning, calibrate, write_tempered
from pleura.runtime.engine import OnnxEngine

SIDE = 96
CARD = Card(name="known", version="0.1.0", channels=("field",), side=SIDE)


def said_and_true(*groups: tuple[float, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """From (probability, pixels, how many of them are true)."""
    said = np.concatenate([np.full(pixels, p) for p, pixels, _ in groups])
    true = np.concatenate([np.arange(pixels) < yes for _, pixels, yes in groups])
    return said, true


def test_reliability_by_hand():
    # 300 pixels at 0.9 of which 225 (0.75) are true, 100 at 0.1 of which 20 (0.2) are.
    found = reliability(*said_and_true((0.9, 300, 225), (0.1, 100, 20)))
    assert found["pixels"] == 400
    assert found["ece"] == pytest.approx((0.15 * 300 + 0.10 * 100) / 400, abs=1e-6)
    assert found["mean_gap"] == pytest.approx((0.15 + 0.10) / 2, abs=1e-6)
    squares = 225 * 0.01 + 75 * 0.81 + 20 * 0.81 + 80 * 0.01
    assert found["brier"] == pytest.approx(squares / 400, abs=1e-6)
    logs = 225 * np.log(0.9) + 75 * np.log(0.1) + 20 * np.log(0.1) + 80 * np.log(0.9)
    assert found["log_loss"] == pytest.approx(-logs / 400, abs=1e-6)
    assert found["curve"] == [
        {"pixels": 100, "said": 0.1, "true": 0.2},
        {"pixels": 300, "said": 0.9, "true": 0.75},
    ]


def test_a_sparse_bin_counts_as_pixels_but_not_as_a_bin():
    found = reliability(*said_and_true((0.9, 1000, 900), (0.5, 10, 0)))
    assert found["mean_gap"] == 0.0
    assert found["ece"] == pytest.approx(0.5 * 10 / 1010, abs=1e-6)


def test_what_is_surely_said_falls_in_the_last_bin_and_nothing_is_undefined():
    found = reliability(*said_and_true((1.0, 100, 100), (0.0, 100, 0)))
    assert (found["ece"], found["brier"], found["log_loss"]) == (0.0, 0.0, 0.0)
    assert len(found["curve"]) == 2
    assert reliability(np.zeros(0), np.zeros(0, bool))["ece"] is None


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 4.0])
def test_a_network_that_is_too_sure_by_a_factor_gets_it_back(factor):
    # True shares 0.8 and 0.2 (odds 4, 1 / 4); said with odds 4 ** factor: so T = factor.
    odds = 4.0**factor
    groups = ((odds / (1 + odds), 1000, 800), (1 / (1 + odds), 1000, 200))
    assert best_temperature(*said_and_true(*groups)) == pytest.approx(factor, abs=2e-3)


def test_no_pixel_no_temperature():
    with pytest.raises(DataError, match="no labelled pixel"):
        best_temperature(np.zeros(0), np.zeros(0, bool))


@dataclass
class Doubtful:
    """An engine that knows the upper half of the dark, and says 0.8 of the lower half."""

    card: Card = field(default_factory=lambda: CARD)
    name: str = "known 1.0"
    weights_sha256: str = "ab" * 32

    def predict(self, batch: np.ndarray) -> np.ndarray:
        dark = batch < 0.5
        maps = np.where(dark, 0.8, 0.0)
        maps[:, :, : SIDE // 2] = dark[:, :, : SIDE // 2]
        return maps.astype(np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two films to tune on, two to judge on, of sources s and t."""
    folder = tmp_path / "set"
    folder.mkdir()
    lungs = np.zeros((SIDE, SIDE), bool)
    lungs[24:72, 12:36] = lungs[24:72, 60:84] = True
    truth = lungs.copy()
    truth[48:, ::2] = False
    film = np.where(lungs, 40, 200 + np.arange(SIDE) // 6).astype(np.uint8)
    rows = []
    for name, split, source in (("a", "val", "s"), ("b", "val", "t"), ("c", "test", "s")):
        Image.fromarray(film).save(folder / f"{name}.png")
        Image.fromarray(truth.astype(np.uint8) * 255).save(folder / f"{name}_mask.png")
        files = {"image": f"{name}.png", "mask": f"{name}_mask.png"}
        rows.append({"id": name, **files, "split": split, "source": source, "labels": "field"})
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_pixels_are_drawn_by_the_seed(data, monkeypatch):
    monkeypatch.setattr(calibration, "PIXELS", 500)
    films, judge = choose(Trial(data=(data,))).films, Judge(Doubtful())

    def drawn(seed: int) -> np.ndarray:
        (only,) = draw_pixels(films, judge, seed=seed, failures=[])
        assert (only.source, only.channel, len(only.said)) == ("s", "field", 500)
        return only.said

    assert (drawn(1) == drawn(1)).all()
    assert (drawn(1) != drawn(2)).any()


def test_the_whole_run(data, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "PIXELS", SIDE * SIDE)  # every pixel
    steps: list[tuple[int, int]] = []
    told = calibrate(
        Trial(data=(data,)), Doubtful(), tmp_path / "out", on_film=lambda *s: steps.append(s)
    )
    # Said with odds 4, 1152 pixels, half of them true; said with odds 10^6 at most, and rightly,
    # all the others. Hotter is better for the first, colder for the second.
    unsure, sure = 24 * 48, SIDE**2 - 24 * 48
    grid = np.arange(1, 20, 0.001)
    odds = 4 ** (1 / grid)
    loss = sure * np.log1p(1e-6 ** (1 / grid)) + unsure / 2 * (np.log1p(odds) + np.log1p(1 / odds))
    assert told["temperature"] == pytest.approx(grid[loss.argmin()], abs=5e-3)
    odds_after = 4 ** (1 / told["temperature"])
    before, after = (told["overall"][when] for when in ("before", "after"))
    assert before["ece"] == pytest.approx(unsure * (0.8 - 0.5) / SIDE**2, abs=1e-5)
    share = odds_after / (1 + odds_after)
    assert after["ece"] == pytest.approx(unsure * (share - 0.5) / SIDE**2, abs=1e-5)
    assert after["pixels"] == before["pixels"] == SIDE**2
    assert list(told["by_source"]) == ["s"]
    assert list(told["by_channel"]) == ["field"]
    assert steps[-1] == (6, 6)  # two tuned on and one judged, each twice
    assert told == json.loads((tmp_path / "out" / "calibration.json").read_text())
    page = (tmp_path / "out" / "calibration.html").read_text()
    assert "http" not in page
    assert "None" not in page
    with Image.open(tmp_path / "out" / "calibration.png") as picture:
        assert picture.width > 800


def test_a_temperature_is_counted_from_the_one_that_the_graph_has(data):
    film = choose(Trial(data=(data,))).films[0]
    hot = Doubtful(replace(CARD, temperature=2.0))  # it says 0.8, odds of 4, at temperature 2
    for engine, expected in (
        (hot, 0.8),
        (Tempered(hot, 4.0), 2 / 3),
        (Tempered(hot, 2.0), 0.8),
        (Tempered(hot, 1.0), 16 / 17),
    ):
        found = Judge(engine).examine(film).found
        assert found.probabilities[0, 60, 24] == pytest.approx(expected, abs=1e-6)


def test_areas_to_ignore_are_never_drawn(data):
    film = choose(Trial(data=(data,))).films[0]
    path = film.masks[0].path
    values = np.asarray(Image.open(path)).copy()
    values[48:] = 127
    Image.fromarray(values).save(path)
    parts = (replace(film.masks[0], value=255), replace(film.masks[0], channel="ignore", value=127))
    (drawn,) = draw_pixels([replace(film, masks=parts)], Judge(Doubtful()), failures=[])
    assert set(drawn.said) == {0.0, 1.0}  # the doubt lies in the lower half


def test_one_split_cannot_judge_itself(data, tmp_path):
    with pytest.raises(UsageError, match="chosen on 'test' says nothing when judged on 'test'"):
        calibrate(Trial(data=(data,)), Doubtful(), tmp_path, tuning=Tuning("test"))


def test_a_film_that_fails_is_told_once(data, tmp_path):
    (data / "c.png").write_bytes(b"no picture")
    told = calibrate(Trial(data=(data,)), Doubtful(), tmp_path / "out")
    assert [each["id"] for each in told["failures"]] == ["c"]
    assert told["overall"]["before"]["ece"] is None
    assert joined([])[0].size == 0


def ending_with_a_sigmoid(weights: bytes) -> bytes:
    """The same graph, but that its answer is the sigmoid of what it was."""
    model = onnx.load_model_from_string(weights)
    model.graph.node[-1].output[0] = "logits"
    model.graph.node.append(onnx.helper.make_node("Sigmoid", ["logits"], ["probabilities"]))
    return bytes(model.SerializeToString())


def test_weights_take_the_temperature_in_graph_and_card(dark_weights, tmp_path):
    weights = ending_with_a_sigmoid(dark_weights(CARD.to_json(), side=SIDE))
    target = tmp_path / "hot.onnx"
    square = np.full((1, 1, SIDE, SIDE), 0.25, np.float32)
    # The second replaces the first: what is divided is the logit, 0.75, and once only.
    for temperature in (3.0, 1.5):
        write_tempered(weights, temperature, target)
        weights = target.read_bytes()
        written = OnnxEngine(weights)
        assert written.card == replace(CARD, temperature=temperature)
        digest = f"{written.weights_sha256}  hot.onnx\n"
        assert (tmp_path / "hot.onnx.sha256").read_text() == digest
        expected = 1 / (1 + np.exp(-0.75 / temperature))
        assert written.predict(square) == pytest.approx(np.full(square.shape, expected), abs=1e-6)


def test_what_cannot_be_tempered_is_told_and_nothing_is_written(dark_weights, tmp_path):
    weights, target = dark_weights(CARD.to_json(), side=SIDE), tmp_path / "hot.onnx"
    with pytest.raises(WeightsError, match="do not end with a sigmoid"):
        write_tempered(weights, 1.5, target)
    with pytest.raises(WeightsError, match=r"temperature must be a number from 0\.05 to 20, got 0"):
        write_tempered(weights, 0, target)
    assert not target.exists()
