"""The cut between joined lungs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from pleura.core.arrays import Mask
from pleura.core.masks.components import bounding_box, split_pieces, window
from pleura.core.masks.seam import find_seam, looks_joined


def test_it_crosses_the_bridge_where_it_is_thinnest() -> None:
    # Two blocks of 20 x 10, a bridge of 6 rows that narrows to 2 rows in columns 11..12.
    mask = np.ones((20, 30), np.bool_)
    mask[:7, 10:20] = mask[13:, 10:20] = False
    mask[7:9, 11:13] = mask[11:13, 11:13] = False
    seam = find_seam(mask)
    assert seam.crossed == 2
    assert set(seam.column[[8, 11]]) <= {11, 12}  # just above and just below the narrow
    assert seam.left_of(30)[:, :10].all()
    assert not seam.left_of(30)[:, 20:].any()


def test_it_is_found_on_a_coarse_grid_too() -> None:
    # 1,000 x 1,500: the grid has every sixth pixel; the bridge is 60 rows of them.
    mask = np.ones((1000, 1500), np.bool_)
    mask[:700, 500:1000] = mask[760:, 500:1000] = False
    seam = find_seam(mask)
    assert seam.crossed == 60
    assert seam.left_of(1500)[:, :500].all()
    assert not seam.left_of(1500)[:, 1000:].any()


def test_no_mask_is_too_small() -> None:
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (700, 1), (1, 700)):
        seam = find_seam(np.ones(shape, np.bool_))
        assert seam.column.shape == shape[:1]
        assert 0 <= seam.column.min() <= seam.column.max() < shape[1]


def test_real_lungs_joined_by_a_bar_are_separated(films_root: Path) -> None:
    folder = films_root / "jsrt"
    with (folder / "manifest.csv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))[::25]
    for row in rows:
        labels = np.asarray(Image.open(folder / row["mask"]))
        right, left = labels == 1, labels == 2
        assert not looks_joined(_cropped(right), labels.shape[1])
        assert not looks_joined(_cropped(left), labels.shape[1])
        joined = right | left
        joined[100:130, 60:160] = True
        box = bounding_box(joined)
        assert box is not None
        assert looks_joined(joined[window(box)], labels.shape[1])
        side = find_seam(joined[window(box)]).left_of(box.width)
        wrong = (right[window(box)] & ~side) | (left[window(box)] & side)
        assert wrong.sum() <= 0.01 * (right | left).sum()


def _cropped(mask: Mask) -> Mask:
    pieces = split_pieces(mask, share=1.0)
    return pieces.mask([pieces.large[0].label])[window(pieces.large[0].box)]
