"""The engine of the base install gives what the other gives, and reports to nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from pleura.core.arrays import CHANNELS
from pleura.core.card import Card
from pleura.core.errors import UsageError, WeightsError
from pleura.phantom.film import draw
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.open import shipped
from pleura.runtime.openvino_engine import OpenVinoEngine
from pleura.runtime.segmenter import Segmenter

SIDE = 64
ONE = Card(name="dark", version="0.1.0", channels=("field",), side=SIDE)
Make = Callable[..., bytes]


@pytest.mark.parametrize("maps", [1, 5])
def test_batches_of_any_size_on_threads(dark_weights: Make, maps: int) -> None:
    channels = CHANNELS if maps == 5 else ("field",)
    card = Card(name="dark", version="0.1.0", channels=channels, side=SIDE)
    engine = OpenVinoEngine(dark_weights(card.to_json(), maps=maps), threads=1)
    assert engine.card == card
    rng = np.random.default_rng(0)
    batches = [rng.random((n, 1, SIDE, SIDE), dtype=np.float32) for n in (1, 2, 5, 1)]
    with ThreadPoolExecutor(3) as pool:
        for batch, given in zip(batches, pool.map(engine.predict, batches), strict=True):
            assert given.dtype == np.float32
            np.testing.assert_allclose(given, np.repeat(1 - batch, maps, axis=1), atol=1e-6)


def test_both_engines_see_the_same_lungs() -> None:
    film = draw(448, 400, seed=3).radiograph
    ours, theirs = (
        Segmenter(make(shipped(), threads=1))(film) for make in (OnnxEngine, OpenVinoEngine)
    )
    assert ours.mask.any()
    np.testing.assert_allclose(theirs.probabilities, ours.probabilities, atol=1e-3)
    assert theirs.provenance.engine.startswith("openvino ")
    assert theirs.provenance.weights_sha256 == ours.provenance.weights_sha256


def test_parallel_streams_give_the_results_of_sequential_calls() -> None:
    rng = np.random.default_rng(1)
    alone = OpenVinoEngine(shipped(), threads=1)
    shape = (1, 1, alone.card.side, alone.card.side)
    batches = [rng.random(shape, dtype=np.float32) for _ in range(4)]
    side_by_side = OpenVinoEngine(shipped(), threads=2, streams=2)
    with ThreadPoolExecutor(2) as pool:
        for batch, given in zip(batches, pool.map(side_by_side.predict, batches), strict=True):
            np.testing.assert_allclose(given, alone.predict(batch), atol=1e-6)


def test_compiled_graphs_are_kept_in_the_given_folder(dark_weights: Make, tmp_path: Path) -> None:
    OpenVinoEngine(dark_weights(ONE.to_json()), threads=1, cache=str(tmp_path / "cache"))
    assert list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("weights", [b"", b"no weights at all", b"\0" * 4096])
def test_bytes_that_are_no_onnx(weights: bytes) -> None:
    with pytest.raises(WeightsError, match="no ONNX graph that OpenVINO can load"):
        OpenVinoEngine(weights)


def test_no_card_and_another_graphs_card(dark_weights: Make) -> None:
    with pytest.raises(WeightsError, match="has no card"):
        OpenVinoEngine(dark_weights(None))
    with pytest.raises(WeightsError, match="does not match its card"):
        OpenVinoEngine(dark_weights(ONE.to_json(), maps=2))
    model = onnx.load_from_string(dark_weights(ONE.to_json()))
    model.graph.input[0].name = model.graph.node[0].input[1] = "film"
    with pytest.raises(WeightsError, match="'film'"):
        OpenVinoEngine(model.SerializeToString())


def test_answers_that_are_no_probabilities(dark_weights: Make) -> None:
    engine = OpenVinoEngine(dark_weights(ONE.to_json()), threads=1)
    with pytest.raises(WeightsError, match="outside"):
        engine.predict(np.full((1, 1, SIDE, SIDE), 2.0, np.float32))
    with pytest.raises(ValueError, match=r"\(N, 1, 64, 64\) float32"):
        engine.predict(np.zeros((1, SIDE, SIDE), np.float32))


def test_bf16_without_support_of_the_cpu_is_reported(dark_weights: Make) -> None:
    import openvino

    capable = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" in capable:
        assert OpenVinoEngine(dark_weights(ONE.to_json()), precision="bf16").name.endswith("bf16")
    else:
        with pytest.raises(UsageError, match="does not compute in bf16"):
            OpenVinoEngine(dark_weights(ONE.to_json()), precision="bf16")


def test_openvino_sends_no_telemetry(dark_weights: Make, tmp_path: Path) -> None:
    """On import OpenVINO would send to its makers and leave an identity in the home folder."""
    weights = tmp_path / "weights.onnx"
    weights.write_bytes(dark_weights(ONE.to_json()))
    code = (
        "import sys, pathlib; from pleura.runtime.openvino_engine import OpenVinoEngine;"
        "OpenVinoEngine(pathlib.Path(sys.argv[1]).read_bytes(), threads=1);"
        "print('openvino_telemetry' in sys.modules)"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(weights)],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(home), "USERPROFILE": str(home)},
    )
    assert done.stdout.split() == ["False"]
    assert list(home.iterdir()) == []


TWO_AT_ONCE = """
import sys, threading
from pleura.runtime.openvino_engine import _openvino
openvino = _openvino()
sys.setswitchinterval(1e-6)
start = threading.Barrier(2)
def ask():
    start.wait()
    openvino.Type.f32.to_dtype()
both = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
for each in both: each.start()
for each in both: each.join(20)
print(sum(each.is_alive() for each in both), flush=True)
import os; os._exit(0)
"""


@pytest.mark.parametrize("turn", range(3))
def test_the_first_two_films_at_once_do_not_wait_for_each_other(turn: int) -> None:
    """Of processes that had not asked OpenVINO for a type before, seven of eight hung here."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_AT_ONCE], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["0"], f"turn {turn}: threads that never came back"


AFFINITIES = """
import os, threading
import numpy as np
from pleura.runtime.open import Choice, open_weights

def watch():
    while not ended.is_set():
        for task in os.listdir("/proc/self/task"):
            try:
                seen.add(frozenset(os.sched_getaffinity(int(task))))
            except ProcessLookupError:
                pass

allowed, seen, ended = frozenset(os.sched_getaffinity(0)), set(), threading.Event()
engine = open_weights(choice=Choice(threads=1))
film = np.zeros((1, 1, engine.card.side, engine.card.side), np.float32)
watcher = threading.Thread(target=watch)
watcher.start()
for _ in range(5):
    engine.predict(film)
ended.set()
watcher.join()
print(engine.name.split()[0], seen == {allowed})
"""


def test_no_thread_is_bound_to_a_core() -> None:
    """Bound threads of several processes on one machine take the same cores and leave others."""
    done = subprocess.run(
        [sys.executable, "-c", AFFINITIES], capture_output=True, text=True, check=False
    )
    assert done.stdout == "openvino True\n", done.stderr
