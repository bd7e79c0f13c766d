"""The table [augment] of a recipe: how films are varied in training."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pleura.core.errors import UsageError

__all__ = ["Augment"]

LARGEST = {"rotation_deg": 180.0, "gamma": 10.0, "tone": 10.0, "blur_px": 20.0, "zoom": 0.9}
"""The largest allowed value of a number of `[augment]`, if it is not 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """How films are varied in training. Zero is off; a `_chance` is a probability."""

    shift: float = 0.0
    """Shift the film by up to this share of the side, up, down, left and right."""

    zoom: float = 0.0
    """Enlarge or shrink by up to this share; the uncovered border is black."""

    padding: float = 0.0
    """A black border of up to this share of the side; the width is drawn for each side."""

    rotation_deg: float = 0.0
    """Turn by up to this angle either way, degrees."""

    aspect: float = 0.0
    """Stretch one side against the other by up to this share."""

    flip_chance: float = 0.0
    """Mirror the film; the right lung becomes the left one in the target."""

    gamma: float = 0.0
    """Exponent drawn log-uniformly from 1/(1+gamma) to 1+gamma."""

    tone: float = 0.0
    """A random tone curve that rises from 0 to 1: the slope of each fifth of the grey scale is
    multiplied by a factor drawn log-uniformly from 1/(1+tone) to 1+tone. The pictures that
    different manufacturers make of a film differ in this way."""

    contrast: float = 0.0
    """Change contrast and brightness by up to this share."""

    noise: float = 0.0
    """Standard deviation of white noise, up to this share of the grey range."""

    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, up to this many pixels of the square."""

    invert_chance: float = 0.0
    """Show the film as a negative."""

    occlusion_chance: float = 0.0
    """Add a soft bright patch, like an opaque lung or a device; the target does not change."""

    text_chance: float = 0.0
    """Add letters and digits, like burnt-in markers."""

    jpeg_chance: float = 0.0
    """Compress and decompress at a low JPEG quality."""

    opaque_chance: float = 0.0
    """Make one labelled lung opaque, completely or below some height, like an effusion or a
    collapse; the target does not change."""

    line_chance: float = 0.0
    """Add a few bright or dark curves, like lines, tubes and wires; the target does not change."""

    coarse_chance: float = 0.0
    """Reduce the film's resolution to 0.25 to 0.75 of the square's."""

    gentle_chance: float = 0.0
    """Vary the film little: 0.3 of every extent, and no effect that has a `_chance`. A network that
    is trained only on strongly varied films segments ordinary films less exactly."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            most = LARGEST.get(setting.name, 1.0)
            if not 0 <= value <= most:
                raise UsageError(f"augment.{setting.name} must be in [0, {most:g}], got {value}")
