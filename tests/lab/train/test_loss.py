"""The loss in numbers one can do by hand, and its silence where nothing is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, distributed

from pleura.lab.train.augment import resized
from pleura.lab.train.module import dice_per_film
from pleura.lab.train.optimise.loss import LOSSES, Loss, bce_dice, robust, supervise


def maps(*values: float) -> Tensor:
    """One film, one channel, 2 x 2."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 2, 2)


ONES = maps(1, 1, 1, 1)


def test_an_undecided_network() -> None:
    # Every probability is 1/2. Cross-entropy: -ln(1/2) = ln 2 at each pixel.
    # Dice: overlap 2 x 1/2 = 1, sums 4 x 1/2 + 2 = 4, so (2 x 1 + 1) / (4 + 1) = 3/5.
    loss = bce_dice(maps(0, 0, 0, 0), maps(1, 1, 0, 0), ONES)
    assert loss.item() == pytest.approx(math.log(2) + 1 - 3 / 5, abs=1e-6)


def test_a_network_that_is_right_by_three_to_one() -> None:
    # logit ln 3 is p = 3/4, -ln 3 is 1/4. Cross-entropy: -ln(3/4) everywhere.
    # Dice: overlap 2 x 3/4, sums 2 x 3/4 + 2 x 1/4 + 2 = 4: (3 + 1) / (4 + 1) = 4/5.
    k = math.log(3)
    loss = bce_dice(maps(k, k, -k, -k), maps(1, 1, 0, 0), ONES)
    assert loss.item() == pytest.approx(math.log(4 / 3) + 1 - 4 / 5, abs=1e-6)


def test_pixels_without_weight_do_not_count() -> None:
    # Two of four pixels are known: p = 1/2 on one lung pixel and one other.
    # Cross-entropy ln 2 over two; overlap 1/2, sums 1 + 1: (1 + 1) / (2 + 1) = 2/3.
    logits = maps(0, 50, 0, -50)  # what is unknown is answered with confidence
    loss = bce_dice(logits, maps(1, 0, 0, 1), maps(1, 0, 1, 0))
    assert loss.item() == pytest.approx(math.log(2) + 1 - 2 / 3, abs=1e-6)


def test_an_empty_prediction_of_an_empty_target_has_no_loss() -> None:
    assert bce_dice(maps(-50, -50, -50, -50), maps(0, 0, 0, 0), ONES).item() < 1e-6


def test_an_empty_target_is_penalised_by_cross_entropy_alone() -> None:
    """Smoothed Dice would add about 1 / (1 + p) ** 2 for the last false pixel of any film."""
    logits = torch.full((1, 1, 64, 64), -9.0, requires_grad=True)
    nothing = torch.zeros(1, 1, 64, 64)
    bce_dice(logits, nothing, torch.ones(1, 1, 64, 64)).backward()
    assert logits.grad is not None
    p = 1 / (1 + math.exp(9))
    torch.testing.assert_close(logits.grad, torch.full_like(nothing, p / 64**2))


def test_each_labelled_channel_counts_the_same_however_many_films_label_it() -> None:
    logits = torch.zeros(3, 2, 2, 2)
    target, weight = torch.zeros(3, 2, 2, 2), torch.zeros(3, 2, 2, 2)
    weight[:, 0] = 1  # on all three films, no lung: cross-entropy alone
    target[1, 1], weight[1, 1] = 1, 1  # on one, all lung: overlap 2, sums 6: 1 - 5/7
    expected = math.log(2) + (0 + 2 / 7) / 2
    assert bce_dice(logits, target, weight).item() == pytest.approx(expected, abs=1e-6)


def test_the_films_of_a_channel_count_the_same() -> None:
    logits = torch.zeros(3, 2, 2, 2)
    target, weight = torch.zeros(3, 2, 2, 2), torch.zeros(3, 2, 2, 2)
    weight[:2, 0] = 1
    target[1, 0] = 1  # 2/7 on one film, nothing on the other; the third knows nothing
    expected = math.log(2) + (0 + 2 / 7) / 2
    assert bce_dice(logits, target, weight).item() == pytest.approx(expected, abs=1e-6)


