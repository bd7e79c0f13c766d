"""Each metric against a number derived by hand on a drawn mask.

The square S: rows 2-5, columns 2-5 of a 12 x 12 film (16 px). Its boundary, `#`, is 12 px:

    col 2 3 4 5            shifted down by 1:    the overlap is rows 3-5:
    2   # # # #            2   . . . .           12 px
    3   # o o #            3   # # # #
    4   # o o #            4   # o o #
    5   # # # #            5   # o o #
                           6   # # # #
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
)

from pleura.core.types import Spacing
from pleura.lab.evaluate import metrics as module
from pleura.lab.evaluate.metrics import METRICS, Scores, overlap, score


def square(top: int = 2, left: int = 2, side: int = 4, film: int = 12) -> np.ndarray:
    mask = np.zeros((film, film), bool)
    mask[top : top + side, left : left + side] = True
    return mask


S, EMPTY = square(), np.zeros((12, 12), bool)


def test_same_mask_is_perfect():
    scores = score(S, S, spacing=Spacing(0.5, 0.5, "user"))
    assert scores == Scores(
        dice=1,
        iou=1,
        surface_dice_rel=1,
        surface_dice_2px=1,
        surface_dice_2mm=1,
        hd95_px=0,
        hd95_mm=0,
        assd_px=0,
        assd_mm=0,
        area_error=0,
    )


def test_shift_by_one_row():
    scores = score(square(top=3), S)
    # Overlap 12 of 16 and 16: Dice 24/32, IoU 12/20.
    assert scores.dice == 0.75
    assert scores.iou == 0.6
    # Of the shifted boundary, rows 3-5 at columns 2 and 5 lie on S's (6 px, distance 0); (3, 3)
    # and (3, 4) are 1 from (2, 3) and (2, 4); the 4 px of row 6 are 1 from row 5. So 6 zeros and
    # 6 ones; by symmetry the same the other way.
    assert scores.assd_px == 0.5
    assert scores.hd95_px == 1.0
    assert scores.surface_dice_2px == 1.0
    assert scores.area_error == 0.0


def test_overlap_is_the_dice_of_score():
    assert overlap(square(top=3), S) == 0.75
    assert overlap(EMPTY, S) == overlap(S, EMPTY) == 0.0
    assert overlap(EMPTY, EMPTY) is None
    with pytest.raises(ValueError, match="bool"):
        overlap(S.astype(int), S)


def test_spacing_that_differs_between_rows_and_columns():
    # Rows 2 mm apart, columns 1 mm. (3, 3) is now nearer to (3, 2), 1 mm sideways, than to
    # (2, 3), 2 mm up; so too (3, 4). Row 6 stays 1 row = 2 mm from row 5. Each way:
    # 6 x 0, 2 x 1, 4 x 2 mm: mean 10/12, 95th percentile 2, all within 2 mm.
    scores = score(square(top=3), S, spacing=Spacing(2.0, 1.0, "user"))
    assert scores.assd_mm == round(10 / 12, 6)
    assert scores.hd95_mm == 2.0
    assert scores.surface_dice_2mm == 1.0
    assert scores.assd_px == 0.5
    # And with columns 2 mm apart, rows 1 mm: row 6 is 1 mm off, (3, 3) 1 mm from (2, 3).
    assert score(square(top=3), S, spacing=Spacing(1.0, 2.0, "user")).assd_mm == 0.5


def test_surface_dice_counts_boundary_beyond_the_tolerance():
    # S against S with an arm of 1 x 4 px to its right, in row 3, columns 6-9:
    #     # # # #
    #     # o o o # # # #     (3, 5) is no boundary any more: its four neighbours are inside
    #     # o o #
    #     # # # #
    # Prediction: 11 + 4 = 15 boundary px; the arm's are 1, 2, 3, 4 px from (3, 5): two beyond 2.
    # Truth: 12 px, (3, 5) is 1 px from (2, 5): all within. So 25 of 27.
    arm = S.copy()
    arm[3, 6:10] = True
    scores = score(arm, S)
    assert scores.surface_dice_2px == round(25 / 27, 6)
    # ASSD: (1 + 2 + 3 + 4 + 1) / 27.
    assert scores.assd_px == round(11 / 27, 6)
    # HD95: of 15 sorted distances 0 x 11, 1, 2, 3, 4, place 0.95 * 14 = 13.3: 3 + 0.3. Of the
    # other 12 (0 x 11, 1), place 10.45: 0.45. The larger one counts, and they are not pooled.
    assert scores.hd95_px == pytest.approx(3.3, abs=1e-6)
    assert scores.area_error == 4 / 16


def test_relative_tolerance_grows_with_the_film():
    # A shift of 3 px. On a film of 800 px the tolerance is 4 px: all pixels are within it. On
    # 400 px it is 2 px: the two shifted sides are beyond it.
    for film, all_within in ((800, True), (400, False)):
        far = score(square(left=13, side=40, film=film), square(left=10, side=40, film=film))
        assert (far.surface_dice_rel == 1.0) is all_within
    assert far.surface_dice_rel == far.surface_dice_2px


def test_relative_tolerance_is_never_less_than_a_pixel():
    assert score(square(top=3), S).surface_dice_rel == 1.0  # 0.5 % of 12 px is less than a pixel


@pytest.mark.parametrize("spacing", [None, Spacing(1, 1, "user")])
def test_a_missed_structure_has_overlap_zero(spacing):
    scores = score(EMPTY, S, spacing=spacing)
    assert (scores.dice, scores.iou, scores.surface_dice_rel, scores.surface_dice_2px) == (
        0,
        0,
        0,
        0,
    )
    assert scores.surface_dice_2mm == (None if spacing is None else 0.0)
    assert (scores.hd95_px, scores.assd_px, scores.hd95_mm, scores.assd_mm) == (None,) * 4
    assert scores.area_error == -1.0


def test_an_empty_label_has_no_relative_area_error():
    scores = score(S, EMPTY)
    assert (scores.dice, scores.iou) == (0, 0)
    assert scores.hd95_px is None
    assert scores.area_error is None


def test_two_empty_masks_are_undefined():
    assert score(EMPTY, EMPTY, spacing=Spacing(1, 1, "user")) == Scores()


def test_millimetres_need_a_spacing():
    scores = score(square(top=3), S)
    assert (scores.hd95_mm, scores.assd_mm, scores.surface_dice_2mm) == (None, None, None)


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (S, S[:-1], r"\(12, 12\) and \(11, 12\)"),
        (S.astype(np.uint8), S, "uint8 and bool"),
        (S[None], S[None], r"\(1, 12, 12\)"),
    ],
)
def test_wrong_masks_are_refused(predicted, truth, message):
    with pytest.raises(ValueError, match=message):
        score(predicted, truth)


MASKS = arrays(np.bool_, (9, 8))


@settings(max_examples=30)
@given(a=MASKS, b=MASKS)
def test_cropping_to_the_masks_changes_no_score(a, b):
    """Compared with MONAI on the complete film; masks may touch the film's edge."""
    if not (a.any() and b.any()):
        return
    scores = score(a, b)
    uncropped = [module.torch.from_numpy(np.pad(mask, 3))[None, None] for mask in (a, b)]
    with module._without_monai_warning():
        hd95 = compute_hausdorff_distance(*uncropped, include_background=True, percentile=95)
        assd = compute_average_surface_distance(*uncropped, include_background=True, symmetric=True)
        surface = compute_surface_dice(*uncropped, class_thresholds=[2.0], include_background=True)
    assert scores.hd95_px == pytest.approx(float(hd95), abs=1e-5)
    assert scores.assd_px == pytest.approx(float(assd), abs=1e-5)
    assert scores.surface_dice_2px == pytest.approx(float(surface), abs=1e-5)
    assert scores.dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=1e-6)
    assert scores.iou == pytest.approx((a & b).sum() / (a | b).sum(), abs=1e-6)


@settings(max_examples=30)
@given(a=MASKS, b=MASKS, rows=st.integers(0, 4), columns=st.integers(0, 4))
def test_scores_do_not_depend_on_the_position_of_the_masks(a, b, rows, columns):
    room = ((rows, 4 - rows), (columns, 4 - columns))
    assert score(np.pad(a, room), np.pad(b, room)) == score(np.pad(a, (0, 4)), np.pad(b, (0, 4)))


def test_every_score_has_a_metric_with_the_right_direction():
    assert list(Scores().as_dict()) == list(METRICS)
    assert METRICS["dice"].loss(0.9) < METRICS["dice"].loss(0.8)
    assert METRICS["hd95_px"].loss(3.0) < METRICS["hd95_px"].loss(4.0)
    assert METRICS["area_error"].loss(-0.01) < METRICS["area_error"].loss(0.02)
