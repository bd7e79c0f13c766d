"""The command `pleura info`: versions, weights and devices of this installation."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pleura._version import __version__
from pleura.apps.cli.engines import ENGINES, open_engine
from pleura.apps.cli.extras import extras, installed_version
from pleura.apps.cli.options import AsJson
from pleura.core.errors import PleuraError

if TYPE_CHECKING:
    from pleura.runtime.engine import Engine

__all__ = ["info", "installation_details"]


def info(
    weights: Annotated[
        Path | None,
        typer.Option(help="An .onnx file whose card is shown, in place of the shipped one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the versions, weights and devices of this installation.

    pleura info
    pleura info --weights runs/mine/weights/finetuned.onnx
    pleura info --json | jq .weights.card.scores
    """
    installation = installation_details() if weights is None else installation_details(weights)
    if as_json:
        typer.echo(json.dumps(installation, indent=1))
        return
    for line in _lines(installation):
        typer.echo(line)


def installation_details(*weights: Path) -> dict[str, Any]:
    """The details of the installation for a report of a defect, as plain values.

    `weights` is at most one file, whose card is described in place of the shipped one.

    Raises `WeightsError` if the file holds no weights.
    """
    from pleura.runtime.threads import int8_pays, usable_cpus

    return {
        "pleura": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": {"machine": os.cpu_count(), "usable": usable_cpus()},
        "packages": {name: installed_version(name) for name in BASE_PACKAGES},
        "engines": {name: installed_version(name) for name in ENGINES[1:]},
        "devices": _devices(),
        "precision": {"int8_pays": int8_pays(), "cpu": _features()},
        "weights": _described(open_engine(*weights)) if weights else _shipped(),
        "extras": {
            extra: {name: installed_version(name) for name in names}
            for extra, names in extras().items()
        },
    }


BASE_PACKAGES = ("numpy", "pillow", "pydicom", "nibabel")


def _shipped() -> dict[str, Any]:
    """The card and the digest of the shipped weights, or the error of opening them."""
    try:
        return _described(open_engine())
    except (PleuraError, ModuleNotFoundError) as error:
        return {"error": str(error)}


def _described(engine: Engine) -> dict[str, Any]:
    """The card and the digest of the weights of an engine."""
    return {"sha256": engine.weights_sha256, "engine": engine.name, "card": asdict(engine.card)}


def _features() -> list[str]:
    """The instruction sets of this CPU that are relevant for the precision."""
    from pleura.runtime.threads import INT8_FEATURES, cpu_features

    return sorted(INT8_FEATURES & cpu_features())


def _devices() -> dict[str, str | None]:
    """The devices for segmentation and training; None if training is not installed."""
    return {"segment": "cpu", "train": _training_device()}


def _training_device() -> str | None:
    if installed_version("torch") is None:
        return None
    try:
        from pleura.net.devices import best_device
    except ImportError as error:
        return f"nothing: torch does not load: {error}"
    return best_device()


def _lines(details: dict[str, Any]) -> list[str]:
    cpus, devices = details["cpus"], details["devices"]
    lines = [
        f"pleura    {details['pleura']}",
        f"python    {details['python']}",
        f"platform  {details['platform']}",
        f"cpus      {cpus['usable']} usable of {cpus['machine']}",
        f"engines   {_named(details['engines'])}",
        f"packages  {_named(details['packages'])}",
        f"devices   segment on {devices['segment']}, train on {devices['train'] or 'nothing'}",
    ]
    for extra, packages in details["extras"].items():
        lines.append(f"extra     {extra}: {_named(packages)}")
    return lines + _weights_lines(details["weights"])


def _weights_lines(weights: dict[str, Any]) -> list[str]:
    if "error" in weights:
        return [f"weights   {weights['error']}"]
    card = weights["card"]
    scores = ", ".join(
        f"{name} {value}" for name, value in card["scores"].items() if not isinstance(value, dict)
    )
    trained = [
        f"          trained on {films['train']} films, selected on {films['val']}"
        for films in [card["data"].get("films")]
        if films
    ]
    return [
        f"computes  with {weights['engine']}",
        f"weights   {card['name']}, side {card['side']} px, channels {', '.join(card['channels'])}",
        f"          sha256 {weights['sha256']}",
        f"          scores {scores or 'none on the card'}",
        f"          made with pleura {card['version']}, {card['created'] or 'date unknown'}",
        *trained,
        f"          licence {card['licence']}",
    ]


def _named(packages: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items())
