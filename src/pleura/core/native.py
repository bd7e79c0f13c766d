"""The network's maps at the film's size, made when they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pleura.core.frame import Frame
from pleura.core.types import Mask, Probabilities

__all__ = ["NativeMaps", "above"]


@dataclass(frozen=True, slots=True, eq=False)
class NativeMaps:
    """(C, H, W) float32 probabilities that take the room of (C, S, S) until one is asked for.

    A film of 20 megapixels has 80 MB of them a channel. `maps[0]` is the first channel, (H, W);
    numpy's functions get all of them. Each time they are made anew: keep what you need twice.
    """

    frame: Frame
    small: Probabilities
    """(C, S, S), as the network gave them."""

    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return len(self.small), self.frame.height, self.frame.width

    def __len__(self) -> int:
        return len(self.small)

    def __getitem__(self, index: Any) -> Probabilities:
        channel, *inside = index if isinstance(index, tuple) else (index,)
        if isinstance(channel, int | np.integer):
            if len(inside) == 2 and all(isinstance(each, slice) for each in inside):
                return self.frame.restore_part(self.small[channel], *inside)
            restored: Probabilities = self.frame.restore(self.small[channel][None])[0]
            part: Probabilities = restored[tuple(inside)]
            return part
        chosen: Probabilities = np.asarray(self)[index]
        return chosen

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.float32]:
        """All channels at the film's size."""
        if copy is False:
            raise ValueError("these maps are made when asked for, so there is nothing to share")
        return self.frame.restore(self.small).astype(dtype or np.float32, copy=False)

    def astype(self, dtype: DTypeLike) -> NDArray[Any]:
        """All channels as another type, one after the other: never all of them in float32."""
        made = np.empty(self.shape, dtype)
        for index, channel in enumerate(made):
            channel[:] = self[index]
        return made

    def above(self, index: int, threshold: float) -> Mask:
        """(H, W) bool: where a channel is at least `threshold`."""
        return self.frame.above(self.small[index], threshold)


def above(maps: Probabilities | NativeMaps, index: int, threshold: float) -> Mask:
    """`maps[index] >= threshold`, (H, W) bool, without a float map where there is none yet."""
    if isinstance(maps, NativeMaps):
        return maps.above(index, threshold)
    found: Mask = maps[index] >= threshold
    return found
