"""The program that writes the shipped weights after a change of their cards."""

from __future__ import annotations

import hashlib
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from safetensors.torch import save_file

from pleura.core.card import CARD_KEY, Card
from pleura.net.checkpoint import read_network
from pleura.net.export import with_card

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = ("pleura", "pleura-fast")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A copy of the shipped weights."""
    return shutil.copytree(CHECKOUT / "src/pleura/weights", tmp_path / "weights")


def renew(weights: Path, *folder: Path) -> None:
    program = runpy.run_path(str(CHECKOUT / "packaging" / "renew_cards.py"))
    program["main"]([*map(str, folder), "--weights", str(weights)])


def card_of(path: Path) -> Card:
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return Card.from_json(metadata[CARD_KEY])


def assert_in_line(weights: Path) -> None:
    """Each digest is that of its file, and each int8 card names its fp32 file."""
    for path in weights.glob("*.onnx"):
        digest, name = path.with_name(f"{path.name}.sha256").read_text().split()
        assert (digest, name) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
    for name in NAMES:
        fp32 = hashlib.sha256((weights / f"{name}.onnx").read_bytes()).hexdigest()
        assert card_of(weights / f"{name}-int8.onnx").made_from == fp32


def test_shipped_weights_stay_as_they_are(weights: Path) -> None:
    before = {path.name: path.read_bytes() for path in weights.iterdir()}
    renew(weights)
    assert {path.name: path.read_bytes() for path in weights.iterdir()} == before
    assert_in_line(weights)


def test_the_films_of_a_changed_card_reach_the_int8_card(weights: Path) -> None:
    path = weights / "pleura.onnx"
    card, graph = card_of(path), onnx.load(path).graph
    changed = replace(card, data=card.data | {"fingerprint": "f00d"})
    path.write_bytes(with_card(path.read_bytes(), changed))
    renew(weights)
    assert card_of(path) == changed
    assert onnx.load(path).graph == graph
    of_int8 = card_of(weights / "pleura-int8.onnx").data
    assert of_int8["fingerprint"] == "f00d"
    assert of_int8["calibrated_on"] == 60
    assert_in_line(weights)


def test_a_folder_of_safetensors_gives_the_shipped_files(weights: Path, tmp_path: Path) -> None:
    """Networks and cards without temperature, as a run of an earlier version left them."""
    for name in NAMES:
        network, card = read_network(weights / f"{name}.onnx")
        metadata = {CARD_KEY: card.to_json()}
        save_file(network.state_dict(), tmp_path / f"{name}.safetensors", metadata=metadata)
    before = {path.name: path.read_bytes() for path in weights.iterdir()}
    renew(weights, tmp_path)
    assert {path.name: path.read_bytes() for path in weights.iterdir()} == before
