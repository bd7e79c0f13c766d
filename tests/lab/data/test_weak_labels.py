"""What one definition of a lung says of the other: certain pixels only, and never a wrong one."""

from __future__ import annotations

import numpy as np

from pleura.lab.data.weak_labels import (
    BORDER_SHARE,
    FAR_SHARE,
    fill_certain_labels,
    mark_heart_in_field_unknown,
    mark_heart_tops_unknown,
)

SIDE = 200
CHANNELS = ("right_field", "left_field", "right_whole", "left_whole", "heart")
FAR_PX, NEAR_PX = FAR_SHARE * SIDE, BORDER_SHARE * SIDE


def labelled(definition: str) -> np.ndarray:
    """(5, SIDE, SIDE): two boxes labelled by one definition, all else unknown."""
    state = np.full((5, SIDE, SIDE), 2, np.uint8)
    first = CHANNELS.index(f"right_{definition}")
    state[first : first + 2] = 0
    state[first, 60:140, 40:80] = 1
    state[first + 1, 60:140, 120:160] = 1
    return state


def test_outside_the_whole_lung_there_is_no_field() -> None:
    out = fill_certain_labels(labelled("whole"), CHANNELS)
    right = out[0]
    assert right[100, 72] == 2  # inside the whole lung: the heart may be in front of it
    assert right[100, 100] == 0  # between the lungs
    assert right[100, 140] == 0  # inside the other lung
    assert right[100, 80 + int(NEAR_PX) - 1] == 2  # at the edge people differ
    assert right[100, 80 + int(NEAR_PX) + 1] == 0


def test_towards_the_ribs_a_whole_lung_is_field() -> None:
    """The boxes are 80 rows by 40 columns; the ribs are at column 40 and at column 159."""
    out = fill_certain_labels(labelled("whole"), CHANNELS)
    right, left = out[0], out[1]
    assert right[100, 40 + 23] == 1  # 0.6 of 39 columns, half way down
    assert right[100, 40 + 24] == 2
    assert right[115, 40 + 16] == 1  # 0.4 of them, at 0.69 of the height
    assert right[115, 40 + 17] == 2
    assert left[75, 159 - 16] == 1  # 0.4, at 0.19
    assert left[75, 159 - 17] == 2
    assert left[100, 159 - 8] == 1  # 0.2, half way down
    assert left[100, 159 - 9] == 2
    for field in (right, left):
        assert not (field[60:68] == 1).any()  # the top tenth
        assert not (field[124:140] == 1).any()  # the lowest fifth
    assert right[100, 40] == 2  # at the edge people differ
    opposite = fill_certain_labels(labelled("field"), CHANNELS)
    assert (opposite[0] == 1).sum() == 80 * 40  # labels that are there stay


def hearted(gap: int) -> np.ndarray:
    """Two fields of 80 rows, `gap` columns apart in a chest of 120, and a heart from row 60 on."""
    state = np.full((5, SIDE, SIDE), 2, np.uint8)
    state[[0, 1, 4]] = 0
    begin = 100 - gap // 2
    state[0, 60:140, 40:begin] = 1
    state[1, 60:140, begin + gap : 160] = 1
    state[4, 60:140, begin : begin + gap] = 1
    return state


def test_the_upper_part_of_a_pointed_heart_is_unknown() -> None:
    """79 rows of height: none down to 0.33 (row 86), unknown to 0.6 (row 107)."""
    drawn = hearted(40)
    out = mark_heart_tops_unknown(drawn, CHANNELS)
    heart = out[4]
    assert not heart[:86].any()
    assert (heart[86:107, 80:120] == 2).all()
    assert not heart[86:107, 40:80].any()  # a lung is no heart
    assert (heart[107:] == drawn[4, 107:]).all()
    assert (out[:4] == drawn[:4]).all()


def test_a_heart_that_is_not_labelled_stays_unknown() -> None:
    assert (mark_heart_tops_unknown(labelled("field"), CHANNELS) == labelled("field")).all()


