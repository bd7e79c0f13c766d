"""Maps made when they are looked at are those that were made at once, in strips or whole."""

from __future__ import annotations

import numpy as np
import pytest

from pleura.core.arrays import CHANNELS
from pleura.core.frame import BLOCK, Frame, ProbabilityMaps
from pleura.core.masks.cleanup import clean

FRAME = Frame(2 * BLOCK + 37, 300, 64)  # two whole strips and a part of one


@pytest.fixture
def maps() -> ProbabilityMaps:
    rng = np.random.default_rng(0)
    return ProbabilityMaps(rng.random((5, 64, 64), dtype=np.float32), FRAME)


def test_every_kind_of_index_gives_the_same_values(maps: ProbabilityMaps) -> None:
    whole = FRAME.restore(maps.stored)
    assert (len(maps), maps.shape, maps.dtype) == (5, whole.shape, whole.dtype)
    np.testing.assert_array_equal(np.asarray(maps), whole)
    np.testing.assert_array_equal(maps[3], whole[3])
    np.testing.assert_array_equal(maps[-1, 5:9, 7], whole[-1, 5:9, 7])
    for part in (
        (slice(200, 531), slice(7, 250)),
        (slice(None), slice(-9, None)),
        (slice(0), slice(3)),
    ):
        np.testing.assert_array_equal(maps[2, *part], whole[2, *part])
    np.testing.assert_array_equal(maps[1:3], whole[1:3])
    np.testing.assert_array_equal(maps.astype(np.float16), whole.astype(np.float16))
    np.testing.assert_array_equal(np.stack(list(maps)), whole)


@pytest.mark.parametrize("frame", [FRAME, None])
def test_mirrored_maps_are_the_maps_mirrored(maps: ProbabilityMaps, frame: Frame | None) -> None:
    upright = ProbabilityMaps(maps.stored, frame)
    whole = np.asarray(upright)[:, :, ::-1]
    mirrored = upright.mirror()
    assert (len(mirrored), mirrored.shape) == (5, whole.shape)
    np.testing.assert_array_equal(np.asarray(mirrored), whole)
    np.testing.assert_array_equal(mirrored[3], whole[3])
    np.testing.assert_array_equal(mirrored[-1, 5:9, 7], whole[-1, 5:9, 7])
    np.testing.assert_array_equal(mirrored[2, 20:50, 3:40], whole[2, 20:50, 3:40])
    np.testing.assert_array_equal(mirrored[1:3], whole[1:3])
    np.testing.assert_array_equal(mirrored.astype(np.float16), whole.astype(np.float16))
    np.testing.assert_array_equal(mirrored.above(4, 0.5), whole[4] >= 0.5)
    np.testing.assert_array_equal(np.asarray(mirrored.mirror()), np.asarray(upright))


def test_the_threshold_is_that_of_the_restored_map(maps: ProbabilityMaps) -> None:
    whole = FRAME.restore(maps.stored)
    assert 0.2 < (whole >= 0.5).mean() < 0.8
    for index in range(5):
        np.testing.assert_array_equal(maps.above(index, 0.5), whole[index] >= 0.5)


@pytest.mark.parametrize("size", [(1500, 300), (40, 51), (64, 64), (33, 999)])
def test_the_threshold_equals_that_of_the_restored_map_everywhere(size: tuple[int, int]) -> None:
    """Blobs at edges and corners, nothing at all, one pixel alone; films larger and smaller."""
    frame = Frame(*size, 64)
    squares = np.zeros((6, 64, 64), np.float32)
    squares[0, :3, 60:], squares[1, 30:50, 5:20], squares[2, 63, 0] = 0.9, 0.7, 1.0
    squares[3], squares[5, 20:40, 20:40] = 0.49995, 0.5
    for small, whole in zip(squares, frame.restore(squares), strict=True):
        np.testing.assert_array_equal(frame.above(small, 0.5), whole >= 0.5)
    assert not frame.above(squares[4], 0.5).any()


@pytest.mark.parametrize("size", [(1500, 300), (40, 51), (33, 999), (513, 640)])
def test_a_value_equal_to_the_threshold_always_gives_the_same_pixel(size: tuple[int, int]) -> None:
    """Maps of eighths: between two neighbours many restored values are exactly the threshold."""
    frame = Frame(*size, 64)
    maps = np.random.default_rng(1).integers(0, 9, (3, 64, 64)).astype(np.float32) / 8
    maps[2, 20:40, 20:40] = 0.5
    whole = frame.restore(maps)
    for channel, restored in enumerate(whole):
        np.testing.assert_array_equal(frame.above(maps[channel], 0.5), restored >= 0.5)
    part = slice(size[0] // 3, size[0] // 2), slice(size[1] // 5, size[1])
    np.testing.assert_array_equal(frame.restore_part(maps[0], *part), whole[0][part])
    inside = [slice(s * 22 // 64, s * 38 // 64) for s in size]
    assert frame.above(maps[2], 0.5)[*inside].all()  # where all are 0.5, so is their mean


def test_a_threshold_met_exactly_by_hand() -> None:
    """Two pixels to four: 0, 1/4, 3/4 and 1 of the way, as in `test_resample`."""
    small = np.array([[0.0, 1.0]] * 2, np.float32)
    frame = Frame(4, 4, 2)
    assert frame.above(small, 0.25)[0].tolist() == [False, True, True, True]
    assert frame.above(small, 0.75)[0].tolist() == [False, False, True, True]


def test_clean_up_gives_the_same_masks() -> None:
    """Lungs that overlap, so that both claim pixels, and a heart.

    The heart is smoothed in the square, or at the film's size without a square: its corners differ
    a little.
    """
    small = np.zeros((5, 64, 64), np.float32)
    small[0, 10:50, 8:34] = np.linspace(0.9, 0.5, 26)
    small[1, 10:50, 28:58] = np.linspace(0.55, 0.9, 30)
    small[4, 20:55, 25:45] = 0.8
    maps = ProbabilityMaps(small, FRAME)
    lazy, eager = (
        clean(given, CHANNELS) for given in (maps, ProbabilityMaps(FRAME.restore(small)))
    )
    assert lazy.notes == eager.notes
    assert any("above the threshold in both lungs" in note for note in lazy.notes)
    for name in ("right", "left"):
        assert getattr(eager, name).any()
        np.testing.assert_array_equal(getattr(lazy, name), getattr(eager, name))
    assert lazy.heart is not None
    assert eager.heart is not None
    assert np.count_nonzero(lazy.heart ^ eager.heart) < 0.01 * np.count_nonzero(eager.heart)


def test_maps_share_no_memory(maps: ProbabilityMaps) -> None:
    with pytest.raises(ValueError, match="share no memory"):
        np.array(maps, copy=False)


def test_maps_of_the_film_s_size_are_taken_as_they_are() -> None:
    stored = np.random.default_rng(2).random((3, 20, 31), dtype=np.float32)
    maps = ProbabilityMaps(stored)
    assert (len(maps), maps.shape) == (3, (3, 20, 31))
    np.testing.assert_array_equal(maps[1, 2:5, ::2], stored[1, 2:5, ::2])
    np.testing.assert_array_equal(np.asarray(maps), stored)
    np.testing.assert_array_equal(maps.above(2, 0.5), stored[2] >= 0.5)
    np.asarray(maps)[:] = 0  # an array of its own
    assert stored.all()
