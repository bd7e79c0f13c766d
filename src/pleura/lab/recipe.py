"""A training run as data: one frozen dataclass, read from a TOML file.

An unknown key is an error that proposes the nearest known one. The recipe travels inside the
checkpoint and inside the exported weights' card.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from pleura.core.errors import UsageError
from pleura.core.types import KNOWN_CHANNELS
from pleura.net.unetplusplus import Architecture

__all__ = ["Augment", "Recipe", "load_recipe", "parse_recipe"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """How films are varied while training. Zero is off; a `_chance` is a probability."""

    shift: float = 0.0
    """Up to this share of the side, in both directions, both ways."""

    zoom: float = 0.0
    """Enlarge or shrink by up to this share; what is uncovered is black."""

    padding: float = 0.0
    """A black border of up to this share of the side, drawn for each of the four sides."""

    rotation_deg: float = 0.0
    """Turn by up to this angle either way, degrees."""

    aspect: float = 0.0
    """Stretch one side against the other by up to this share."""

    flip_chance: float = 0.0
    """Mirror the film; right and left lung change places in the target, and the heart moves."""

    gamma: float = 0.0
    """Exponent drawn log-uniformly from 1/(1+gamma) to 1+gamma."""

    contrast: float = 0.0
    """Contrast and brightness changed by up to this share."""

    noise: float = 0.0
    """Standard deviation of white noise, up to this share of the grey range."""

    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, up to this many pixels of the square."""

    invert_chance: float = 0.0
    """Show the film as a negative."""

    occlusion_chance: float = 0.0
    """Paint a soft bright patch, as an opaque lung or a device would be; the target stays."""

    text_chance: float = 0.0
    """Stamp letters and digits, as burnt-in markers."""

    jpeg_chance: float = 0.0
    """Compress and decompress at a low JPEG quality."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            top = {"rotation_deg": 180.0, "gamma": 10.0, "blur_px": 20.0}.get(each.name, 1.0)
            if not 0 <= value <= top:
                raise UsageError(f"augment.{each.name} must be in [0, {top:g}], got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Every choice that changes the weights."""

    name: str
    """Names the weights made from it."""

    channels: tuple[str, ...] = ("field",)
    """What the network predicts; see `docs/explanation/lung-definitions.md`."""

    side: int = 512
    """Side S of the network's square, px."""

    epochs: int = 10
    """Passes over the training films."""

    batch: int = 2
    """Films a step, on each device."""

    learning_rate: float = 1e-3
    """Peak of the schedule."""

    weight_decay: float = 1e-4
    """Of AdamW (Loshchilov and Hutter 2019)."""

    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"

    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 is off."""

    early_stop: int = 0
    """Stop after this many epochs without a better validation Dice; 0 is off."""

    validation_share: float = 0.1
    """Carved from the training films, by patient, where a set brings no validation split."""

    seed: int = 0
    """Seeds weights, order and augmentation."""

    init: str = ""
    """Start from `shipped` weights or from a .safetensors file; empty: from scratch."""

    encoder_weights: str = "none"
    """For encoder 'vgg13_bn': none, imagenet, or the path or URL of weights in torchvision's
    format."""

    network: Architecture = field(default_factory=Architecture)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        unknown = set(self.channels) - set(KNOWN_CHANNELS)
        if unknown or not self.channels:
            raise UsageError(
                f"channels must be some of {', '.join(KNOWN_CHANNELS)}; got {list(self.channels)}"
            )
        if self.network.channels_out != len(self.channels):
            raise UsageError(
                f"network.channels_out is {self.network.channels_out} but there are "
                f"{len(self.channels)} channels; leave channels_out out"
            )
        if self.side % self.network.stride:
            raise UsageError(
                f"side must be a multiple of {self.network.stride} "
                f"({self.network.levels} poolings), got {self.side}"
            )
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, got {getattr(self, name)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `parse_recipe` reads them back."""
        table = asdict(self)
        table["channels"] = list(self.channels)
        table["network"] = self.network.as_dict()
        return table


def load_recipe(path: Path) -> Recipe:
    """Read a TOML file whose keys are the fields of `Recipe`."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such recipe; see the folder recipes/") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from error
    return parse_recipe({"name": path.stem, **table}, where=str(path))


def parse_recipe(table: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
    """A recipe from plain values, as in a TOML file or a card."""
    values = dict(table)
    channels = tuple(values.get("channels", ("field",)))
    network = {"channels_out": len(channels), **values.get("network", {})}
    values["channels"] = channels
    values["network"] = _fill(Architecture, network, f"{where} [network]")
    values["augment"] = _fill(Augment, values.get("augment", {}), f"{where} [augment]")
    return _fill(Recipe, values, where)


def _fill(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"{where}: unknown key {key!r}; {hint}")
    return kind(**table)