def test_lungs_too_near_to_each_other_leave_the_heart_unknown() -> None:
    """119 columns between the outer borders: a gap of 34 is 0.294 of them, one of 36 is 0.311."""
    assert (mark_heart_in_field_unknown(hearted(36), CHANNELS) == hearted(36)).all()
    near = hearted(34)
    out = mark_heart_in_field_unknown(near, CHANNELS)
    columns = slice(80, 135)  # a third of 119 from column 40, and 0.8 of it
    for index, channel in enumerate(CHANNELS):
        if channel.endswith("whole"):
            assert (out[index] == near[index]).all()
        else:
            assert (out[index, 86:, columns] == 2).all()
            assert (out[index, :86] == near[index, :86]).all()
            assert (out[index, 86:, 135:] == near[index, 86:, 135:]).all()
            assert (out[index, 86:, :79] == near[index, 86:, :79]).all()


def test_inside_the_field_there_is_whole_lung_and_near_it_the_label_is_unknown() -> None:
    out = fill_certain_labels(labelled("field"), CHANNELS)
    right = out[2]
    assert right[100, 60] == 1
    assert right[100, 100] == 2  # behind the heart
    assert right[100, 140] == 0  # the other lung
    assert right[100, 40 + int(NEAR_PX) - 1] == 2
    assert right[100, 40 + int(NEAR_PX) + 1] == 1


def test_far_from_the_lungs_there_is_neither_lung_nor_heart() -> None:
    for definition in ("field", "whole"):
        out = fill_certain_labels(labelled(definition), CHANNELS)
        assert (out[:, 5, 5] == 0).all()
        assert out[4, 60 - int(FAR_PX) + 1, 60] == 2
        assert out[4, 60 - int(FAR_PX) - 1, 60] == 0
        assert out[4, 100, 40 - int(FAR_PX) - 1] == 0  # beside the patient's right


def far_apart() -> np.ndarray:
    """Lungs 80 px apart, farther than twice FAR_PX: rows 60 to 139, so 79 rows of height."""
    state = labelled("field")
    state[:2] = 0
    state[0, 60:140, 20:60] = 1
    state[1, 60:140, 140:180] = 1
    return state


def test_between_the_lungs_there_may_be_heart_however_far_they_are() -> None:
    heart = fill_certain_labels(far_apart(), CHANNELS)[4]
    assert heart[110, 100] == 2  # 50 / 79: unknown whether it has begun
    assert heart[130, 100] == 2  # it may have ended
    assert heart[60 + 58, 100] == 1  # 58 / 79 = 0.73
    assert heart[60 + 20, 100] == 0  # 20 / 79 = 0.25
    assert heart[60 + 58, 60 + int(NEAR_PX) - 1] == 2  # at the lung's edge people differ
    assert heart[60 + 58, 60 + int(NEAR_PX)] == 1
    assert heart[60 + 58, 40] == 2  # in the lung


def test_ignored_pixels_give_no_label_of_the_heart() -> None:
    state = far_apart()
    state[:2, 110:130, 90:110] = 2
    heart = fill_certain_labels(state, CHANNELS)[4]
    assert heart[60 + 58, 100] == 2
    assert heart[60 + 58, 80] == 1


def test_labelled_channels_are_not_changed() -> None:
    state = labelled("whole")
    state[2:4, :20] = 2  # an area to ignore
    before = state.copy()
    out = fill_certain_labels(state, CHANNELS)
    np.testing.assert_array_equal(out[2:4], before[2:4])
    np.testing.assert_array_equal(state, before)


def test_unlabelled_lungs_give_no_derived_labels() -> None:
    state = np.full((5, SIDE, SIDE), 2, np.uint8)
    np.testing.assert_array_equal(fill_certain_labels(state, CHANNELS), state)
    only_heart = state.copy()
    only_heart[4] = 0
    np.testing.assert_array_equal(fill_certain_labels(only_heart, CHANNELS), only_heart)


def test_one_channel_for_both_lungs_is_derived_from_the_other_definition() -> None:
    state = np.full((2, SIDE, SIDE), 2, np.uint8)
    state[0] = labelled("field")[:2].max(axis=0) == 1
    out = fill_certain_labels(state, ("field", "whole"))
    assert out[1, 100, 60] == out[1, 100, 140] == 1
    assert out[1, 100, 100] == 2
