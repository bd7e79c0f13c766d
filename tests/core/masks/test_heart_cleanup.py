"""Trimming the heart: spikes and spills go, the rest stays where it is."""

from __future__ import annotations

import numpy as np
import pytest

from pleura.core.arrays import Mask
from pleura.core.frame import Frame, ProbabilityMaps
from pleura.core.masks.cleanup import clean
from pleura.core.masks.heart_cleanup import FEWEST, trim_heart

SIDE = 128
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
SQUARE = (1.0, 1.0)


def oval(row: float, column: float, tall: float, wide: float) -> Mask:
    return ((ROWS - row) / tall) ** 2 + ((COLUMNS - column) / wide) ** 2 <= 1


def block(rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[slice(*rows), slice(*columns)] = True
    return mask


HEART = oval(70, 64, 28, 24)  # of 2,111 px, so its size is 46 px
SPIKE = block((50, 52), (78, 110))  # 2 px thin; parts under 2 x 0.06 x 46 = 5.5 px go
SPILL = oval(98, 30, 14, 28) & (ROWS >= 88)  # from the heart's foot to the viewer's left


def trimmed(mask: Mask, pixel: tuple[float, float] = SQUARE) -> Mask:
    heart = np.where(mask, 0.9, 0.1).astype(np.float32)
    return trim_heart(heart, 0.5, pixel).heart >= 0.5


def differ(one: Mask, other: Mask) -> float:
    """Pixels that differ, over those of the second."""
    return float(np.count_nonzero(one ^ other) / np.count_nonzero(other))


def test_a_smooth_heart_keeps_its_outline() -> None:
    heart = np.where(HEART, 0.9, 0.1).astype(np.float32)
    assert trim_heart(heart, 0.5, SQUARE).share == 0
    assert differ(trimmed(HEART), HEART) < 0.01
    for side in (1, 0):  # nor is it smaller: the first and last row and column stay
        reach = [np.flatnonzero(mask.any(axis=side))[[0, -1]] for mask in (HEART, trimmed(HEART))]
        assert np.abs(reach[0] - reach[1]).max() <= 1


def test_corners_are_kept() -> None:
    """SCR's hearts are cut flat at the top, and end in corners."""
    flat = HEART & (ROWS > 52)
    assert differ(trimmed(flat), flat) < 0.015
    assert (trimmed(flat).any(axis=1) == flat.any(axis=1)).all()


@pytest.mark.parametrize("turns", range(4))
def test_a_spike_is_removed(turns: int) -> None:
    spiked, plain = (np.rot90(mask, turns) for mask in (HEART | SPIKE, HEART))
    result = trimmed(spiked)
    assert differ(result, plain) < 0.03  # a stub is left
    assert not (result & np.rot90(block((0, SIDE), (94, SIDE)), turns)).any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_part_along_the_diaphragm_is_removed(mirrored: bool) -> None:
    """It is 24 px thick: no opening that spares the heart would remove it."""
    spilled = HEART | SPILL
    assert np.count_nonzero(SPILL & ~HEART) > 0.2 * np.count_nonzero(HEART)
    result = trimmed(spilled[:, ::-1] if mirrored else spilled)
    result = result[:, ::-1] if mirrored else result
    assert not result[:, :38].any()  # the heart begins at column 40, the spill at 2
    assert differ(result, HEART) < 0.1


def test_great_vessels_are_no_diaphragm() -> None:
    """The same shape upside down: a notch in the upper half is no reason to cut."""
    upside_down = (HEART | SPILL)[::-1]
    assert differ(trimmed(upside_down), upside_down) < 0.03


def test_it_does_not_depend_on_the_film_s_aspect() -> None:
    """A film twice as high as wide, and the same heart in a square of half the rows."""
    spiked = HEART | SPIKE
    low = spiked[::2]
    assert differ(trimmed(low, (2.0, 1.0)), HEART[::2]) < 0.03


def test_a_comb_shaped_outline_becomes_smooth() -> None:
    """Teeth of one pixel, as a network makes them that computes at a lower resolution."""
    rows, columns = np.mgrid[:384, :384]
    radius = np.hypot((rows - 200) / 84, (columns - 190) / 72)
    comb = (radius <= 1) | ((radius <= 1.04) & (rows % 3 == 0))
    result = trimmed(comb)
    for axis in (0, 1):
        changes = np.abs(np.diff(result.astype(int), axis=axis)).sum(axis=axis)
        assert changes.max() == 2  # one run a row, and one a column
    assert differ(result, radius <= 1) < 0.03


def test_a_small_heart_and_a_thin_one_are_never_deleted() -> None:
    small = block((60, 64), (60, 64))
    assert np.count_nonzero(small) < FEWEST
    np.testing.assert_array_equal(trimmed(small), small)
    thin = block((60, 62), (10, 110))
    assert trimmed(thin).any()
    nothing = block((0, 0), (0, 0))
    np.testing.assert_array_equal(trimmed(nothing), nothing)


@pytest.mark.parametrize("size", [(128, 128), (700, 500), (1500, 1600)])
def test_clean_notes_what_was_cut_at_any_size(size: tuple[int, int]) -> None:
    lungs = block((20, 100), (5, 35)), block((20, 100), (95, 125))
    maps = np.where(np.stack([*lungs, HEART | SPILL]), 0.9, 0.1).astype(np.float32)
    result = clean(
        ProbabilityMaps(maps, Frame(*size, SIDE)), ("right_field", "left_field", "heart")
    )
    (note,) = (note for note in result.notes if "off the heart" in note)
    assert note.endswith("off the heart: thin parts, or a part along the diaphragm")
    assert result.heart is not None
    assert not result.heart[:, : size[1] * 38 // SIDE].any()
