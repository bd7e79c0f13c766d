"""Reliability and temperature by hand, and the command with an engine of known probabilities.

The film is 96 x 96 with 48 rows of lung. The engine is right about the upper half. In the lower
half it gives probability 0.8, and only every second column is labelled. Elsewhere it gives 0.
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
    TemperatureScaled,
    best_temperature,
    draw_pixels,
    join_samples,
    reliability,
)
from pleura.lab.evaluate.case import Evaluator
from pleura.lab.evaluate.evaluation import EvaluationSettings, choose
from pleura.lab.report.calibration import Tuning, calibrate, write_with_temperature
from pleura.runtime.engine import OnnxEngine

SIDE = 96
CARD = Card(name="known", version="0.1.0", channels=("field",), side=SIDE)


def pixels_of(*groups: tuple[float, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of groups (probability, pixels, number of labelled ones)."""
    predicted = np.concatenate([np.full(pixels, p) for p, pixels, _ in groups])
    labels = np.concatenate([np.arange(pixels) < labelled for _, pixels, labelled in groups])
    return predicted, labels


def test_reliability_by_hand():
    # 300 pixels at 0.9 of which 225 (0.75) are true, 100 at 0.1 of which 20 (0.2) are.
    measures = reliability(*pixels_of((0.9, 300, 225), (0.1, 100, 20)))
    assert measures["pixels"] == 400
    assert measures["ece"] == pytest.approx((0.15 * 300 + 0.10 * 100) / 400, abs=1e-6)
    assert measures["mean_gap"] == pytest.approx((0.15 + 0.10) / 2, abs=1e-6)
    squares = 225 * 0.01 + 75 * 0.81 + 20 * 0.81 + 80 * 0.01
    assert measures["brier"] == pytest.approx(squares / 400, abs=1e-6)
    logs = 225 * np.log(0.9) + 75 * np.log(0.1) + 20 * np.log(0.1) + 80 * np.log(0.9)
    assert measures["log_loss"] == pytest.approx(-logs / 400, abs=1e-6)
    assert measures["curve"] == [
        {"pixels": 100, "said": 0.1, "true": 0.2},
        {"pixels": 300, "said": 0.9, "true": 0.75},
    ]


def test_a_sparse_bin_counts_as_pixels_but_not_as_a_bin():
    measures = reliability(*pixels_of((0.9, 1000, 900), (0.5, 10, 0)))
    assert measures["mean_gap"] == 0.0
    assert measures["ece"] == pytest.approx(0.5 * 10 / 1010, abs=1e-6)


def test_probability_one_falls_in_the_last_bin():
    measures = reliability(*pixels_of((1.0, 100, 100), (0.0, 100, 0)))
    assert (measures["ece"], measures["brier"], measures["log_loss"]) == (0.0, 0.0, 0.0)
    assert len(measures["curve"]) == 2
    assert reliability(np.zeros(0), np.zeros(0, bool))["ece"] is None


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_undoes_a_known_factor(factor):
    # Labelled shares 0.8 and 0.2 (odds 4, 1 / 4), probabilities of odds 4 ** factor: T = factor.
    odds = 4.0**factor
    groups = ((odds / (1 + odds), 1000, 800), (1 / (1 + odds), 1000, 200))
    assert best_temperature(*pixels_of(*groups)) == pytest.approx(factor, abs=2e-3)


def test_without_pixels_there_is_no_temperature():
    with pytest.raises(DataError, match="no labelled pixel"):
        best_temperature(np.zeros(0), np.zeros(0, bool))


@dataclass
class UncertainEngine:
    """An engine that gives dark pixels 1 in the upper half and 0.8 in the lower half."""

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
    """Two films of split val and one of split test, of sources s and t."""
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
    films, judge = choose(EvaluationSettings(data=(data,))).films, Evaluator(UncertainEngine())

    def draw(seed: int) -> np.ndarray:
        (only,) = draw_pixels(films, judge, seed=seed, failures=[])
        assert (only.source, only.channel, len(only.predicted)) == ("s", "field", 500)
        return only.predicted

    assert (draw(1) == draw(1)).all()
    assert (draw(1) != draw(2)).any()


