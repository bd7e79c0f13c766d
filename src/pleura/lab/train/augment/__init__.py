"""Augmentation: each effect is a class with random values and a deterministic `apply`."""

from pleura.lab.train.augment.effect import Sample, resized
from pleura.lab.train.augment.variation import Variation, draw, vary

__all__ = ["Sample", "Variation", "draw", "resized", "vary"]
