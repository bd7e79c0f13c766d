"""The card: the description of the network inside a weights file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pleura.core.arrays import KNOWN_CHANNELS, Definition
from pleura.core.errors import WeightsError
from pleura.core.reference import check_reference_values, feature_names

__all__ = ["CARD_KEY", "Card"]

CARD_KEY = "pleura"
"""The metadata key that holds the card, in ONNX and in safetensors files alike."""

DEFINITIONS: tuple[Definition, ...] = ("field", "whole")

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
"""The bounds of a temperature. Below, all probabilities are near 0 or 1; above, all are near
0.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Origin, data and scores of the weights, as stored in their file.

    Raises:
        WeightsError: this version of Pleura cannot use the channels, the side or another value.
    """

    name: str
    version: str
    """The version of the package that made the weights."""

    channels: tuple[str, ...]
    """The maps that the network gives, in order; names of `KNOWN_CHANNELS`."""

    side: int
    """The input of the network is `side` x `side` pixels."""

    architecture: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    """The films trained on: counts and a fingerprint."""

    git_revision: str | None = None
    created: str | None = None
    """UTC, ISO 8601."""

    licence: str = "research use only"
    temperature: float = 1.0
    """The graph divides its logits by it, so that probabilities are calibrated; see `calibrate`."""

    norms: dict[str, Any] = field(default_factory=dict)
    """Reference values by definition, and of the film: `core.reference`, by `pleura calibrate`."""

    precision: str = "fp32"
    """The precision of the graph: `fp32` or `int8`."""

    made_from: str | None = None
    """SHA-256 of the fp32 graph that an int8 one was made of."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        _check_channels(self.channels)
        if isinstance(self.side, bool) or not isinstance(self.side, int) or self.side < 1:
            raise WeightsError(
                f"the card's side must be a positive whole number of pixels, got {self.side!r}; "
                "export the weights again"
            )
        _check_temperature(self.temperature)
        heart = "heart" in self.channels
        check_reference_values(self.norms, len(feature_names(self.definitions, heart=heart)))

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """The definitions of lung that these weights can give: `field`, `whole` or both."""
        return tuple(definition for definition in DEFINITIONS if self.lungs(definition))

    def lungs(self, definition: Definition) -> tuple[str, ...]:
        """The channels that hold the lungs by `definition`: two, one for both, or none."""
        return lung_channels(self.channels, definition)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card from JSON; unknown keys are ignored.

        Raises:
            WeightsError: it is no JSON object, or a key is missing or has an invalid value.
        """
        given = _read_object(text)
        known = {key.name for key in fields(cls)}
        missing = [name for name in ("name", "version", "channels", "side") if name not in given]
        if missing:
            raise WeightsError(
                f"the weights' card lacks {', '.join(missing)}; it has "
                f"{', '.join(sorted(given)) or 'nothing'}: export the weights again"
            )
        for name, kind in _TYPES.items():
            if name in given and not isinstance(given[name], kind):
                raise WeightsError(
                    f"the card's {name} must be {_TYPE_NAMES[kind]}, got {given[name]!r}; "
                    "export the weights again"
                )
        return cls(**{name: value for name, value in given.items() if name in known})

    def to_json(self) -> str:
        """The card as one JSON object; `from_json` reads it back to an equal card."""
        plain = {**asdict(self), "channels": list(self.channels)}
        return json.dumps(plain, indent=1, allow_nan=False)


_TYPES: dict[str, type] = {
    "name": str,
    "version": str,
    "channels": list,
    "architecture": dict,
    "recipe": dict,
    "scores": dict,
    "data": dict,
    "norms": dict,
    "licence": str,
    "precision": str,
}
_TYPE_NAMES: dict[type, str] = {str: "text", list: "a list of names", dict: "an object"}


def lung_channels(channels: tuple[str, ...], definition: Definition) -> tuple[str, ...]:
    """Of `channels`, those that hold the lungs by `definition`: right and left, one, or none."""
    apart = (f"right_{definition}", f"left_{definition}")
    if all(name in channels for name in apart):
        return apart
    return (definition,) if definition in channels else ()


def _read_object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(
            f"the weights' card is no JSON ({error}); export the weights again"
        ) from error
    if not isinstance(given, dict):
        raise WeightsError(
            f"the weights' card must be a JSON object, got {type(given).__name__}; "
            "export the weights again"
        )
    return given


def _check_temperature(temperature: object) -> None:
    number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not number or not (
        LOWEST_TEMPERATURE <= float(temperature) <= HIGHEST_TEMPERATURE  # type: ignore[arg-type]
    ):
        raise WeightsError(
            f"the card's temperature must be a number from {LOWEST_TEMPERATURE:g} to "
            f"{HIGHEST_TEMPERATURE:g}, got {temperature!r}; export the weights again"
        )


def _check_channels(channels: tuple[str, ...]) -> None:
    unknown = [name for name in channels if name not in KNOWN_CHANNELS]
    if unknown:
        raise WeightsError(
            f"these weights have channels that this version does not know: "
            f"{', '.join(map(str, unknown))}; known are {', '.join(KNOWN_CHANNELS)}. "
            "Update pleura, or take other weights"
        )
    if len(set(channels)) != len(channels):
        raise WeightsError(f"the card names a channel twice: {', '.join(channels)}")
    if not any(lung_channels(channels, definition) for definition in DEFINITIONS):
        raise WeightsError(
            f"these weights have no lungs in them: {', '.join(channels) or 'no channel'}; expected "
            "field, whole, right_field with left_field, or right_whole with left_whole"
        )
