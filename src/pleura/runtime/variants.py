"""Test-time augmentation: the mean of the maps of a few variants of a film."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import mirrored_channel
from pleura.core.pixels.resample import resample
from pleura.runtime.engine import Engine

__all__ = ["VARIANTS", "Variant", "predict_variants"]

Batch = NDArray[np.float32]
"""(N, C, S, S) float32 in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A square that is mirrored, shifted or made smaller; its maps are put back in place."""

    mirrored: bool = False
    shift: float = 0.0
    """Down and to the right, as a share of the side. What leaves the square is lost."""

    scale: float = 1.0
    """The size of the film in the square, at most 1; the border is black."""

    def apply(self, squares: Batch) -> Batch:
        """The variant of squares (N, 1, S, S)."""
        changed = squares[..., ::-1] if self.mirrored else squares
        side = changed.shape[-1]
        if self.scale < 1:
            inner = _inner(side, self.scale)
            size = inner.stop - inner.start
            small = _map_by_map(changed, lambda square: resample(square, (size, size)))
            changed = np.zeros_like(changed)
            changed[..., inner, inner] = small
        if self.shift:
            by = round(self.shift * side)
            changed, moved = np.zeros_like(changed), changed
            changed[..., by:, by:] = moved[..., :-by, :-by]
        return np.ascontiguousarray(changed)

    def undo(self, maps: Batch, channels: Sequence[str]) -> tuple[Batch, NDArray[np.bool_]]:
        """(the maps (N, C, S, S) of the square itself, (S, S) the pixels that have a value)."""
        side = maps.shape[-1]
        known = np.ones((side, side), bool)
        if self.shift:
            by = round(self.shift * side)
            maps, moved = np.zeros_like(maps), maps
            maps[..., :-by, :-by] = moved[..., by:, by:]
            known[-by:] = known[:, -by:] = False
        if self.scale < 1:
            inner = _inner(side, self.scale)
            maps = _map_by_map(maps[..., inner, inner], lambda map_: resample(map_, (side, side)))
        if self.mirrored:
            order = [list(channels).index(mirrored_channel(name)) for name in channels]
            maps, known = maps[:, order, :, ::-1], known[:, ::-1]
        return maps, known


VARIANTS = (
    Variant(),
    Variant(mirrored=True),
    Variant(shift=0.03),
    Variant(mirrored=True, scale=0.94),
)
"""The variants whose maps are averaged; the network is computed once for each."""


def predict_variants(engine: Engine, squares: Batch) -> Batch:
    """(N, 1, S, S) -> (N, C, S, S): the mean of the engine's maps of all `VARIANTS`.

    A pixel that a variant has lost is averaged over the others. In a mirrored film the right lung
    becomes the left one; its maps are exchanged.
    """
    channels, count = engine.card.channels, np.zeros(squares.shape[-2:], np.float32)
    total = np.zeros((len(squares), len(channels), *count.shape), np.float32)
    for variant in VARIANTS:
        maps, known = variant.undo(engine.predict(variant.apply(squares)), channels)
        total += maps * known
        count += known
    return total / count


def _inner(side: int, scale: float) -> slice:
    """The rows and columns of a film of that size in the middle of the square."""
    size = round(scale * side)
    first = (side - size) // 2
    return slice(first, first + size)


def _map_by_map(
    batch: Batch, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Batch:
    """The batch with each map (H, W) changed."""
    flat = batch.reshape(-1, *batch.shape[-2:])
    changed = np.stack([change(np.ascontiguousarray(map_)) for map_ in flat])
    return changed.reshape(*batch.shape[:2], *changed.shape[-2:])
