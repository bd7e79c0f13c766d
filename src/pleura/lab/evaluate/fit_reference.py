"""Fitting the reference values of a network (usual values of features) on films of one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.masks.cleanup import Cleaned
from pleura.core.quality.features import Traits, look
from pleura.core.quality.verdict import estimated_dice
from pleura.core.reference import Estimate, Norms, Usual
from pleura.core.types import Segmentation
from pleura.lab.evaluate.case import Examined
from pleura.lab.evaluate.metrics import overlap
from pleura.runtime.segmenter import redefine

__all__ = ["Seen", "fit_norms", "see"]

FEWEST = 20
"""The smallest number of films to fit to."""

REVIEWED = 0.05
"""The share of the fitted films that the limits may send to review."""

APART = 0.2
"""The shrinkage of the covariance towards its diagonal, since few films estimate it badly."""

MARGIN = 1.15
"""The limit for pictures that are no chest film, in distances of the farthest fitted film."""

SHORTEST = 1e-4
"""The smallest 1 - Dice in a logarithm."""

DIGITS = 6
"""Significant digits of numbers on the card."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A film's result by one definition."""

    id: str
    source: str
    definition: Definition
    traits: Traits
    dice: float | None
    """The Dice of both lungs; None if the film labels the other definition."""


def see(examined: Examined, card: Card) -> list[Seen]:
    """The features of a film's result, by each definition that the weights give."""
    found, film = examined.segmentation, examined.film
    own = found.provenance.definition
    lungs = next((each for each in examined.pairs if each.structure == "lungs"), None)
    known = lungs is not None and examined.definition == own
    dice = overlap(lungs.predicted, lungs.truth) if lungs is not None and known else None
    return [
        Seen(film.id, film.source, each, _traits(found, card, each), dice if each == own else None)
        for each in card.definitions
    ]


def _traits(found: Segmentation, card: Card, definition: Definition) -> Traits:
    if found.provenance.definition != definition:
        found = redefine(found, definition, card)
    lungs = Cleaned(found.right, found.left, found.heart, found.notes)
    return look(found.probabilities, lungs, card.channels, definition=definition)


def fit_norms(seen: Sequence[Seen]) -> dict[str, Any]:
    """The norms of each definition, as the card has them.

    The estimate of Dice is fitted to the films that label the definition, the usual values to all
    films. The limits send `REVIEWED` of the films that label it to review.
    """
    definitions = sorted({each.definition for each in seen})
    fitted = {d: _fit([each for each in seen if each.definition == d]) for d in definitions}
    return {name: each.as_dict() for name, each in fitted.items() if each != Norms()}


def _fit(seen: Sequence[Seen]) -> Norms:
    usual, distances = _usual([each.traits for each in seen])
    labelled = [each for each in seen if each.dice is not None and each.traits.doubt is not None]
    estimate = _estimate(labelled)
    if estimate is None or usual is None:
        return Norms(estimate, usual)
    dice = np.array([estimated_dice(each.traits, Norms(estimate)) for each in labelled])
    off = np.array([distances.get(id(each.traits), 0.0) for each in labelled])
    poor, unusual = _limits(dice, off, np.array(list(distances.values())))
    return Norms(
        Estimate(estimate.intercept, estimate.slope, poor),
        Usual(usual.mean, usual.precision, unusual, usual.strange, usual.unsure),
    )


def _estimate(seen: Sequence[Seen]) -> Estimate | None:
    """The line of log(1 - Dice) over doubt; None if it does not rise."""
    doubts = np.array([each.traits.doubt for each in seen], dtype=float)
    if len(seen) < FEWEST or np.ptp(doubts) == 0:
        return None
    lacking = np.array([1 - (each.dice or 0.0) for each in seen])
    slope, intercept = np.polyfit(doubts, np.log(np.maximum(lacking, SHORTEST)), 1)
    if slope <= 0:
        return None
    line = Estimate(_short(intercept), _short(slope), 0.0)
    known = [line.dice(each) for each in doubts]
    return Estimate(line.intercept, line.slope, _short(np.quantile(known, REVIEWED)))


def _usual(traits: Sequence[Traits]) -> tuple[Usual | None, dict[int, float]]:
    """What is usual, and each film's distance from what is usual of the others."""
    known = [(each, numbers) for each in traits if (numbers := each.numbers) is not None]
    if len(known) < FEWEST:
        return None, {}
    table = np.array([numbers for _, numbers in known])
    off = _left_out(table)
    mean, precision = _spread(table)
    unsure = [each.unsure for each, _ in known if each.unsure is not None]
    usual = Usual(
        tuple(_short(each) for each in mean),
        tuple(tuple(_short(each) for each in row) for row in precision),
        _short(np.quantile(off, 1 - REVIEWED)),
        _short(MARGIN * off.max()),
        _short(MARGIN * max(unsure)),
    )
    return usual, {id(each): float(d) for (each, _), d in zip(known, off, strict=True)}


def _spread(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and precision of the rows of (N, D)."""
    covariance = np.cov(table.T)
    alone = np.diag(np.maximum(np.diag(covariance), 1e-8))
    mixed = (1 - APART) * covariance + APART * alone
    mean: NDArray[np.float64] = table.mean(axis=0)
    precision = np.asarray(np.linalg.inv(mixed), np.float64)
    return mean, precision


def _left_out(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) Mahalanobis distance of each row from the mean of the others."""
    found = []
    for index, row in enumerate(table):
        mean, precision = _spread(np.delete(table, index, axis=0))
        found.append(np.sqrt((row - mean) @ precision @ (row - mean)))
    return np.array(found)


def _limits(
    dice: NDArray[np.float64], off: NDArray[np.float64], all_off: NDArray[np.float64]
) -> tuple[float, float]:
    """The limits of estimated Dice and distance that together send `REVIEWED` to review.

    Two thirds of the share are for the Dice. A film beyond both limits counts once.
    """
    for share in np.linspace(1.5 * REVIEWED, 0.5 * REVIEWED, 41):
        poor, unusual = np.quantile(dice, share * 2 / 3), np.quantile(all_off, 1 - share / 3)
        if np.mean((dice < poor) | (off > unusual)) <= REVIEWED:
            break
    return _short(poor), _short(unusual)


def _short(value: float | np.floating[Any]) -> float:
    return float(f"{float(value):.{DIGITS}g}")
