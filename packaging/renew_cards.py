"""Writes the shipped weights after a change of their cards; the graphs do not change.

    python packaging/renew_cards.py [FOLDER] [--weights src/pleura/weights]

FOLDER has the fp32 networks `pleura` and `pleura-fast`, as .safetensors or .onnx files, whose cards
are taken; by default they are the shipped files. Temperature and reference values stay those of the
shipped files. The int8 cards take the films and the digest of the fp32 files.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx

from pleura.core.card import CARD_KEY, Card
from pleura.core.digest import sha256
from pleura.io.files.atomic import write_with_digest
from pleura.net.checkpoint import read_network
from pleura.net.export import to_onnx, with_card, with_temperature

SHIPPED = Path(__file__).resolve().parents[1] / "src" / "pleura" / "weights"
NAMES = ("pleura", "pleura-fast")


def main(words: Sequence[str] | None = None) -> None:
    """Renew both networks, fp32 first: an int8 card names the digest of its fp32 file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where the fp32 networks lie")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="the shipped weights")
    options = parser.parse_args(words)
    for name in NAMES:
        renew(name, options.folder or options.weights, options.weights)


def renew(name: str, folder: Path, weights: Path) -> None:
    """Write NAME.onnx and NAME-int8.onnx in `weights`, each with its digest."""
    fp32, int8 = weights / f"{name}.onnx", weights / f"{name}-int8.onnx"
    source = next(path for path in _sources(name, folder) if path.exists())
    before = _card_of(fp32.read_bytes())
    network, card = read_network(source)
    card = replace(card, temperature=before.temperature, norms=before.norms)
    if source.suffix == ".onnx":
        content = with_card(source.read_bytes(), card)
    else:
        content = with_temperature(to_onnx(network, card), card)
    write_with_digest(fp32, content)
    old = _card_of(int8.read_bytes())
    data = {**card.data, "calibrated_on": old.data["calibrated_on"]}
    new = replace(old, data=data, made_from=sha256(content))
    write_with_digest(int8, with_card(int8.read_bytes(), new))


def _sources(name: str, folder: Path) -> list[Path]:
    return [folder / f"{name}.safetensors", folder / f"{name}.onnx"]


def _card_of(weights: bytes) -> Card:
    model = onnx.load_model_from_string(weights)
    return Card.from_json(next(e.value for e in model.metadata_props if e.key == CARD_KEY))


if __name__ == "__main__":
    main()
