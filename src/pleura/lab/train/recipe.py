"""A training run as data: one frozen dataclass, read from a TOML file.

An unknown key is an error that proposes the nearest known one. The recipe travels inside the
checkpoint and inside the exported weights' card.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pleura.core.arrays import KNOWN_CHANNELS
from pleura.core.card import lung_channels
from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import UsageError
from pleura.lab.train.recipe_files import find_recipe, shipped_recipes
from pleura.net.unetplusplus import Architecture

__all__ = [
    "Augment",
    "Recipe",
    "load_recipe",
    "parse_recipe",
]


LEAST: dict[str, float] = {
    "side": 1,
    "epochs": 1,
    "batch": 1,
    "learning_rate": 1e-9,
    "weight_decay": 0,
    "gradient_clip": 0,
    "early_stop": 0,
    "films_per_epoch": 0,
    "small_side": 0,
    "early_side": 0,
    "early_epochs": 0,
    "seed": 0,
}
"""The least each number of a recipe may be."""

MOST = {"rotation_deg": 180.0, "gamma": 10.0, "tone": 10.0, "blur_px": 20.0, "zoom": 0.9}
"""The most each number of an augmentation may be, where it is not 1."""

NOUNS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """How films are varied while training. Zero is off; a `_chance` is a probability."""

    shift: float = 0.0
    """Up to this share of the side, in both directions, both ways."""

    zoom: float = 0.0
    """Enlarge or shrink by up to this share; the uncovered border is black."""

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

    tone: float = 0.0
    """A tone curve drawn at random: the slope of each fifth of the grey scale is multiplied by a
    factor drawn log-uniformly from 1/(1+tone) to 1+tone, and the whole curve rises from 0 to 1
    again. Renderings of one film by different makers differ in this way."""

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

    opaque_chance: float = 0.0
    """Whiten one labelled lung, all of it or from some height down, as an effusion or a collapse
    would; the target stays."""

    line_chance: float = 0.0
    """Draw a few bright or dark curves, as lines, tubes and wires; the target stays."""

    coarse_chance: float = 0.0
    """Show the film as if it had been stored at 0.25 to 0.75 of the square's size."""

    gentle_chance: float = 0.0
    """Vary the film little: 0.3 of every extent, and no effect that has a chance. A network that is
    trained on strongly varied films alone draws ordinary films less exactly."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            most = MOST.get(setting.name, 1.0)
            if not 0 <= value <= most:
                raise UsageError(f"augment.{setting.name} must be in [0, {most:g}], got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Every choice that changes the weights."""

    name: str
    """Names the weights made from it."""

    channels: tuple[str, ...] = ("field",)
    """The channels that the network predicts; see `docs/explanation/lung-definitions.md`."""

    side: int = 512
    """Side S of the network's square, px."""

    small_side: int = 0
    """Side of every other batch, px, for weights that serve at two sides; 0 is off. Validation is
    at `side`."""

    early_side: int = 0
    """Side of the first `early_epochs` epochs, px: small squares teach most of it, in a fraction
    of the time. Every other batch is smaller by as much as `small_side` is than `side`."""

    early_epochs: int = 0
    """Epochs at `early_side`; 0 is none."""

    epochs: int = 10
    """Passes over the training films."""

    batch: int = 2
    """Films a step, on all devices together."""

    learning_rate: float = 1e-3
    """Peak of the schedule."""

    weight_decay: float = 1e-4
    """Of AdamW (Loshchilov and Hutter 2019)."""

    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"

    head_shares: tuple[float, ...] = ()
    """The weight of each head L1 to Ln in the loss; empty: the same for all."""

    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 is off."""

    ema_decay: float = 0.0
    """Validate and keep the exponential moving average of the weights, with this decay a step
    (0.99 remembers about 100 steps); 0 is off."""

    balance: float = 0.0
    """How far small sources are brought up: a source of n films is shown in proportion to
    n ** (1 - balance). 0: every film as often; 1: every source as often."""

    sources: dict[str, float] = field(default_factory=dict)
    """A table [sources], by name of source: a factor on how often `balance` shows its films.
    For a source that alone labels some channel; a source that is not named has factor 1."""

    films_per_epoch: int = 0
    """Films shown in an epoch; 0 is as many as there are."""

    hints: bool = True
    """Derive labels of unlabelled channels from masks by the other definition, where they are
    certain; see `lab.data.weak_labels`. Scores never use them."""

    pointed_hearts: tuple[str, ...] = ()
    """Sources whose hearts are drawn up to a point, where SCR's masks are cut flat: the upper part
    of these hearts is unknown."""

    heart_in_field: tuple[str, ...] = ()
    """Sources in which some masks of the lung field include the heart: where a film's lungs lie
    too near to each other, the labels between them are unknown."""

    copies: dict[str, str] = field(default_factory=dict)
    """A table [copies]: a source, and the source whose films it shows again. Both keep the same
    patients for validation."""

    early_stop: int = 0
    """Stop after this many epochs without a better validation Dice; 0 is off."""

    validation_share: float = 0.1
    """The share of the training films, by patient, that is validated on if a set has no validation
    split."""

    validation_seed: int = 42
    """Draws that share. It stays the same along a chain of recipes: films that one run was
    trained on must not choose the weights of the next."""

    seed: int = 0
    """Seeds weights, order and augmentation."""

    init: str = ""
    """Start from `shipped` weights or from a .safetensors file; empty: from scratch. A file may
    end with its digest (`FILE#sha256=HEX`), which is then checked."""

    encoder_weights: str = "none"
    """For encoder 'vgg13_bn': none, imagenet, or the path or URL of weights in torchvision's
    format; a URL ends with its SHA-256 (`NAME-HEX.pth` or `#sha256=HEX`)."""

    network: Architecture = field(default_factory=Architecture)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        if not self.name or Path(self.name).name != self.name:
            raise UsageError(f"name must be good for a file's name, got {self.name!r}")
        self._check_channels()
        if self.network.channels_in != 1:
            raise UsageError(
                f"network.channels_in is {self.network.channels_in} but a film has one channel; "
                "leave channels_in out"
            )
        for name in ("side", "small_side", "early_side"):
            if getattr(self, name) % self.network.stride:
                raise UsageError(
                    f"{name} must be a multiple of {self.network.stride} for this network "
                    f"({self.network.levels} poolings, fold {self.network.fold}), "
                    f"got {getattr(self, name)}"
                )
        self._check_numbers()
        if self.early_epochs and not 0 < self.early_side <= self.side:
            raise UsageError(
                f"early_epochs needs an early_side of at most side ({self.side}), "
                f"got {self.early_side}"
            )
        if self.init and self.encoder_weights != "none":
            raise UsageError(
                "init and encoder_weights both give the start of the encoder; leave one out"
            )

    def _check_numbers(self) -> None:
        for name, least in LEAST.items():
            if not least <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be {least:g} or more, got {getattr(self, name)}")
        for name, times in self.sources.items():
            if not 0 < times < math.inf:
                raise UsageError(f"sources.{name} must be above 0, got {times}")
        for name in ("validation_share", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        self._check_heads()
        if not 0 <= self.balance <= 1:
            raise UsageError(f"balance must be in [0, 1], got {self.balance}")

    def _check_heads(self) -> None:
        shares, network = self.head_shares, self.network
        heads = network.levels if network.kind == "unet++" and network.deep_supervision else 1
        if shares and (len(shares) != heads or min(shares) < 0 or shares[-1] == 0):
            raise UsageError(
                f"head_shares must be {heads} numbers, one for each head of this network, none "
                f"below 0 and the last above, got {list(shares)}"
            )

    def _check_channels(self) -> None:
        unknown = set(self.channels) - set(KNOWN_CHANNELS)
        if unknown or len(set(self.channels)) < len(self.channels):
            raise UsageError(
                f"channels must be some of {', '.join(KNOWN_CHANNELS)}, each once; "
                f"got {list(self.channels)}"
            )
        if not (lung_channels(self.channels, "field") or lung_channels(self.channels, "whole")):
            raise UsageError(
                "channels must hold the lungs: field, whole, right_field with left_field, or "
                f"right_whole with left_whole; got {list(self.channels)}"
            )
        if self.network.channels_out != len(self.channels):
            raise UsageError(
                f"network.channels_out is {self.network.channels_out} but there are "
                f"{len(self.channels)} channels; leave channels_out out"
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `parse_recipe` reads them back."""
        table = asdict(self)
        table["channels"] = list(self.channels)
        for name in ("head_shares", "pointed_hearts", "heart_in_field"):
            table[name] = list(getattr(self, name))
        table["network"] = self.network.as_dict()
        return table


