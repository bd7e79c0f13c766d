"""What is usual of good results by some weights: what a new result is held against.

Norms are fitted by `pleura calibrate` and travel on the weights' card, a set for each definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.errors import WeightsError

__all__ = [
    "FEATURES",
    "Estimate",
    "ReferenceValues",
    "Usual",
    "check_reference_values",
    "read_reference_values",
]

_OF_A_LUNG = ("share", "height", "width", "row", "column", "slant")

FEATURES = (
    *(f"{side}_{what}" for side in ("right", "left") for what in _OF_A_LUNG),
    "log_area",
    "log_aspect",
    "log_loss",
    "log_unsure",
)
"""Names of the numbers of a result that are held against what is usual, in order."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """log(1 - Dice) = intercept + slope x doubt, fitted where the Dice is known."""

    intercept: float
    slope: float
    poor: float
    """An estimated Dice below this asks for a review."""

    def __post_init__(self) -> None:
        _check(self.slope > 0, "slope must be positive: more doubt, less Dice")
        _check(0 <= self.poor <= 1, "poor must be a Dice in [0, 1]")

    def dice(self, doubt: float) -> float:
        """Estimated Dice in [0, 1]; falls as `doubt`, of `Features`, rises."""
        return float(np.clip(1 - np.exp(self.intercept + self.slope * doubt), 0, 1))


@dataclass(frozen=True, slots=True)
class Usual:
    """Mean and precision of the features of many results, and how far off is too far."""

    mean: tuple[float, ...]
    """Of each of `FEATURES`."""

    precision: tuple[tuple[float, ...], ...]
    """The inverse of their covariance."""

    unusual: float
    """A distance beyond this asks for a review."""

    strange: float
    """A distance beyond this is no frontal chest film."""

    unsure: float
    """Nor is a film that the network is more unsure of than this."""

    def __post_init__(self) -> None:
        known = len(FEATURES)
        _check(np.shape(self.mean) == (known,), f"mean must be {known} numbers")
        _check(np.shape(self.precision) == (known,) * 2, f"precision must be {known} x {known}")
        limits = self.unusual, self.strange, self.unsure
        _check(all(each > 0 for each in limits), "limits must be positive")

    def distance(self, features: NDArray[np.float64]) -> float:
        """Mahalanobis distance of (16,) `features` from the mean, in standard deviations."""
        off = features - np.asarray(self.mean)
        return float(np.sqrt(max(off @ np.asarray(self.precision) @ off, 0.0)))


@dataclass(frozen=True, slots=True)
class ReferenceValues:
    """What is known of one definition's results; None where too few films were there to learn."""

    estimate: Estimate | None = None
    usual: Usual | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the card."""
        return {name: each for name, each in asdict(self).items() if each is not None}


def read_reference_values(told: Mapping[str, Any], definition: str) -> ReferenceValues:
    """The norms of `definition` on a card; empty ones where the card has none.

    Raises:
        WeightsError: what the card says is no norms.
    """
    own = told.get(definition, {})
    try:
        estimate, usual = own.get("estimate"), own.get("usual")
        return ReferenceValues(
            None if estimate is None else Estimate(**_numbers(estimate)),
            None if usual is None else Usual(**_numbers(usual)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"the card's norms of '{definition}' cannot be used ({error}); "
            "write them anew with `pleura calibrate --write`"
        ) from error


def check_reference_values(told: object) -> None:
    """Raise `WeightsError` unless `told` is what a card may say of norms."""
    if not isinstance(told, Mapping):
        raise WeightsError(
            f"the card's norms must be an object, got {told!r}; "
            "write them anew with `pleura calibrate --write`"
        )
    for definition in ("field", "whole"):
        read_reference_values(told, definition)


def _numbers(told: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, numbers as floats and lists as tuples; raises where one is not finite."""
    return {name: _plain(value) for name, value in told.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(each) for each in value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _check(true: bool, what: str) -> None:
    if not true:
        raise ValueError(what)
