"""Exporting a checkpoint: weights with their card, the log, the curves."""

from __future__ import annotations

import csv
import logging
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pleura._version import __version__
from pleura.core.card import Card
from pleura.core.digest import sha256
from pleura.core.errors import UsageError, WeightsError
from pleura.io.files.atomic import atomic_write, write_with_digest
from pleura.lab.train.recipe import Recipe, parse_recipe
from pleura.net.checkpoint import read_network
from pleura.net.export import to_onnx
from pleura.net.unetplusplus import UNet, UNetPlusPlus, build

__all__ = [
    "ExportPart",
    "Outcome",
    "export_checkpoint",
    "read_checkpoint",
    "read_facts",
    "read_metrics",
    "write_curves",
    "write_weights",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a training run."""

    weights: Path
    """The ONNX file."""

    val_dice: float | None
    """The validation Dice of the best epoch, on squares; None if no epoch was scored."""

    epochs_done: int
    finished: bool
    """False if the time was up or the run was interrupted; continue it with `--resume`."""

    diverged: bool = False
    """The best epoch finds almost no structure, and no weights are written."""


def read_checkpoint(path: Path) -> tuple[UNetPlusPlus | UNet, Recipe, dict[str, Any]]:
    """The network of a run's checkpoint, its recipe, and facts about the run.

    Raises:
        UsageError: there is no such file, or `pleura train` did not write it.
        WeightsError: it is damaged.
    """
    content = _load(path)
    recipe = parse_recipe(content["pleura"]["recipe"])
    network = build(recipe.network)
    state = {
        name.removeprefix("network."): value
        for name, value in content["state_dict"].items()
        if name.startswith("network.")
    }
    network.load_state_dict(state)
    return network.eval(), recipe, _facts(content)


def read_facts(path: Path) -> dict[str, Any]:
    """How a run's checkpoint was made; `epoch` counts from 0. Raises as `read_checkpoint`."""
    return _facts(_load(path))


def _facts(content: dict[str, Any]) -> dict[str, Any]:
    return {**content["pleura"], "epoch": content["epoch"]}


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint; a run keeps them in OUT/checkpoints")
    try:
        # Checkpoints of Pleura have plain values and tensors only, so nothing is unpickled.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises any error of its unpickler
        raise WeightsError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}); take another one "
            "of the run, or train again"
        ) from error
    if not isinstance(content, dict) or "pleura" not in content:
        raise UsageError(f"{path}: not a checkpoint of `pleura train`")
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """The part of a network that is exported; all of it by default."""

    head: int | None = None
    """The head L1, L2, ... at which the network ends."""

    side: int | None = None
    """The side of the input square, px."""

    channels: tuple[str, ...] = ()
    """The channels to keep; empty for all."""


def export_checkpoint(
    source: Path,
    folder: Path,
    *,
    name: str | None = None,
    part: ExportPart | None = None,
    licence: str | None = None,
) -> Path:
    """Write weights into `folder`; returns the ONNX file.

    `source` is a run's checkpoint, or the .onnx file of an fp32 network. The file is named after
    the recipe, or `name`. The card states `licence`, or the licence of `source`.

    Raises:
        UsageError: the file, head or channel does not exist, the side is no multiple of the
        stride, or `source` would be replaced. WeightsError: the file is damaged.
    """
    part = part or ExportPart()
    network, card = _weights_of(source)
    if part.head is not None:
        network = _pruned(network, part.head)
    if part.channels:
        network = _selected(network, card.channels, part.channels)
    if part.side is not None and part.side % network.architecture.stride:
        raise UsageError(
            f"side must be a multiple of {network.architecture.stride} for this network, "
            f"got {part.side}"
        )
    if part != ExportPart():
        card = replace(
            card,
            name=name or card.name,
            channels=part.channels or card.channels,
            side=part.side or card.side,
            architecture=network.architecture.as_dict(),
            scores={},
            norms={},
            made_from=sha256(source.read_bytes()),
        )
    if licence is not None:
        card = replace(card, licence=licence)
    stem = folder / (name or card.name)
    if stem.with_name(f"{stem.name}.onnx").resolve() == source.resolve():
        raise UsageError(f"{source} would be replaced by its export; give another name or folder")
    return write_weights(network, card, stem)


