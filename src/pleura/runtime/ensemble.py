"""Ensembles: the mean of the maps of several networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pleura.core.card import Card
from pleura.core.digest import sha256
from pleura.core.errors import UsageError, WeightsError
from pleura.core.frame import Frame, normalise
from pleura.runtime.engine import Engine, check_batch

__all__ = ["Ensemble"]

Batch = NDArray[np.float32]
"""(N, C, S, S) float32 in [0, 1]."""

DIGITS = 8
"""The digits of a digest in the name of an ensemble; the weights of folds all have one name."""


class Ensemble:
    """Several engines as one, whose maps are the mean of theirs.

    The channels are matched by name and given in the order of the first engine. The square is that
    of the engine with the largest side; it is made smaller for the others, and their maps are
    resampled to it.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        """Combine two or more engines.

        Raises:
            UsageError: two engines have the same weights.
            WeightsError: the engines do not all have the same channels.
        """
        digests = [engine.weights_sha256 for engine in engines]
        if len(set(digests)) < len(digests):
            raise UsageError("the same weights are given twice; an ensemble takes each once")
        _check_channels([engine.card for engine in engines])
        self._engines = tuple(engines)
        self.name = _joined(engine.name for engine in engines)
        self.card = _card(engines)
        self.weights_sha256 = sha256("".join(f"{digest}\n" for digest in digests).encode())

    def predict(self, batch: Batch) -> Batch:
        """(N, 1, S, S) float32 in [0, 1] -> (N, C, S, S) float32 in [0, 1]; C as in the card.

        Raises:
            ValueError: the batch has another shape or dtype.
            WeightsError: a network gave something that is no probability.
        """
        check_batch(batch, self.card)
        maps = [self._maps(engine, batch) for engine in self._engines]
        mean: Batch = np.mean(maps, axis=0, dtype=np.float32)
        return mean

    def _maps(self, engine: Engine, batch: Batch) -> Batch:
        """The maps of one engine, in the order and the size of the ensemble's."""
        order = [engine.card.channels.index(name) for name in self.card.channels]
        if engine.card.side == self.card.side:
            return engine.predict(batch)[:, order]
        frame = Frame(self.card.side, self.card.side, engine.card.side)
        small = _each(batch[:, 0], lambda square: normalise(frame.fit(square)))
        return _each(engine.predict(small)[:, order], frame.restore)


def _each(batch: Batch, change: Callable[[Batch], Batch]) -> Batch:
    return np.stack([change(one) for one in batch])


def _check_channels(cards: Sequence[Card]) -> None:
    """Raise `WeightsError` unless all cards name the same channels, in any order."""
    first = cards[0]
    for card in cards[1:]:
        if set(card.channels) != set(first.channels):
            raise WeightsError(
                "the maps of weights are averaged channel by channel, but "
                f"'{first.name}' has {', '.join(first.channels)}, and '{card.name}' has "
                f"{', '.join(card.channels)}; give weights with the same channels"
            )


def _card(engines: Sequence[Engine]) -> Card:
    """The card of the ensemble.

    It has no scores and no reference values: those of the engines are of their own maps. The maps
    are calibrated as far as each engine's are, so the temperature is 1.
    """
    cards = [engine.card for engine in engines]
    members = [
        {"name": engine.card.name, "sha256": engine.weights_sha256, "side": engine.card.side}
        for engine in engines
    ]
    return Card(
        name=" + ".join(f"{item['name']} {str(item['sha256'])[:DIGITS]}" for item in members),
        version=_joined(card.version for card in cards),
        channels=cards[0].channels,
        side=max(card.side for card in cards),
        architecture={"kind": "ensemble", "members": members},
        data=_data(cards),
        licence=_joined(card.licence for card in cards),
        precision=_joined(card.precision for card in cards),
    )


def _data(cards: Sequence[Card]) -> dict[str, list[str] | bool]:
    """The digests of the films that any was trained on; empty if one card does not state them."""
    digests = [card.data.get("digests") for card in cards]
    if None in digests:
        return {}
    return {
        "digests": sorted({digest for some in digests if some for digest in some}),
        "digests_complete": all(card.data.get("digests_complete", True) for card in cards),
    }


def _joined(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(texts))
