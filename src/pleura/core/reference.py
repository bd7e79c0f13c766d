"""Reference values: the usual features of films and results, with which new ones are compared.

`pleura calibrate` fits them. They are on the card of the weights, under `norms`: an estimate of
Dice for each definition of lung, and under `film` the usual values of a film.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pleura.core.errors import WeightsError

__all__ = [
    "FILM",
    "Estimate",
    "ReferenceValues",
    "UsualFeatures",
    "check_reference_values",
    "feature_names",
    "read_reference_values",
]

FILM = "film"
"""The key of `norms` for what does not depend on the definition."""

_CARD_KEYS = {
    "review_distance": "unusual",
    "refusal_distance": "strange",
    "refusal_variance": "unsure",
}
"""The keys of a card for fields of `UsualFeatures` that have other names there."""

_LUNG_SHAPE = ("share", "height", "width", "row", "column", "slant")
_LUNG_FEATURES = (
    *(f"{side}_{feature}" for side in ("right", "left") for feature in _LUNG_SHAPE),
    "log_area",
    "log_aspect",
    "log_loss",
    "log_variance",
)
_HEART_FEATURES = ("share", "row", "column", "width", "height", "log_variance")


def feature_names(definitions: Iterable[str], *, heart: bool) -> tuple[str, ...]:
    """Names of a film's features, in order: 16 of the lungs by each definition, 6 of the heart.

    `definitions` are those that the weights give; `heart` is whether they have a heart channel.
    """
    lungs = tuple(f"{definition}_{name}" for definition in definitions for name in _LUNG_FEATURES)
    return lungs + tuple(f"heart_{name}" for name in _HEART_FEATURES if heart)


@dataclass(frozen=True, slots=True)
class Estimate:
    """log(1 - Dice) = intercept + slope x log(uncertainty), fitted on films with a known Dice."""

    intercept: float
    slope: float
    poor: float
    """An estimated Dice below this gives the verdict `review`."""

    def __post_init__(self) -> None:
        _check(self.slope > 0, "slope must be positive: the Dice falls as the uncertainty rises")
        _check(0 <= self.poor <= 1, "poor must be a Dice in [0, 1]")

    def dice(self, log_uncertainty: float) -> float:
        """Estimated Dice in [0, 1]; it falls as `Features.log_uncertainty` rises."""
        return float(np.clip(1 - np.exp(self.intercept + self.slope * log_uncertainty), 0, 1))


@dataclass(frozen=True, slots=True)
class UsualFeatures:
    """Mean and precision of the features of many films, and limits for other films."""

    mean: tuple[float, ...]
    """Of each of `feature_names`."""

    precision: tuple[tuple[float, ...], ...]
    """The inverse of their covariance."""

    review_distance: float
    """A film at a larger distance from the mean gets the verdict `review`."""

    refusal_distance: float
    """A picture at a larger distance from the mean is no frontal chest film."""

    refusal_variance: float
    """A picture with a larger `FilmFeatures.mean_variance` is no frontal chest film either."""

    def __post_init__(self) -> None:
        known = len(self.mean)
        _check(np.shape(self.precision) == (known,) * 2, f"precision must be {known} x {known}")
        limits = self.review_distance, self.refusal_distance, self.refusal_variance
        _check(all(limit > 0 for limit in limits), "limits must be positive")

    @classmethod
    def from_card(cls, entry: Mapping[str, Any]) -> Self:
        """The values in the entry `usual` of a card; `as_card` gives the entry."""
        names = {key: name for name, key in _CARD_KEYS.items()}
        return cls(**{names.get(key, key): value for key, value in _numbers(entry).items()})

    def as_card(self) -> dict[str, Any]:
        """The entry `usual` of a card."""
        return {_CARD_KEYS.get(name, name): value for name, value in asdict(self).items()}

    def distance(self, features: NDArray[np.float64]) -> float:
        """Mahalanobis distance of `features`, as many as `mean`, in standard deviations."""
        off = features - np.asarray(self.mean)
        return float(np.sqrt(max(off @ np.asarray(self.precision) @ off, 0.0)))


@dataclass(frozen=True, slots=True)
class ReferenceValues:
    """The reference values of one definition; None where there were too few films to fit them."""

    estimate: Estimate | None = None
    usual: UsualFeatures | None = None
    """The usual features of a film, which are the same for each definition."""


def read_reference_values(on_card: Mapping[str, Any], definition: str) -> ReferenceValues:
    """The reference values of `definition`, empty where a card has none; `on_card` is its `norms`.

    Raises:
        WeightsError: they are not what `pleura calibrate` writes.
    """
    try:
        estimate = on_card.get(definition, {}).get("estimate")
        usual = on_card.get(FILM, {}).get("usual")
        return ReferenceValues(
            None if estimate is None else Estimate(**_numbers(estimate)),
            None if usual is None else UsualFeatures.from_card(usual),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeightsError(
            f"the reference values of '{definition}' on the card cannot be used ({error}); "
            "write them again with `pleura calibrate --write`"
        ) from error


def check_reference_values(on_card: object, features: int) -> None:
    """Raise `WeightsError` unless `on_card`, the `norms` of a card, can be read.

    `features` is the number of `feature_names` of these weights.
    """
    if not isinstance(on_card, Mapping):
        raise WeightsError(
            f"the reference values on the card must be an object, got {on_card!r}; "
            "write them again with `pleura calibrate --write`"
        )
    for definition in ("field", "whole"):
        usual = read_reference_values(on_card, definition).usual
        if usual is not None and len(usual.mean) != features:
            raise WeightsError(
                f"the reference values on the card are of {len(usual.mean)} features, but these "
                f"weights give {features}; write them again with `pleura calibrate --write`"
            )


def _numbers(on_card: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, numbers as floats and lists as tuples; raises where one is not finite."""
    return {name: _plain(value) for name, value in on_card.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _check(is_valid: bool, message: str) -> None:
    if not is_valid:
        raise ValueError(message)