def gradient(target: Tensor, weight: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(target.shape, generator=generator).requires_grad_()
    bce_dice(logits, target, weight).backward()
    assert logits.grad is not None
    return logits.grad


def test_an_unlabelled_channel_has_no_gradient() -> None:
    weight = torch.ones(1, 3, 4, 4)
    weight[:, 1] = 0
    grad = gradient(torch.ones(1, 3, 4, 4), weight)
    assert torch.count_nonzero(grad[:, 1]) == 0
    assert torch.count_nonzero(grad[:, ::2]) == 2 * 16


def test_an_ignored_area_has_no_gradient() -> None:
    weight = torch.ones(1, 1, 4, 4)
    weight[..., :2, :] = 0
    grad = gradient(torch.ones(1, 1, 4, 4), weight)
    assert torch.count_nonzero(grad[..., :2, :]) == 0
    assert torch.count_nonzero(grad[..., 2:, :]) == 8


def test_a_batch_without_labels_has_no_loss_and_no_gradient() -> None:
    nothing = torch.zeros(2, 1, 4, 4)
    assert bce_dice(torch.randn(2, 1, 4, 4), nothing, nothing).item() == 0
    assert torch.equal(gradient(nothing, nothing), nothing)


def test_the_robust_loss_of_an_undecided_network() -> None:
    # p = 1/2 everywhere. Cross-entropy: (1 - 2 ** -0.7) / 0.7 at each pixel.
    # Dice: distances 4 x 0.5 ** 1.5 = sqrt 2; squares 4 x 1/4 + 2 = 3, and 1 is added.
    loss = robust(maps(0, 0, 0, 0), maps(1, 1, 0, 0), ONES)
    assert loss.item() == pytest.approx((1 - 2**-0.7) / 0.7 + math.sqrt(2) / 4, abs=1e-6)


def test_the_robust_loss_of_a_network_that_is_right_by_three_to_one() -> None:
    # p = 3/4 of the labelled class on three known pixels. Cross-entropy: (1 - 0.75 ** 0.7) / 0.7.
    # Dice: distances 3 x 0.25 ** 1.5 = 3/8; squares 2 x 9/16 + 1/16 + 2 = 51/16, and 1 is added.
    k = math.log(3)
    loss = robust(maps(k, k, -k, 99), maps(1, 1, 0, 0), maps(1, 1, 1, 0))
    expected = (1 - 0.75**0.7) / 0.7 + (3 / 8) / (51 / 16 + 1)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_a_wrong_label_has_a_bounded_loss_and_a_vanishing_gradient() -> None:
    """Of four pixels one is labelled wrong, and the network is sure of the right answer."""
    gradients = []
    for loss in (robust, bce_dice):
        logits = maps(-9, -9, -9, 9).requires_grad_()
        value = loss(logits, maps(1, 0, 0, 1), ONES)
        value.backward()
        assert logits.grad is not None
        gradients.append(-logits.grad[0, 0, 0, 0].item())
        if loss is robust:  # at most 1 / 0.7 on one of four pixels, and 1 / (2 + 1 + 1)
            assert value.item() == pytest.approx(1 / 0.7 / 4 + 1 / 4, abs=1e-3)
    assert 0 < gradients[0] < gradients[1] / 50


def test_the_robust_loss_is_zero_without_labels() -> None:
    nothing = torch.zeros(2, 1, 4, 4)
    assert robust(torch.randn(2, 1, 4, 4), nothing, nothing).item() == 0
    # An empty target has no Dice, as in the usual loss: only the cross-entropy is left.
    assert robust(maps(0, 0, 0, 0), maps(0, 0, 0, 0), ONES).item() == pytest.approx(
        (1 - 2**-0.7) / 0.7, abs=1e-6
    )


@pytest.mark.parametrize("of", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("size", [50.0, 1e4])
def test_confident_mistakes_stay_finite(size: float, of: Loss) -> None:
    logits = maps(size, -size, size, -size).requires_grad_()
    loss = of(logits, maps(0, 1, 0, 1), ONES)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[..., 0, 0] >= 0, "down, where there is no lung"
    if of is bce_dice:
        assert logits.grad[..., 0, 0] > 0


def test_deep_supervision_is_the_mean_over_the_heads() -> None:
    target = maps(1, 1, 0, 0)
    heads = [maps(0, 0, 0, 0), maps(2, 1, -1, 0), maps(-3, 0, 1, 2)]
    losses = [bce_dice(head, target, ONES).item() for head in heads]
    assert supervise(heads, target, ONES).item() == pytest.approx(sum(losses) / 3, abs=1e-6)


def test_heads_count_by_their_shares() -> None:
    target = maps(1, 1, 0, 0)
    heads = [maps(0, 0, 0, 0), maps(2, 1, -1, 0)]
    early, last = (bce_dice(head, target, ONES).item() for head in heads)
    loss = supervise(heads, target, ONES, [1, 3])
    assert loss.item() == pytest.approx(0.25 * early + 0.75 * last, abs=1e-6)
    with pytest.raises(ValueError, match="shorter"):
        supervise(heads, target, ONES, [1])


def test_half_precision_logits_are_judged_in_full() -> None:
    logits, target = torch.randn(1, 1, 64, 64).bfloat16(), torch.ones(1, 1, 64, 64)
    loss = supervise([logits], target, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(bce_dice(logits.float(), target, target).item())


def test_dice_of_a_film_in_numbers() -> None:
    # Threshold 0.5 (which itself counts as lung): guess 1 1 0 0, truth 1 0 1 0: 2 x 1 / 4.
    guess, truth = maps(0.9, 0.5, 0.49, 0.1), maps(1, 0, 1, 0)
    assert dice_per_film(guess, truth, ONES).item() == 0.5
    # Without the second pixel: 2 x 1 / 3.
    assert dice_per_film(guess, truth, maps(1, 0, 1, 1)).item() == pytest.approx(2 / 3)
    assert dice_per_film(guess, maps(0, 0, 0, 0), ONES).item() == 0


def test_dice_is_undefined_where_there_is_nothing_to_find_and_nothing_found() -> None:
    low, none = maps(0, 0, 0, 0), maps(0, 0, 0, 0)
    assert dice_per_film(low, none, ONES).isnan().all()
    assert dice_per_film(maps(1, 1, 1, 1), maps(1, 1, 1, 1), none).isnan().all()


def test_a_batch_at_half_its_side() -> None:
    # Each 2 x 2 becomes a pixel. Greys: means of 1, 2, 3, 6 and so on. Target: three of four
    # pixels, one, two (no majority), four. Known: only where all four were.
    image = [[1, 2, 0, 0], [3, 6, 0, 4], [8, 8, 5, 5], [8, 8, 5, 5]]
    target = [[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]]
    weight = [[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    batch = [torch.tensor(rows).float().view(1, 1, 4, 4) for rows in (image, target, weight)]
    smaller = resized((batch[0], batch[1], batch[2]), 2)
    expected = (maps(3, 1, 8, 5), maps(1, 0, 0, 1), maps(1, 0, 0, 1))
    for got, wanted in zip(smaller, expected, strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_the_loss_of_two_processes_is_that_of_one(
    loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three films, of which the first alone labels the second channel, on two processes."""
    random = torch.manual_seed(0)
    logits = torch.randn(3, 2, 4, 4, generator=random)
    target = (torch.randn(3, 2, 4, 4, generator=random) > 0).float()
    weight = torch.ones(3, 2, 4, 4)
    weight[1:, 1] = 0
    whole = loss(logits, target, weight)
    parts = []
    for mine, of_other in ((slice(0, 1), [2, 0]), (slice(1, 3), [1, 1])):  # films with a label
        with monkeypatch.context() as patch:
            patch.setattr(distributed, "is_initialized", lambda: True)
            patch.setattr(distributed, "get_world_size", lambda: 2)
            patch.setattr(
                distributed,
                "all_reduce",
                lambda counts, other=of_other: counts.add_(torch.tensor(other)),
            )
            parts.append(loss(logits[mine], target[mine], weight[mine]))
    torch.testing.assert_close(sum(parts) / 2, whole)
