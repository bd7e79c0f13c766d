"""What was compiled is computed with again only if it is what was compiled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pleura.core.card import Card
from pleura.core.errors import WeightsError
from pleura.runtime.graph_cache import CachedGraph, load_graph, save_graph
from pleura.runtime.openvino_engine import OpenVinoEngine

CARD = Card(name="dark", version="0.1.0", channels=("field",), side=64)
GRAPH = CachedGraph(card='{"é": 1}', compiled=bytes(range(256)) * 40)
KEY, OTHER = "a" * 64, "a" * 32 + "b" * 32  # one file name, two keys
Make = Callable[..., bytes]


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_cached_graph_is_returned_for_its_key_only(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on the way"
    assert load_graph(folder, KEY) is None
    save_graph(folder, KEY, GRAPH)
    assert load_graph(folder, KEY) == GRAPH
    assert load_graph(folder, OTHER) is None
    save_graph(folder, KEY, CachedGraph(card="", compiled=b""))
    assert load_graph(folder, KEY) == CachedGraph(card="", compiled=b"")
    assert only_file(folder).name == f"graph-{KEY[:32]}.blob"


@pytest.mark.parametrize("at", [0, 20, 50, 60, 5000, -1])
def test_any_changed_byte_is_detected(tmp_path: Path, at: int) -> None:
    save_graph(tmp_path, KEY, GRAPH)
    content = bytearray(only_file(tmp_path).read_bytes())
    content[at] ^= 1
    only_file(tmp_path).write_bytes(content)
    assert load_graph(tmp_path, KEY) is None


@pytest.mark.parametrize("size", [0, 1, 15, 30, 47, 55, 5000])
def test_a_truncated_graph_is_not_loaded(tmp_path: Path, size: int) -> None:
    save_graph(tmp_path, KEY, GRAPH)
    os.truncate(only_file(tmp_path), size)
    assert load_graph(tmp_path, KEY) is None


def test_a_folder_that_takes_no_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/no/such")):
        save_graph(folder, KEY, GRAPH)
        assert load_graph(folder, KEY) is None
    (tmp_path / f"graph-{KEY[:32]}.blob").mkdir()
    save_graph(tmp_path, KEY, GRAPH)
    assert load_graph(tmp_path, KEY) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", f"graph-{KEY[:32]}.blob"]


def test_files_left_by_killed_processes_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / ".graph-1-00.part", tmp_path / ".graph-2-00.part"
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    save_graph(tmp_path, KEY, GRAPH)
    assert (old.exists(), new.exists()) == (False, True)


def test_concurrent_readers_get_a_complete_graph_or_none(tmp_path: Path) -> None:
    def turn(number: int) -> bool:
        save_graph(tmp_path, KEY, CachedGraph(card=str(number), compiled=bytes(100_000 + number)))
        graph = load_graph(tmp_path, KEY)
        return graph is not None and len(graph.compiled) == 100_000 + int(graph.card)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(200)))
    only_file(tmp_path)


def test_a_cached_graph_computes_as_the_compiled_one(dark_weights: Make, tmp_path: Path) -> None:
    weights = dark_weights(CARD.to_json())
    batch = np.random.default_rng(0).random((2, 1, 64, 64), dtype=np.float32)
    first = OpenVinoEngine(weights, threads=1, cache=str(tmp_path))
    again = OpenVinoEngine(weights, threads=2, streams=2, cache=str(tmp_path))
    assert (first.was_cached, again.was_cached) == (False, True)
    assert (again.card, again.name, again.weights_sha256) == (
        first.card,
        first.name,
        first.weights_sha256,
    )
    np.testing.assert_array_equal(again.predict(batch), first.predict(batch))


def test_other_weights_and_precisions_have_a_graph_each(dark_weights: Make, tmp_path: Path) -> None:
    for weights in (dark_weights(CARD.to_json()), dark_weights(CARD.to_json(), side=64, maps=1)):
        OpenVinoEngine(weights, cache=str(tmp_path))
    renamed = Card(name="other", version="0.1.0", channels=("field",), side=64)
    other = OpenVinoEngine(dark_weights(renamed.to_json()), cache=str(tmp_path))
    assert not other.was_cached
    assert other.card == renamed
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_graph_is_compiled_and_kept_anew(dark_weights: Make, tmp_path: Path) -> None:
    weights = dark_weights(CARD.to_json())
    OpenVinoEngine(weights, cache=str(tmp_path))
    path = only_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-64] + bytes(64))
    assert not OpenVinoEngine(weights, cache=str(tmp_path)).was_cached
    assert OpenVinoEngine(weights, cache=str(tmp_path)).was_cached


def test_a_whole_graph_that_the_library_does_not_take_is_compiled(
    dark_weights: Make, tmp_path: Path
) -> None:
    """As of another build that calls itself the same."""
    weights = dark_weights(CARD.to_json())
    OpenVinoEngine(weights, cache=str(tmp_path))
    path = only_file(tmp_path)
    key: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pleura.runtime.openvino_engine.load_graph",
            lambda _, asked: key.append(asked) or None,
        )
        OpenVinoEngine(weights)
        OpenVinoEngine(weights, cache=str(tmp_path))
    save_graph(tmp_path, key[0], CachedGraph(card=CARD.to_json(), compiled=b"no graph at all"))
    assert load_graph(tmp_path, key[0]) is not None
    assert not OpenVinoEngine(weights, cache=str(tmp_path)).was_cached
    assert b"no graph at all" not in path.read_bytes()


def test_weights_that_fail_leave_no_file(dark_weights: Make, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has no card"):
        OpenVinoEngine(dark_weights(None), cache=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
