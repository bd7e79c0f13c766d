"""Drawn probability maps, their verdicts, and cards with reference values."""

from __future__ import annotations

from typing import Any

import numpy as np

from pleura.core.card import Card
from pleura.core.frame import ProbabilityMaps
from pleura.core.quality.film import measure_film
from pleura.core.quality.verdict import judge_masks
from pleura.core.reference import feature_names
from pleura.core.types import LungMasks, Quality

SIDE = 64

CHANNELS = ("right_field", "left_field")

KNOWN = len(feature_names(["field"], heart=False))


def card(usual: Any = None, **reference: Any) -> Card:
    on_card = {"field": reference} | ({} if usual is None else {"film": {"usual": usual}})
    return Card(name="by hand", version="0", channels=CHANNELS, side=SIDE, norms=on_card)


def usual(**changed: Any) -> dict[str, Any]:
    """Around the synthetic film's own numbers, with a spread of 0.1 in each."""
    numbers = measure_film(drawn()[0], CHANNELS).numbers
    assert numbers is not None
    limits = {"unusual": 3.0, "strange": 9.0, "unsure": 0.5}
    made = {"mean": numbers.tolist(), "precision": (np.eye(KNOWN) * 100).tolist()}
    return {**made, **limits, **changed}


def boxes(right: slice, left: slice, *, rows: slice = slice(16, 48)) -> np.ndarray:
    masks = np.zeros((2, SIDE, SIDE), bool)
    masks[0, rows, right] = masks[1, rows, left] = True
    return masks


def drawn(
    right: slice = slice(8, 24), left: slice = slice(40, 56), *, sure: float = 0.9, **rows: slice
) -> tuple[ProbabilityMaps, LungMasks]:
    masks = boxes(right, left, **rows)
    return ProbabilityMaps((masks * sure).astype(np.float32)), LungMasks(masks[0], masks[1])


def codes(quality: Quality) -> list[str]:
    return [doubt.code for doubt in quality.doubts]


def verdict(*drawing: slice, sure: float = 0.9, reference: Any = None, **rows: slice) -> Quality:
    maps, lungs = drawn(*drawing, sure=sure, **rows)
    return judge_masks(maps, lungs, card(**(reference or {})), definition="field")


ALL = ("right_field", "left_field", "right_whole", "left_whole", "heart")


def chest(*, whole_sure: float = 0.9, heart: slice = slice(26, 38)) -> ProbabilityMaps:
    """Maps of all five channels: `whole` reaches 4 columns nearer the middle."""
    maps = np.zeros((5, SIDE, SIDE), np.float32)
    maps[:2] = boxes(slice(8, 24), slice(40, 56)) * 0.9
    maps[2:4] = boxes(slice(8, 28), slice(36, 56)) * whole_sure
    maps[4, 30:44, heart] = 0.8
    return ProbabilityMaps(maps)
