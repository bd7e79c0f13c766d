"""How films are varied in training: one class an effect, drawn at random, then applied exactly."""

from pleura.lab.train.augment.effect import Sample, resized
from pleura.lab.train.augment.variation import Variation, draw, vary

__all__ = ["Sample", "Variation", "draw", "resized", "vary"]
