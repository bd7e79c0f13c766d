"""Ensembles: the mean of the maps of several networks, by the names of their channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pleura.core.card import Card
from pleura.core.digest import sha256
from pleura.core.errors import UsageError, WeightsError
from pleura.core.frame import Frame, normalise
from pleura.runtime.engine import Engine
from pleura.runtime.ensemble import Ensemble

APART = ("right_field", "left_field")


class Constant:
    """Gives one value for each channel, times the square."""

    def __init__(self, values: dict[str, float], *, side: int = 64, sha: str = "a", **card: Any):
        self.name = "constant"
        given = {"name": "my", "version": "1.0", "channels": tuple(values), "side": side, **card}
        self.card = Card(**given)
        self.weights_sha256 = sha * 64
        self.values = np.array(list(values.values()), np.float32)[:, None, None]
        self.seen: list[NDArray[np.float32]] = []

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen.append(batch)
        return batch * self.values


def squares(side: int = 64, films: int = 2) -> NDArray[np.float32]:
    """(N, 1, S, S): noise from 0 to 1 that is smooth enough to be resampled."""
    coarse = np.random.default_rng(0).random((films, 4, 4), np.float32)
    return np.stack([normalise(Frame(4, 4, side).fit(one)) for one in coarse])


def test_the_mean_is_taken_channel_by_channel_whatever_their_order() -> None:
    first = Constant({"right_field": 0.9, "left_field": 0.1})
    second = Constant({"left_field": 0.3, "right_field": 0.5}, sha="b")
    ensemble, given = Ensemble([first, second]), squares()
    maps = ensemble.predict(given)
    assert ensemble.card.channels == APART
    assert (maps.shape, maps.dtype) == ((2, 2, 64, 64), np.float32)
    np.testing.assert_allclose(maps[:, 0], 0.7 * given[:, 0], rtol=1e-6)  # (0.9 + 0.5) / 2
    np.testing.assert_allclose(maps[:, 1], 0.2 * given[:, 0], rtol=1e-6)  # (0.1 + 0.3) / 2


def test_other_channels_are_refused() -> None:
    apart, one = Constant(dict.fromkeys(APART, 1.0)), Constant({"field": 1.0}, sha="b")
    with pytest.raises(WeightsError, match=r"'my' has right_field, left_field.*has field;"):
        Ensemble([apart, one])
    with pytest.raises(UsageError, match="given twice"):
        Ensemble([apart, apart])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_largest_side_is_that_of_the_ensemble(order: tuple[int, int]) -> None:
    both = Constant({"field": 1.0}, side=96), Constant({"field": 0.5}, side=64, sha="b")
    ensemble, given = Ensemble([both[index] for index in order]), squares(96)
    maps = ensemble.predict(given)
    assert ensemble.card.side == 96
    small = both[1].seen[0]
    assert (small.shape, small.dtype) == ((2, 1, 64, 64), np.float32)
    assert (small.min(), small.max()) == (0, 1), "scaled as a square of its own side is"
    np.testing.assert_allclose(maps, 0.75 * given, atol=0.02)  # (1 + 0.5) / 2
    with pytest.raises(ValueError, match="96, 96"):
        ensemble.predict(squares(64))


def test_the_card_states_what_holds_for_the_mean() -> None:
    own = {
        "norms": {"field": {"estimate": {"intercept": 1.0, "slope": 1.0, "poor": 0.9}}},
        "scores": {"dice": 1},
        "temperature": 2.0,
        "created": "2026-11-29",
    }
    first = Constant({"field": 1.0}, licence="CC0", data={"digests": ["b", "a"]}, **own)
    second = Constant(
        {"field": 1.0},
        sha="b",
        licence="MIT",
        data={"digests": ["b", "c"], "digests_complete": False},
    )
    card, digest = Ensemble([first, second]).card, Ensemble([first, second]).weights_sha256
    assert card.name == "my aaaaaaaa + my bbbbbbbb"
    assert [member["sha256"] for member in card.architecture["members"]] == ["a" * 64, "b" * 64]
    assert (card.licence, card.version) == ("CC0 + MIT", "1.0")
    assert card.data == {"digests": ["a", "b", "c"], "digests_complete": False}
    assert (card.norms, card.scores, card.temperature, card.created) == ({}, {}, 1.0, None)
    # The digest is that of the members' digests, a line each, as `sha256sum` can compute it.
    assert digest == sha256(b"a" * 64 + b"\n" + b"b" * 64 + b"\n")
    unknown = Constant({"field": 1.0}, sha="c")
    assert Ensemble([first, unknown]).card.data == {}, "unknown films are not none"


def test_it_is_an_engine() -> None:
    engine: Engine = Ensemble([Constant({"field": 1.0}), Constant({"field": 0.5}, sha="b")])
    assert engine.name == "constant"
    assert Card.from_json(engine.card.to_json()) == engine.card
