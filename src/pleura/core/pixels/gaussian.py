"""The Gaussian filter of maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian"]

# scipy.ndimage is not used, because scipy takes 143 MB, and nothing else in the base install needs
# it.


def gaussian(
    values: NDArray[np.float32],
    deviations: Sequence[float],
    reaches: Sequence[int],
    *,
    mode: Literal["edge", "wrap"] = "edge",
) -> NDArray[np.float32]:
    """(H, W) float32 -> a new array, filtered along each axis whose reach is not 0.

    `deviations` are the standard deviations, px, and `reaches` the half widths of the kernel, px:
    values farther away have the weight 0. Beyond the edge the last value continues (`edge`), or the
    values of the other side follow (`wrap`).
    """
    for axis, (deviation, reach) in enumerate(zip(deviations, reaches, strict=True)):
        if not reach:
            continue
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-3)) ** 2)
        weights /= weights.sum()
        edges = [(reach, reach) if other == axis else (0, 0) for other in range(values.ndim)]
        padded = np.pad(values, edges, mode=mode)
        values = np.zeros_like(values)
        for at, weight in enumerate(weights.astype(np.float32)):
            part = slice(at, at + values.shape[axis])
            values += weight * (padded[part] if axis == 0 else padded[:, part])
    return values
