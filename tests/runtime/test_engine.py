"""The ONNX engine on a graph whose answer is known: probability = 1 - pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from pleura.core.arrays import CHANNELS
from pleura.core.card import Card
from pleura.core.errors import WeightsError
from pleura.runtime.engine import OnnxEngine

SIDE = 64
ONE = Card(name="dark", version="0.1.0", channels=("field",), side=SIDE)
Make = Callable[..., bytes]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_batches_of_any_size(dark_weights: Make, count: int) -> None:
    batch = np.random.default_rng(count).random((count, 1, SIDE, SIDE), dtype=np.float32)
    maps = OnnxEngine(dark_weights(ONE.to_json())).predict(batch)
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps, 1 - batch)


def test_an_engine_has_the_card_the_digest_and_a_name(dark_weights: Make) -> None:
    weights = dark_weights(ONE.to_json())
    engine = OnnxEngine(weights, threads=1)
    assert engine.card == ONE
    assert engine.weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert engine.name.startswith("onnxruntime ")
    assert engine.name.endswith(" cpu fp32")


def test_five_channels(dark_weights: Make) -> None:
    card = Card(name="dark", version="0.1.0", channels=CHANNELS, side=SIDE)
    engine = OnnxEngine(dark_weights(card.to_json(), maps=5))
    batch = np.full((2, 1, SIDE, SIDE), 0.25, np.float32)
    assert engine.predict(batch).shape == (2, 5, SIDE, SIDE)


def test_threads_may_share_it(dark_weights: Make) -> None:
    engine = OnnxEngine(dark_weights(ONE.to_json()), threads=1)
    batches = [np.full((1, 1, SIDE, SIDE), k / 16, np.float32) for k in range(16)]
    with ThreadPoolExecutor(4) as pool:
        for batch, maps in zip(batches, pool.map(engine.predict, batches), strict=True):
            np.testing.assert_array_equal(maps, 1 - batch)


@pytest.mark.parametrize("weights", [b"", b"\x89PNG\r\n", b"no weights at all", b"\0" * 4096])
def test_bytes_that_are_no_onnx(weights: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WeightsError, match="no ONNX graph that ONNX Runtime can load"):
        OnnxEngine(weights)
    assert capfd.readouterr() == ("", "")  # the library's own log stays quiet


def test_weights_cut_short(dark_weights: Make) -> None:
    with pytest.raises(WeightsError, match="no ONNX graph"):
        OnnxEngine(dark_weights(ONE.to_json())[:-40])


def test_no_card(dark_weights: Make) -> None:
    with pytest.raises(WeightsError, match="has no card"):
        OnnxEngine(dark_weights(None))


def test_unknown_channels(dark_weights: Make) -> None:
    card = ONE.to_json().replace('"field"', '"spleen"')
    with pytest.raises(WeightsError, match="spleen"):
        OnnxEngine(dark_weights(card))


@pytest.mark.parametrize(("maps", "side"), [(2, SIDE), (1, 32)])
def test_a_card_of_another_graph(dark_weights: Make, maps: int, side: int) -> None:
    with pytest.raises(WeightsError, match="does not match its card"):
        OnnxEngine(dark_weights(ONE.to_json(), maps=maps, side=side))


def test_other_names_of_input_and_output(dark_weights: Make) -> None:
    model = onnx.load_from_string(dark_weights(ONE.to_json()))
    model.graph.input[0].name = model.graph.node[0].input[1] = "film"
    with pytest.raises(WeightsError, match="'film'"):
        OnnxEngine(model.SerializeToString())


@pytest.mark.parametrize("pixel", [2.0, -0.5, float("nan")])
def test_answers_that_are_no_probabilities(dark_weights: Make, pixel: float) -> None:
    engine = OnnxEngine(dark_weights(ONE.to_json()))
    with pytest.raises(WeightsError, match="outside"):
        engine.predict(np.full((1, 1, SIDE, SIDE), pixel, np.float32))


@pytest.mark.parametrize(("pixel", "probability"), [(-1.2e-7, 1.0), (1 + 1.2e-7, 0.0)])
def test_a_rounding_error_outside_is_clipped(
    dark_weights: Make, pixel: float, probability: float
) -> None:
    batch = np.full((1, 1, SIDE, SIDE), 0.25, np.float32)
    batch[0, 0, 3, 5] = pixel
    maps = OnnxEngine(dark_weights(ONE.to_json())).predict(batch)
    assert maps[0, 0, 3, 5] == probability
    assert (maps == 0.75).sum() == SIDE * SIDE - 1


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, SIDE, SIDE), np.float32),
        np.zeros((1, 3, SIDE, SIDE), np.float32),
        np.zeros((1, 1, SIDE, SIDE + 1), np.float32),
        np.zeros((1, 1, SIDE, SIDE), np.float64),
    ],
)
def test_a_batch_of_another_shape_or_type(dark_weights: Make, batch: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(N, 1, 64, 64\) float32"):
        OnnxEngine(dark_weights(ONE.to_json())).predict(batch)