def load_recipe(path: Path) -> Recipe:
    """Read a TOML file whose keys are the fields of `Recipe`, or the shipped one of that name."""
    path = find_recipe(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: no such recipe ({error.strerror}); give a TOML file, or the name of one that "
            f"ships: {', '.join(shipped_recipes())}"
        ) from error
    except ValueError as error:  # not TOML, or not even text
        raise UsageError(f"{path}: not a TOML file: {error}") from error
    return parse_recipe({"name": path.stem, **table}, where=str(path))


def parse_recipe(table: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
    """A recipe from plain values, as in a TOML file or a card."""
    values = dict(table)
    tables = {name: values.pop(name, {}) for name in ("network", "augment")}
    for name, content in tables.items():
        if not isinstance(content, Mapping):
            raise UsageError(f"{where}: {name} must be a table [{name}], got {content!r}")
    chosen = _checked(Recipe, values, where)
    if "name" not in chosen:
        raise UsageError(f"{where}: name is missing; it names the weights")
    network = {"channels_out": len(chosen.get("channels", ("field",))) or 1, **tables["network"]}
    return Recipe(
        **chosen,
        network=Architecture(**_checked(Architecture, network, f"{where} [network]")),
        augment=Augment(**_checked(Augment, tables["augment"], f"{where} [augment]")),
    )


def _checked(kind: type, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a table, every key known and every value of its field's type."""
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise UsageError(f"{where}: unknown key {key!r}; {_remedy(key, list(hints))}")
    return {key: _typed(value, hints[key], f"{where}: {key}") for key, value in table.items()}


def _remedy(key: str, known: list[str]) -> str:
    for kind, place in (
        (Recipe, "above all tables"),
        (Architecture, "in [network]"),
        (Augment, "in [augment]"),
    ):
        if key in (setting.name for setting in fields(kind)):
            return f"it belongs {place}"
    return did_you_mean(key, known)


def _typed(value: Any, hint: Any, where: str) -> Any:
    """The value, if it is of the type; a list becomes a tuple, a whole number a float."""
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            known = ", ".join(map(repr, get_args(hint)))
            raise UsageError(f"{where} must be one of {known}; got {value!r}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{where} must be a list, got {value!r}")
        return tuple(_typed(item, get_args(hint)[0], f"each of {where}") for item in value)
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} must be a table, got {value!r}")
        inner = get_args(hint)[1]
        return {key: _typed(item, inner, f"{where}.{key}") for key, item in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:  # bool is an int to Python, but not to a recipe
        raise UsageError(f"{where} must be {NOUNS[hint]}, got {value!r}")
    return value
