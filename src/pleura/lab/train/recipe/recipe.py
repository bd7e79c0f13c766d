"""All settings of a training run.

The recipe is stored in the checkpoint and in the card of the exported weights.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pleura.core.arrays import KNOWN_CHANNELS
from pleura.core.card import lung_channels
from pleura.core.errors import UsageError
from pleura.lab.train.recipe.augment import Augment
from pleura.lab.train.recipe.stage import Stage
from pleura.net.unetplusplus import Architecture

__all__ = ["Recipe"]


SMALLEST: dict[str, float] = {
    "side": 1,
    "epochs": 1,
    "batch": 1,
    "accumulate": 1,
    "learning_rate": 1e-9,
    "weight_decay": 0,
    "gradient_clip": 0,
    "early_stop": 0,
    "films_per_epoch": 0,
    "small_side": 0,
    "seed": 0,
}
"""The smallest allowed value of a number of a recipe."""

LATER_KEYS: dict[str, Any] = {"accumulate": 1, "warm_up": 0.0, "stages": [], "loss": "bce-dice"}
"""Keys that older recipes do not have, and their usual values: they are not written then, so that
the recipe of a run keeps its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All settings that change the weights."""

    name: str
    """The name of the weights."""

    channels: tuple[str, ...] = ("field",)
    """The channels that the network predicts; see `docs/explanation/lung-definitions.md`."""

    side: int = 512
    """Side S of the network's square, px."""

    small_side: int = 0
    """Side of every second batch, px, for weights that are used at two sides; 0 is off. Validation
    uses `side`."""

    epochs: int = 10
    """Passes over the training films."""

    stages: tuple[Stage, ...] = ()
    """The first parts of the run, which have settings of their own: tables [[stages]]."""

    batch: int = 2
    """Films in a step, on all devices together."""

    accumulate: int = 1
    """Parts in which the films of a step are computed one after another, for a device whose memory
    is too small for all of them. The step is still one of `batch` films."""

    learning_rate: float = 1e-3
    """The highest learning rate of the schedule."""

    weight_decay: float = 1e-4
    """The weight decay of AdamW (Loshchilov and Hutter 2019)."""

    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"

    warm_up: float = 0.0
    """The share of a run in which the learning rate rises from 0 before the schedule `cosine` or
    `constant`; `one-cycle` has a rise of its own."""

    loss: Literal["bce-dice", "robust"] = "bce-dice"
    """Binary cross-entropy and Dice, or a loss for data in which some masks are wrong; see
    `lab.train.optimise.loss.robust`. The robust one learns more slowly from correct masks."""

    head_shares: tuple[float, ...] = ()
    """The weight of each head L1 to Ln in the loss; if empty, all weights are equal."""

    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 is off."""

    ema_decay: float = 0.0
    """Validate and save the exponential moving average of the weights, with this decay per step
    (0.99 averages about 100 steps); 0 is off."""

    balance: float = 0.0
    """How much more often films of small sources are used: a source of n films is used in
    proportion to n ** (1 - balance). 0: every film equally often; 1: every source equally often."""

    sources: dict[str, float] = field(default_factory=dict)
    """A table [sources] of a factor for each source, on how often its films are used. Use it for a
    source that is the only one with some channel. A source without a factor has 1."""

    films_per_epoch: int = 0
    """Films used in an epoch; 0 is the number of films."""

    hints: bool = True
    """Derive labels of unlabelled channels from masks by the other definition, where they are
    certain; see `lab.data.weak_labels`. Scores never use them."""

    pointed_hearts: tuple[str, ...] = ()
    """Sources whose heart masks rise to a point, where SCR's masks end in a flat line: the upper
    part of these hearts is unknown."""

    heart_in_field: tuple[str, ...] = ()
    """Sources in which some masks of the lung field include the heart: if the lungs of a film lie
    too close together, the labels between them are unknown."""

    copies: dict[str, str] = field(default_factory=dict)
    """A table [copies]: a source, and the source whose films it repeats. The same patients of both
    are used for validation."""

    early_stop: int = 0
    """Stop after this number of epochs without a better validation Dice; 0 is off."""

    validation_share: float = 0.1
    """The share of the training films, by patient, that is used for validation if a set has no
    validation split."""

    validation_seed: int = 42
    """The seed that selects this share. Keep it in a recipe that continues another one: training
    films of the first run must not select the weights of the second."""

    seed: int = 0
    """The seed of initial weights, order of films and augmentation."""

    init: str = ""
    """The initial weights: `shipped`, or an .onnx file; empty for random ones. A file may end
    with its digest (`FILE#sha256=HEX`), which is then checked."""

    freeze: Literal["none", "encoder"] = "none"
    """Weights that stay as they begin: `encoder` for column 0, X[i, 0]. For few films."""

    encoder_weights: str = "none"
    """For encoder 'vgg13_bn': none, imagenet, or the path or URL of weights in torchvision's
    format; a URL ends with its SHA-256 (`NAME-HEX.pth` or `#sha256=HEX`)."""

    network: Architecture = field(default_factory=Architecture)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        if not self.name or Path(self.name).name != self.name:
            raise UsageError(f"name must be usable as a file name, got {self.name!r}")
        self._check_channels()
        if self.network.channels_in != 1:
            raise UsageError(
                f"network.channels_in is {self.network.channels_in} but a film has one channel; "
                "leave channels_in out"
            )
        self._check_sides()
        self._check_numbers()
        if self.init and self.encoder_weights != "none":
            raise UsageError(
                "init and encoder_weights both set the first weights of the encoder; leave one out"
            )
        if self.freeze == "encoder" and not self.init and self.encoder_weights == "none":
            raise UsageError(
                "freeze = 'encoder' keeps the weights that the encoder begins with, and these are "
                "random; name weights with init or encoder_weights, or leave freeze out"
            )

    def _check_sides(self) -> None:
        sides = {"side": self.side, "small_side": self.small_side}
        sides |= {f"side of stage {n}": stage.side for n, stage in enumerate(self.stages, 1)}
        for name, side in sides.items():
            if side % self.network.stride:
                raise UsageError(
                    f"{name} must be a multiple of {self.network.stride} for this network "
                    f"({self.network.levels} poolings, fold {self.network.fold}), got {side}"
                )
            if name.startswith("side of") and side > self.side:
                raise UsageError(f"{name} must be at most side ({self.side}), got {side}")

    def _check_numbers(self) -> None:
        for name, least in SMALLEST.items():
            if not least <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be {least:g} or more, got {getattr(self, name)}")
        for name, times in self.sources.items():
            if not 0 < times < math.inf:
                raise UsageError(f"sources.{name} must be above 0, got {times}")
        for name in ("validation_share", "ema_decay", "warm_up"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise UsageError(
                f"a batch of {self.batch} films cannot be computed in {self.accumulate} equal "
                "parts; take another accumulate"
            )
        if self.warm_up and self.schedule == "one-cycle":
            raise UsageError(
                "one-cycle has a warm-up of its own; leave warm_up out, or take cosine"
            )
        self._check_heads()
        if not 0 <= self.balance <= 1:
            raise UsageError(f"balance must be in [0, 1], got {self.balance}")

    def _check_heads(self) -> None:
        shares, network = self.head_shares, self.network
        heads = network.levels if network.kind == "unet++" and network.deep_supervision else 1
        if shares and (len(shares) != heads or min(shares) < 0 or shares[-1] == 0):
            raise UsageError(
                f"head_shares must be {heads} numbers, one for each head of this network, none "
                f"negative and the last above 0, got {list(shares)}"
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

    def at(self, epoch: int) -> Stage:
        """The settings of an epoch, counted from 0: a stage that names all of them."""
        end = 0
        for stage in self.stages:
            end += stage.epochs
            if epoch < end:
                return replace(
                    stage,
                    side=stage.side or self.side,
                    learning_rate=stage.learning_rate or self.learning_rate,
                    augment=stage.augment or self.augment,
                )
        return Stage(
            epochs=max(1, self.epochs - end),
            side=self.side,
            learning_rate=self.learning_rate,
            augment=self.augment,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `parse_recipe` reads them back."""
        table = asdict(self)
        table["channels"] = list(self.channels)
        for name in ("head_shares", "pointed_hearts", "heart_in_field"):
            table[name] = list(getattr(self, name))
        table["network"] = self.network.as_dict()
        table["stages"] = [
            {key: value for key, value in stage.items() if value} for stage in table["stages"]
        ]
        for name, usual in LATER_KEYS.items():
            if table[name] == usual:
                del table[name]
        return table
