"""The order in which films are shown, and how often each is shown in an epoch."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pleura.lab.train.dataset import (
    Shuffled,
)


@given(st.integers(1, 60), st.integers(0, 9), st.integers(0, 5))
def test_every_film_is_shown_once_an_epoch(count: int, seed: int, epoch: int) -> None:
    sampler = Shuffled(count, seed=seed)
    sampler.set_epoch(epoch)
    shown = list(sampler)
    assert len(sampler) == len(shown) == count
    assert {shown_epoch for shown_epoch, _, _ in shown} == {epoch}
    assert sorted(index for _, index, _ in shown) == list(range(count))
    assert list(sampler) == shown


def test_another_epoch_or_seed_is_another_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = Shuffled(50, seed=seed)
        sampler.set_epoch(epoch)
        return [index for _, index, _ in sampler]

    orders = [order(0, 0), order(0, 1), order(0, 2), order(1, 0)]
    assert len(set(map(tuple, orders))) == 4


@given(st.lists(st.floats(0.05, 4.0), min_size=1, max_size=40), st.integers(0, 9), st.booleans())
def test_a_film_is_shown_by_its_share_rounded_up_or_down(shares, seed, shuffle) -> None:
    sampler = Shuffled(len(shares), seed=seed, uses_per_epoch=np.array(shares), shuffle=shuffle)
    shown = list(sampler)
    assert len(shown) == len(sampler) == round(sum(shares))
    assert len(set(shown)) == len(shown)
    for index, share in enumerate(shares[:-1]):
        turns = sorted(turn for _, film, turn in shown if film == index)
        assert turns == list(range(len(turns)))
        assert len(turns) <= math.ceil(share) + 1


def test_over_many_epochs_a_film_is_shown_by_its_share() -> None:
    shares = np.array([0.25, 0.5, 1.0, 1.25, 2.0])
    seen = np.zeros(5)
    sampler = Shuffled(5, seed=0, uses_per_epoch=shares)
    for epoch in range(400):
        sampler.set_epoch(epoch)
        for _, index, _ in sampler:
            seen[index] += 1
    np.testing.assert_allclose(seen / 400, shares, atol=0.08)


def test_without_shuffling_films_come_in_their_order() -> None:
    assert [index for _, index, _ in Shuffled(5, seed=3, shuffle=False)] == [0, 1, 2, 3, 4]


@given(st.integers(4, 60), st.integers(1, 4), st.integers(0, 3))
def test_processes_share_an_epoch_without_overlap(count: int, world: int, epoch: int) -> None:
    shares = []
    for rank in range(world):
        sampler = Shuffled(count, seed=1, place=(rank, world))
        sampler.set_epoch(epoch)
        share = [index for _, index, _ in sampler]
        assert len(share) == len(sampler) == count // world
        shares += share
    assert len(set(shares)) == len(shares) == count // world * world
