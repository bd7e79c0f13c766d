"""Array types with their shape, dtype and range; names of channels, definitions, verdicts."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CHANNELS",
    "KNOWN_CHANNELS",
    "Definition",
    "Mask",
    "Pixels",
    "Probabilities",
    "Square",
    "Verdict",
    "mirrored_channel",
]

Pixels: TypeAlias = NDArray[np.float32]
"""(H, W) float32, brighter = denser; any finite range."""

Square: TypeAlias = NDArray[np.float32]
"""(1, S, S) float32: the input of the network; S is `Frame.side`."""

Probabilities: TypeAlias = NDArray[np.float32]
"""(C, H, W) float32 in [0, 1], one map a channel, in the order of the card's `channels`."""

Mask: TypeAlias = NDArray[np.bool_]
"""(H, W) bool at the film's native size."""

CHANNELS = ("right_field", "left_field", "right_whole", "left_whole", "heart")
"""The channels of the default network, in this order."""

KNOWN_CHANNELS = (*CHANNELS, "field", "whole")
"""Every channel a network may have; `field` and `whole` hold both lungs in one map."""


def mirrored_channel(channel: str) -> str:
    """The channel that holds the same structure in the mirror image of a film."""
    side, _, definition = channel.partition("_")
    other = {"right": "left", "left": "right"}.get(side)
    return channel if other is None else f"{other}_{definition}"


Definition: TypeAlias = Literal["field", "whole"]
"""`field`: heart and mediastinum left out. `whole`: the lung behind the heart included."""

Verdict: TypeAlias = Literal["ok", "review", "refused"]
"""Of a result: take it, look at it first, or do not use it."""
