"""Variations of films in training: which effects there are, and how they are drawn and applied.

The same variation always gives the same sample. So a run can be resumed, and a sheet of examples
shows what training uses. An effect uses a deterministic transform of MONAI if there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from numpy.random import Generator

from pleura.lab.train.augment.artefacts import Invert, Jpeg, Letters
from pleura.lab.train.augment.effect import Effect, Sample
from pleura.lab.train.augment.greys import Blur, Coarse, Contrast, Gamma, Noise, Tone
from pleura.lab.train.augment.occlusion import Lines, Opacity, Patch
from pleura.lab.train.augment.placement import Placement
from pleura.lab.train.recipe import Augment

__all__ = ["Variation", "draw", "vary"]

EFFECTS: dict[str, type[Effect]] = {
    "placement": Placement,
    "gamma": Gamma,
    "contrast": Contrast,
    "noise": Noise,
    "blur": Blur,
    "invert": Invert,
    "patch": Patch,
    "letters": Letters,
    "jpeg": Jpeg,
    "opacity": Opacity,
    "lines": Lines,
    "coarse": Coarse,
    "tone": Tone,
}
"""The effects by name, in the order in which they are drawn. Another order would change the
variations of a seed, so add a new effect at the end."""

BEFORE_CLIPPING = (
    "placement",
    "opacity",
    "patch",
    "lines",
    "coarse",
    "gamma",
    "tone",
    "contrast",
    "blur",
    "noise",
)
"""The effects that are applied first, in this order. Greys may leave [0, 1], and are then
clipped."""

AFTER_CLIPPING = ("letters", "jpeg", "invert")
"""The effects that are applied after the clipping, in this order, to greys in [0, 1]."""

_Kind = TypeVar("_Kind", bound=Effect)


@dataclass(frozen=True, slots=True)
class Variation:
    """The effects on a film for one use in training."""

    effects: tuple[Effect, ...] = ()
    """At most one effect of each class, in any order."""

    def get(self, kind: type[_Kind]) -> _Kind | None:
        """The effect of a class, or None."""
        return next((effect for effect in self.effects if isinstance(effect, kind)), None)

    def named(self, names: Iterable[str]) -> Iterator[Effect]:
        """The effects with these names, in the order of the names."""
        for name in names:
            if (effect := self.get(EFFECTS[name])) is not None:
                yield effect


GENTLE_FACTOR = 0.3
"""The factor of every extent if a film is varied gently."""


def gentle(augment: Augment) -> Augment:
    """The same with smaller extents, and without the effects that have a probability."""
    return replace(
        augment,
        **{
            field.name: 0.0
            if field.name.endswith("_chance")
            else GENTLE_FACTOR * getattr(augment, field.name)
            for field in fields(augment)
        },
    )


def draw(augment: Augment, rng: Generator) -> Variation:
    """Draw a variation; the same state of the generator gives the same one."""
    if augment.gentle_chance and rng.random() < augment.gentle_chance:
        augment = gentle(augment)
    drawn = (kind.draw(augment, rng) for kind in EFFECTS.values())
    return Variation(tuple(effect for effect in drawn if effect is not None))


def vary(sample: Sample, variation: Variation, channels: tuple[str, ...]) -> Sample:
    """Apply a variation to a film and its labels; shapes do not change."""
    for effect in variation.named(BEFORE_CLIPPING):
        sample = effect.apply(sample, channels)
    sample = replace(sample, image=sample.image.clamp(0, 1))
    for effect in variation.named(AFTER_CLIPPING):
        sample = effect.apply(sample, channels)
    return sample
