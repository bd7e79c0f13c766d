"""What every engine holds its weights and its answers to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import WeightsError

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "check_batch", "check_maps", "check_shapes", "read_card"]

INPUT_NAME, OUTPUT_NAME = "image", "probabilities"
"""Names inside the ONNX graph: (N, 1, S, S) in, (N, C, S, S) out, the sigmoid included."""

Shape = list[int | str | None]
"""Of an input or output behind its batch axis; what is no number is left open by the graph."""


def read_card(told: str | None) -> Card:
    """The card in a graph's metadata.

    Raises:
        WeightsError: there is none, or it is none.
    """
    if told is None:
        raise WeightsError(
            f"this ONNX graph has no card (metadata key '{CARD_KEY}'), so nothing says what its "
            "channels are; export the weights again with `pleura export`"
        )
    return Card.from_json(told)


def check_shapes(given: dict[str, Shape], card: Card) -> None:
    """The graph takes `image` and gives `probabilities`, shaped as the card says.

    Raises:
        WeightsError: other names, or other shapes.
    """
    wanted = {
        INPUT_NAME: [1, card.side, card.side],
        OUTPUT_NAME: [len(card.channels), card.side, card.side],
    }
    if given.keys() != wanted.keys() or not all(_agree(given[k], wanted[k]) for k in wanted):
        raise WeightsError(
            f"the graph does not match its card: expected {wanted} after the batch axis, "
            f"got {given}; export the weights again with `pleura export`"
        )


def check_batch(batch: NDArray[np.float32], card: Card) -> None:
    """Raise `ValueError` unless `batch` is (N, 1, S, S) float32."""
    square = (1, card.side, card.side)
    if batch.ndim != 4 or batch.shape[1:] != square or batch.dtype != np.float32:
        raise ValueError(
            f"a batch must be (N, {', '.join(map(str, square))}) float32, "
            f"got {batch.shape} {batch.dtype}"
        )


def check_maps(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network's answer, if it is one.

    Raises:
        WeightsError: something in it is no probability.
    """
    if not (maps.min(initial=0) >= 0 and maps.max(initial=0) <= 1):  # also false for nan
        raise WeightsError(
            "the network gave values outside [0, 1]; its weights are damaged or were "
            "exported without their sigmoid: export or install them again"
        )
    return maps


def _agree(given: Shape, wanted: list[int]) -> bool:
    """Equal where the graph fixes a size; an axis left open agrees with any."""
    return len(given) == len(wanted) and all(
        not isinstance(a, int) or a == b for a, b in zip(given, wanted, strict=True)
    )
