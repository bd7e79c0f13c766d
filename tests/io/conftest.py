"""A small film, and a result of it that is made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.measure import measure
from pleura.core.types import LungMasks, Provenance, Quality, Radiograph, Segmentation, Spacing


@pytest.fixture
def film() -> np.ndarray:
    """(64, 48) uint8, every row different from the next, and left from right."""
    rows, columns = np.mgrid[0:64, 0:48]
    return (rows * 3 + columns).astype(np.uint8)  # 0 .. 189 + 47 = 236


@pytest.fixture
def segmentation(film: np.ndarray) -> Segmentation:
    """Right lung 20 x 10 px at the viewer's left, left lung 24 x 8, the heart between them."""
    masks = {name: np.zeros(film.shape, bool) for name in ("right", "left", "heart")}
    masks["right"][10:30, 5:15] = True
    masks["left"][12:36, 30:38] = True
    masks["heart"][25:40, 14:32] = True  # 5 columns of it under the lungs
    spacing = Spacing(0.5, 0.25, "user")
    channels = ("right_field", "left_field", "heart")
    return Segmentation(
        radiograph=Radiograph(film.astype(np.float32), spacing, "PA", ("a note",)),
        lungs=LungMasks(**masks, notes=("another",)),
        probabilities=ProbabilityMaps(np.stack(list(masks.values())).astype(np.float32)),
        channels=channels,
        measurements=measure(**masks, spacing=spacing),
        provenance=Provenance("0", "by hand", "0" * 64, "none", "field"),
        quality=Quality("ok", 0.97, uncertainty=0.0312),
    )