def test_calibrate_writes_the_derived_result(data, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "PIXELS", SIDE * SIDE)  # every pixel
    steps: list[tuple[int, int]] = []
    result = calibrate(
        EvaluationSettings(data=(data,)),
        UncertainEngine(),
        tmp_path / "out",
        on_film=lambda *s: steps.append(s),
    )
    # 1152 pixels have odds 4, and half of them are labelled. All others have odds of 10^6 at most
    # and are right. A higher temperature is better for the first, a lower one for the second.
    uncertain, certain = 24 * 48, SIDE**2 - 24 * 48
    grid = np.arange(1, 20, 0.001)
    odds = 4 ** (1 / grid)
    loss = certain * np.log1p(1e-6 ** (1 / grid))
    loss += uncertain / 2 * (np.log1p(odds) + np.log1p(1 / odds))
    assert result["temperature"] == pytest.approx(grid[loss.argmin()], abs=5e-3)
    odds_after = 4 ** (1 / result["temperature"])
    before, after = (result["overall"][when] for when in ("before", "after"))
    assert before["ece"] == pytest.approx(uncertain * (0.8 - 0.5) / SIDE**2, abs=1e-5)
    share = odds_after / (1 + odds_after)
    assert after["ece"] == pytest.approx(uncertain * (share - 0.5) / SIDE**2, abs=1e-5)
    assert after["pixels"] == before["pixels"] == SIDE**2
    assert list(result["by_source"]) == ["s"]
    assert list(result["by_channel"]) == ["field"]
    assert steps[-1] == (6, 6)  # two films to tune and one to evaluate, each twice
    assert result == json.loads((tmp_path / "out" / "calibration.json").read_text())
    page = (tmp_path / "out" / "calibration.html").read_text()
    assert "http" not in page
    assert "None" not in page
    with Image.open(tmp_path / "out" / "calibration.png") as picture:
        assert picture.width > 800
        colours = {colour for _, colour in picture.convert("RGB").getcolors(2**20)}
    assert (0x00, 0x72, 0xB2) in colours  # the curve of the first source


def test_a_temperature_replaces_that_of_the_graph(data):
    film = choose(EvaluationSettings(data=(data,))).films[0]
    hot = UncertainEngine(replace(CARD, temperature=2.0))  # it gives 0.8 (odds 4) at temperature 2
    for engine, expected in (
        (hot, 0.8),
        (TemperatureScaled(hot, 4.0), 2 / 3),
        (TemperatureScaled(hot, 2.0), 0.8),
        (TemperatureScaled(hot, 1.0), 16 / 17),
    ):
        result = Evaluator(engine).examine(film).segmentation
        assert result.probabilities[0, 60, 24] == pytest.approx(expected, abs=1e-6)


def test_ignored_areas_are_not_drawn(data):
    film = choose(EvaluationSettings(data=(data,))).films[0]
    path = film.masks[0].path
    values = np.asarray(Image.open(path)).copy()
    values[48:] = 127
    Image.fromarray(values).save(path)
    parts = (replace(film.masks[0], value=255), replace(film.masks[0], channel="ignore", value=127))
    (sample,) = draw_pixels([replace(film, masks=parts)], Evaluator(UncertainEngine()), failures=[])
    assert set(sample.predicted) == {0.0, 1.0}  # 0.8 is in the ignored lower half


def test_tuning_and_evaluation_need_different_splits(data, tmp_path):
    with pytest.raises(UsageError, match="chosen on 'test' cannot be evaluated on 'test'"):
        calibrate(
            EvaluationSettings(data=(data,)), UncertainEngine(), tmp_path, tuning=Tuning("test")
        )


def test_a_failed_film_is_listed_once(data, tmp_path):
    (data / "c.png").write_bytes(b"no picture")
    result = calibrate(EvaluationSettings(data=(data,)), UncertainEngine(), tmp_path / "out")
    assert [failure["id"] for failure in result["failures"]] == ["c"]
    assert result["overall"]["before"]["ece"] is None
    assert join_samples([])[0].size == 0


def ending_with_a_sigmoid(weights: bytes) -> bytes:
    """The same graph with a sigmoid at its end."""
    model = onnx.load_model_from_string(weights)
    model.graph.node[-1].output[0] = "logits"
    model.graph.node.append(onnx.helper.make_node("Sigmoid", ["logits"], ["probabilities"]))
    return bytes(model.SerializeToString())


def test_weights_take_the_temperature_in_graph_and_card(dark_weights, tmp_path):
    weights = ending_with_a_sigmoid(dark_weights(CARD.to_json(), side=SIDE))
    target = tmp_path / "hot.onnx"
    square = np.full((1, 1, SIDE, SIDE), 0.25, np.float32)
    # The second temperature replaces the first: the logit 0.75 is divided once.
    for temperature in (3.0, 1.5):
        write_with_temperature(weights, temperature, target)
        weights = target.read_bytes()
        written = OnnxEngine(weights)
        assert written.card == replace(CARD, temperature=temperature)
        digest = f"{written.weights_sha256}  hot.onnx\n"
        assert (tmp_path / "hot.onnx.sha256").read_text() == digest
        expected = 1 / (1 + np.exp(-0.75 / temperature))
        assert written.predict(square) == pytest.approx(np.full(square.shape, expected), abs=1e-6)


def test_an_invalid_graph_or_temperature_is_refused(dark_weights, tmp_path):
    weights, target = dark_weights(CARD.to_json(), side=SIDE), tmp_path / "hot.onnx"
    with pytest.raises(WeightsError, match="do not end with a sigmoid"):
        write_with_temperature(weights, 1.5, target)
    with pytest.raises(WeightsError, match=r"temperature must be a number from 0\.05 to 20, got 0"):
        write_with_temperature(weights, 0, target)
    assert not target.exists()
