"""Reference values: the usual features of good results, with which a new result is compared.

`pleura calibrate` fits them. They are on the card of the weights, under `norms`: one set for each
definition of lung.
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
    *(f"{side}_{feature}" for side in ("right", "left") for feature in _OF_A_LUNG),
    "log_area",
    "log_aspect",
    "log_loss",
    "log_unsure",
)
"""Names of the features that are compared, in order."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """log(1 - Dice) = intercept + slope x doubt, fitted where the Dice is known."""

    intercept: float
    slope: float
    poor: float
    """An estimated Dice below this gives the verdict `review`."""

    def __post_init__(self) -> None:
        _check(self.slope > 0, "slope must be positive: more doubt, less Dice")
        _check(0 <= self.poor <= 1, "poor must be a Dice in [0, 1]")

    def dice(self, doubt: float) -> float:
        """Estimated Dice in [0, 1]; it falls as `Features.doubt` rises."""
        return float(np.clip(1 - np.exp(self.intercept + self.slope * doubt), 0, 1))


@dataclass(frozen=True, slots=True)
class Usual:
    """Mean and precision of the features of many results, and limits of the distance to them."""

    mean: tuple[float, ...]
    """Of each of `FEATURES`."""

    precision: tuple[tuple[float, ...], ...]
    """The inverse of their covariance."""

    unusual: float
    """A distance beyond this gives the verdict `review`."""

    strange: float
    """A distance beyond this is no frontal chest film."""

    unsure: float
    """`Features.unsure` beyond this is no frontal chest film either."""

    def __post_init__(self) -> None:
        known = len(FEATURES)
        _check(np.shape(self.mean) == (known,), f"mean must be {known} numbers")
        _check(np.shape(self.precision) == (known,) * 2, f"precision must be {known} x {known}")
        limits = self.unusual, self.strange, self.unsure
        _check(all(limit > 0 for limit in limits), "limits must be positive")

    def distance(self, features: NDArray[np.float64]) -> float:
        """Mahalanobis distance of (16,) `features` from the mean, in standard deviations."""
        off = features - np.asarray(self.mean)
        return float(np.sqrt(max(off @ np.asarray(self.precision) @ off, 0.0)))


@dataclass(frozen=True, slots=True)
class ReferenceValues:
    """The reference values of one definition; None where too few films were there to fit them."""

    estimate: Estimate | None = None
    usual: Usual | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the card."""
        return {name: part for name, part in asdict(self).items() if part is not None}


def read_reference_values(on_card: Mapping[str, Any], definition: str) -> ReferenceValues:
    """The reference values of `definition`, empty where a card has none; `on_card` is its `norms`.

    Raises:
        WeightsError: they are not what `pleura calibrate` writes.
    """
    own = on_card.get(definition, {})
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


def check_reference_values(on_card: object) -> None:
    """Raise `WeightsError` unless `on_card`, the `norms` of a card, can be read."""
    if not isinstance(on_card, Mapping):
        raise WeightsError(
            f"the card's norms must be an object, got {on_card!r}; "
            "write them anew with `pleura calibrate --write`"
        )
    for definition in ("field", "whole"):
        read_reference_values(on_card, definition)


def _numbers(on_card: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, numbers as floats and lists as tuples; raises where one is not finite."""
    return {name: _plain(value) for name, value in on_card.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _check(true: bool, what: str) -> None:
    if not true:
        raise ValueError(what)
