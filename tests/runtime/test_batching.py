from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from pleura.core.card import Card
from pleura.core.errors import UsageError, WeightsError
from pleura.core.types import Radiograph
from pleura.runtime.batching import SharedEngine
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.segmenter import Segmenter, with_definition

CARD = Card(name="two", version="0.1.0", channels=("field", "whole"), side=64)


@pytest.fixture
def engine(dark_weights: Callable[..., bytes]) -> OnnxEngine:
    return OnnxEngine(dark_weights(CARD.to_json(), maps=2), threads=1)


def squares(number: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(number)
    return rng.random((1 + number % 2, 1, 64, 64), dtype=np.float32)


def test_each_caller_gets_its_own_maps_in_shared_batches(engine: OnnxEngine) -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def seen(size: int) -> None:
        sizes.append(size)
        assert gate.wait(30)  # the first batch waits until the others have come

    shared = SharedEngine(engine, most=4, on_batch=seen)
    batches = [squares(number) for number in range(12)]
    with ThreadPoolExecutor(12) as callers:
        asked = [callers.submit(shared.predict, batches[0])]
        while not sizes:  # alone in its batch: no other may join it
            time.sleep(0.001)
        asked += [callers.submit(shared.predict, batch) for batch in batches[1:]]
        while len(shared._waiting) < 11:
            time.sleep(0.001)
        gate.set()
        for batch, answer in zip(batches, asked, strict=True):
            assert np.array_equal(answer.result(), engine.predict(batch))
    shared.close()
    assert sum(sizes) == sum(map(len, batches)) == 18
    assert max(sizes) in (3, 4)
    assert len(sizes) < 12


def test_an_error_reaches_all_that_shared_it_and_no_later_one(engine: OnnxEngine) -> None:
    shared = SharedEngine(engine)
    bad = np.full((1, 1, 64, 64), np.nan, np.float32)
    with pytest.raises(WeightsError):
        shared.predict(bad)
    assert shared.predict(squares(0)).shape == (1, 2, 64, 64)
    with pytest.raises(ValueError, match="a batch must be"):
        shared.predict(np.zeros((1, 1, 8, 8), np.float32))
    shared.close()
    with pytest.raises(RuntimeError, match="closed"):
        shared.predict(squares(0))


def test_another_definition_needs_no_second_prediction(engine: OnnxEngine) -> None:
    film = Radiograph(np.random.default_rng(3).random((90, 80)).astype(np.float32))
    field, whole = (Segmenter(engine, definition=name)(film) for name in ("field", "whole"))
    again = with_definition(field, "whole", engine.card)
    assert np.array_equal(again.right, whole.right)
    assert np.array_equal(again.left, whole.left)
    assert (again.provenance, again.measurements) == (whole.provenance, whole.measurements)
    assert (again.notes, again.quality) == (whole.notes, whole.quality)


def test_a_definition_that_weights_lack_is_refused(dark_weights: Callable[..., bytes]) -> None:
    card = Card(name="one", version="0.1.0", channels=("field",), side=64)
    segmenter = Segmenter(OnnxEngine(dark_weights(card.to_json()), threads=1))
    film = Radiograph(np.random.default_rng(3).random((90, 80)).astype(np.float32))
    with pytest.raises(UsageError, match="whole"):
        with_definition(segmenter(film), "whole", card)