def _weights_of(source: Path) -> tuple[UNetPlusPlus | UNet, Card]:
    if source.suffix in (".onnx", ".safetensors"):
        return read_network(source)
    network, recipe, facts = read_checkpoint(source)
    return network, Card(
        name=recipe.name,
        version=facts["version"],
        channels=recipe.channels,
        side=recipe.side,
        architecture=recipe.network.as_dict(),
        recipe=recipe.as_dict(),
        scores={"val_dice_square": facts.get("val_dice"), "epoch": facts["epoch"] + 1},
        data=facts["data"],
        git_revision=facts["git_revision"],
        created=facts["started"],
        **({"licence": facts["licence"]} if "licence" in facts else {}),
    )


def _pruned(network: UNetPlusPlus | UNet, head: int) -> UNetPlusPlus:
    if not isinstance(network, UNetPlusPlus):
        raise UsageError("a plain U-Net has one head; leave --head out, or train a UNet++")
    return network.pruned(head).eval()


def _selected(
    network: UNetPlusPlus | UNet, given: tuple[str, ...], kept: tuple[str, ...]
) -> UNetPlusPlus | UNet:
    """The network with heads for the channels `kept` of those `given`, in the order of `kept`."""
    unknown = set(kept) - set(given)
    if unknown or len(set(kept)) < len(kept):
        raise UsageError(
            f"channels must be some of {', '.join(given)}, each once; got {', '.join(kept)}"
        )
    smaller = build(replace(network.architecture, channels_out=len(kept)))
    outputs = network.architecture.fold**2  # of a head for each channel, side by side
    rows = [given.index(name) * outputs + i for name in kept for i in range(outputs)]
    state = network.state_dict()
    for name in state:
        if name.startswith("head."):
            state[name] = state[name][rows]
    smaller.load_state_dict(state)
    return smaller.eval()


def write_weights(network: UNetPlusPlus | UNet, card: Card, stem: Path) -> Path:
    """Write STEM.onnx, for segmenting and further training, and its .sha256; returns the file."""
    graph = stem.with_name(f"{stem.name}.onnx")
    write_with_digest(graph, to_onnx(network, card))
    return graph


def git_revision() -> str | None:
    """The revision of the checkout this package runs from; None if it is an installed copy."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return _git("rev-parse", "--short=12", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    here = Path(__file__).parent
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=here)
    return done.stdout.strip()


def provenance() -> dict[str, str | None]:
    """The version and git revision that made the weights."""
    return {"version": __version__, "git_revision": git_revision()}


def read_metrics(table: Path) -> dict[str, list[tuple[float, float]]]:
    """Name -> [(epoch, value)] of a run's metrics.csv; empty cells are left out."""
    curves: dict[str, list[tuple[float, float]]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name != "epoch":
                    curves.setdefault(name, []).append((float(row["epoch"]), float(value)))
    return curves


def write_curves(table: Path, picture: Path) -> None:
    """Draw loss and validation Dice over the epochs as a PNG."""
    matplotlib.use("Agg")
    curves = read_metrics(table)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axis, names, title in (
        (left, ("loss", "val_loss"), "loss"),
        (right, [n for n in curves if n.startswith("val_dice")], "validation Dice"),
    ):
        for name in names:
            if points := curves.get(name):
                axis.plot(*zip(*points, strict=True), marker=".", label=name.replace("_", " "))
        axis.set_title(title)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(frameon=False)
    with atomic_write(picture) as file:
        figure.savefig(file, format="png", dpi=120)
