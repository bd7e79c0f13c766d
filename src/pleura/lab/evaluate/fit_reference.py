"""Fitting the reference values of a network (usual values of features) on films of one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.quality.features import Features, measure_features
from pleura.core.quality.film import FilmFeatures, measure_film
from pleura.core.reference import FILM, Estimate, UsualFeatures
from pleura.core.types import Segmentation
from pleura.lab.evaluate.case import Examined
from pleura.lab.evaluate.metrics import overlap
from pleura.runtime.segmenter import with_definition

__all__ = ["ResultFeatures", "fit_reference_values", "result_features"]

FEWEST = 20
"""The smallest number of films for a fit."""

POOR_SHARE = 1 / 30
"""The share of the films of the fit whose estimated Dice lies below the limit for review."""

REVIEW_SHARE = 0.04
"""The share of the films of the fit whose features lie beyond the limit for review. All CT slices
of the first part of the negatives lie beyond it; coronal slices, which resemble a film most, lie
nearest."""

REFUSAL_FACTOR = 2.0
"""The limit for pictures that are no chest film, as a multiple of the limit for review. No film of
split val, and 0.1 % of 1,619 other films that are not test films, lie beyond it."""

SHRINKAGE = 0.2
"""The shrinkage of the covariance towards its diagonal, which makes it more exact with few
films."""

MARGIN = 1.15
"""The limit of `FilmFeatures.mean_variance`, as a multiple of the largest value of the films of the
fit."""

MIN_LOSS = 1e-4
"""The smallest 1 - Dice in a logarithm."""

DIGITS = 6
"""Significant digits of numbers on the card."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ResultFeatures:
    """The features of a film's result by one definition."""

    source: str
    definition: Definition
    features: Features
    film: FilmFeatures
    """The same for each definition."""

    dice: float | None
    """The Dice of both lungs; None if the film's masks follow the other definition."""


def result_features(examined: Examined, card: Card) -> list[ResultFeatures]:
    """The features of a film's result, by each definition that the weights give."""
    segmentation, film = examined.segmentation, examined.film
    own = segmentation.provenance.definition
    lungs = next((pair for pair in examined.pairs if pair.structure == "lungs"), None)
    comparable = lungs is not None and examined.definition == own
    dice = overlap(lungs.predicted, lungs.truth) if lungs is not None and comparable else None
    of_film = measure_film(segmentation.probabilities, card.channels)
    return [
        ResultFeatures(
            source=film.source,
            definition=definition,
            features=_features(segmentation, card, definition),
            film=of_film,
            dice=dice if definition == own else None,
        )
        for definition in card.definitions
    ]


def _features(segmentation: Segmentation, card: Card, definition: Definition) -> Features:
    if segmentation.provenance.definition != definition:
        segmentation = with_definition(segmentation, definition, card)
    return measure_features(
        segmentation.probabilities, segmentation.lungs, card.channels, definition=definition
    )


def fit_reference_values(results: Sequence[ResultFeatures]) -> dict[str, Any]:
    """The `norms` of the card: `estimate` by definition, and the `usual` values of a film.

    The estimate of Dice is fitted to the films whose masks follow the definition, the usual values
    to all films. A part that has too few films to be fitted is left out.
    """
    definitions = sorted({result.definition for result in results})
    on_card: dict[str, Any] = {}
    for definition in definitions:
        estimate = _estimate([result for result in results if result.definition == definition])
        if estimate is not None:
            on_card[definition] = {"estimate": asdict(estimate)}
    usual = _usual([result.film for result in results if result.definition in definitions[:1]])
    return on_card if usual is None else {**on_card, FILM: {"usual": usual.as_card()}}


def _estimate(results: Sequence[ResultFeatures]) -> Estimate | None:
    """A line fitted to log(1 - Dice) over log(uncertainty); None if it does not rise."""
    pairs = [
        (result.features.log_uncertainty, 1 - result.dice)
        for result in results
        if result.dice is not None and result.features.log_uncertainty is not None
    ]
    if len(pairs) < FEWEST:
        return None
    uncertainties, losses = np.array(pairs, dtype=float).T
    if np.ptp(uncertainties) == 0:
        return None
    slope, intercept = np.polyfit(uncertainties, np.log(np.maximum(losses, MIN_LOSS)), 1)
    if slope <= 0:
        return None
    line = Estimate(_rounded(intercept), _rounded(slope), 0.0)
    estimates = [line.dice(uncertainty) for uncertainty in uncertainties]
    return replace(line, poor=_rounded(np.quantile(estimates, POOR_SHARE)))


def _usual(films: Sequence[FilmFeatures]) -> UsualFeatures | None:
    """The usual values of a film; None if too few films have lungs and heart."""
    rows = [film.numbers for film in films if film.numbers is not None]
    if len(rows) < FEWEST:
        return None
    table = np.array(rows)
    mean, precision = _mean_and_precision(table)
    review_distance = np.quantile(_distances_from_others(table), 1 - REVIEW_SHARE)
    return UsualFeatures(
        tuple(_rounded(value) for value in mean),
        tuple(tuple(_rounded(value) for value in row) for row in precision),
        _rounded(review_distance),
        _rounded(REFUSAL_FACTOR * review_distance),
        _rounded(
            MARGIN * max(film.mean_variance for film in films if film.mean_variance is not None)
        ),
    )


def _mean_and_precision(
    table: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and precision of the rows of (N, D)."""
    covariance = np.cov(table.T)
    diagonal = np.diag(np.maximum(np.diag(covariance), 1e-8))
    mixed = (1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal
    mean: NDArray[np.float64] = table.mean(axis=0)
    precision = np.asarray(np.linalg.inv(mixed), np.float64)
    return mean, precision


def _distances_from_others(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) Mahalanobis distance of each row from the mean of the others."""
    distances = []
    for index, row in enumerate(table):
        mean, precision = _mean_and_precision(np.delete(table, index, axis=0))
        distances.append(np.sqrt((row - mean) @ precision @ (row - mean)))
    return np.array(distances)


def _rounded(value: float | np.floating[Any]) -> float:
    return float(f"{float(value):.{DIGITS}g}")
