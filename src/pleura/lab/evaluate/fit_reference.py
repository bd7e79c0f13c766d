"""Fitting the reference values of a network (usual values of features) on films of one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.quality.features import Features, measure_features
from pleura.core.quality.verdict import estimated_dice
from pleura.core.reference import Estimate, ReferenceValues, Usual
from pleura.core.types import Segmentation
from pleura.lab.evaluate.case import Examined
from pleura.lab.evaluate.metrics import overlap
from pleura.runtime.segmenter import redefine

__all__ = ["FilmFeatures", "film_features", "fit_reference_values"]

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
class FilmFeatures:
    """A film's result by one definition."""

    id: str
    source: str
    """The data set of the film."""

    definition: Definition
    features: Features
    dice: float | None
    """The Dice of both lungs; None if the film labels the other definition."""


def film_features(examined: Examined, card: Card) -> list[FilmFeatures]:
    """The features of a film's result, by each definition that the weights give."""
    segmentation, film = examined.segmentation, examined.film
    own = segmentation.provenance.definition
    lungs = next((pair for pair in examined.pairs if pair.structure == "lungs"), None)
    comparable = lungs is not None and examined.definition == own
    dice = overlap(lungs.predicted, lungs.truth) if lungs is not None and comparable else None
    return [
        FilmFeatures(
            film.id,
            film.source,
            definition,
            _features(segmentation, card, definition),
            dice if definition == own else None,
        )
        for definition in card.definitions
    ]


def _features(segmentation: Segmentation, card: Card, definition: Definition) -> Features:
    if segmentation.provenance.definition != definition:
        segmentation = redefine(segmentation, definition, card)
    return measure_features(
        segmentation.probabilities, segmentation.lungs, card.channels, definition=definition
    )


def fit_reference_values(films: Sequence[FilmFeatures]) -> dict[str, Any]:
    """The norms of each definition, as the card has them.

    The estimate of Dice is fitted to the films that label the definition, the usual values to all
    films. The limits send `REVIEWED` of the films that label it to review.
    """
    definitions = sorted({film.definition for film in films})
    fitted = {d: _fit([film for film in films if film.definition == d]) for d in definitions}
    return {
        definition: values.as_dict()
        for definition, values in fitted.items()
        if values != ReferenceValues()
    }


def _fit(films: Sequence[FilmFeatures]) -> ReferenceValues:
    usual, distances = _usual([film.features for film in films])
    labelled = [
        (film, distance)
        for film, distance in zip(films, distances, strict=True)
        if film.dice is not None and film.features.doubt is not None
    ]
    estimate = _estimate([film for film, _ in labelled])
    if estimate is None or usual is None:
        return ReferenceValues(estimate, usual)
    dice = np.array(
        [estimated_dice(film.features, ReferenceValues(estimate)) for film, _ in labelled]
    )
    labelled_distances = np.array([distance or 0.0 for _, distance in labelled])
    all_distances = np.array([distance for distance in distances if distance is not None])
    poor, unusual = _limits(dice, labelled_distances, all_distances=all_distances)
    return ReferenceValues(
        Estimate(estimate.intercept, estimate.slope, poor),
        Usual(usual.mean, usual.precision, unusual, usual.strange, usual.unsure),
    )


def _estimate(films: Sequence[FilmFeatures]) -> Estimate | None:
    """The line of log(1 - Dice) over doubt; None if it does not rise."""
    doubts = np.array([film.features.doubt for film in films], dtype=float)
    if len(films) < FEWEST or np.ptp(doubts) == 0:
        return None
    lacking = np.array([1 - (film.dice or 0.0) for film in films])
    slope, intercept = np.polyfit(doubts, np.log(np.maximum(lacking, SHORTEST)), 1)
    if slope <= 0:
        return None
    fitted = Estimate(_short(intercept), _short(slope), 0.0)
    estimates = [fitted.dice(doubt) for doubt in doubts]
    return Estimate(fitted.intercept, fitted.slope, _short(np.quantile(estimates, REVIEWED)))


def _usual(features: Sequence[Features]) -> tuple[Usual | None, list[float | None]]:
    """The usual features, and the distance of each film from the usual features of the others.

    The distance is None for a film without both lungs, and for all films if these are too few.
    """
    distances: list[float | None] = [None] * len(features)
    known = [index for index, film in enumerate(features) if film.numbers is not None]
    if len(known) < FEWEST:
        return None, distances
    table = np.array([features[index].numbers for index in known])
    table_distances = _left_out(table)
    mean, precision = _spread(table)
    unsure = [value for index in known if (value := features[index].unsure) is not None]
    usual = Usual(
        tuple(_short(value) for value in mean),
        tuple(tuple(_short(value) for value in row) for row in precision),
        _short(np.quantile(table_distances, 1 - REVIEWED)),
        _short(MARGIN * table_distances.max()),
        _short(MARGIN * max(unsure)),
    )
    for index, distance in zip(known, table_distances, strict=True):
        distances[index] = float(distance)
    return usual, distances


def _spread(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and precision of the rows of (N, D)."""
    covariance = np.cov(table.T)
    diagonal = np.diag(np.maximum(np.diag(covariance), 1e-8))
    shrunk = (1 - APART) * covariance + APART * diagonal
    mean: NDArray[np.float64] = table.mean(axis=0)
    precision = np.asarray(np.linalg.inv(shrunk), np.float64)
    return mean, precision


def _left_out(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) Mahalanobis distance of each row from the mean of the others."""
    distances = []
    for index, row in enumerate(table):
        mean, precision = _spread(np.delete(table, index, axis=0))
        distances.append(np.sqrt((row - mean) @ precision @ (row - mean)))
    return np.array(distances)


def _limits(
    dice: NDArray[np.float64],
    distances: NDArray[np.float64],
    *,
    all_distances: NDArray[np.float64],
) -> tuple[float, float]:
    """The limits of estimated Dice and distance that together send `REVIEWED` to review.

    Two thirds of the share are for the Dice. A film beyond both limits counts once.
    """
    for share in np.linspace(1.5 * REVIEWED, 0.5 * REVIEWED, 41):
        poor, unusual = np.quantile(dice, share * 2 / 3), np.quantile(all_distances, 1 - share / 3)
        if np.mean((dice < poor) | (distances > unusual)) <= REVIEWED:
            break
    return _short(poor), _short(unusual)


def _short(value: float | np.floating[Any]) -> float:
    return float(f"{float(value):.{DIGITS}g}")
