"""Calibration of the probabilities: reliability, and the best temperature.

Pixels are drawn from every film at its own size, from the restored probability maps, before the
threshold and the clean-up.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from pleura.core.arrays import Probabilities
from pleura.core.card import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Card
from pleura.core.errors import DataError, FilmError
from pleura.lab.data.film import Film
from pleura.lab.data.labels import target_for
from pleura.lab.evaluate.case import Evaluator, Examined
from pleura.lab.evaluate.evaluation import Failure
from pleura.lab.evaluate.statistics import rounded
from pleura.runtime.engine import Engine, EngineWrapper

__all__ = [
    "BINS",
    "PIXELS",
    "PixelSample",
    "TemperatureScaled",
    "best_temperature",
    "draw_pixels",
    "log_loss",
    "reliability",
    "scale_temperature",
]


PIXELS = 2000
"""The pixels drawn from a film, the same for all its labelled channels."""

BINS = 15
"""The number of bins of equal width, from 0 to 1."""

FEWEST = 50
"""The smallest number of pixels of a bin that counts in `mean_gap`."""

EDGE = 1e-6
"""The smallest distance of a probability from 0 and 1 in a logarithm."""

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PixelSample:
    """Pixels of one channel of one film: predicted probabilities, and labels."""

    source: str
    channel: str
    predicted: Floats
    labels: Truths


@dataclass(frozen=True, slots=True)
class TemperatureScaled(EngineWrapper):
    """An engine with another temperature and other reference values on its card."""

    engine: Engine
    temperature: float
    norms: dict[str, Any] = field(default_factory=dict)

    @property
    def card(self) -> Card:
        """The engine's card with this temperature and these reference values."""
        return replace(self.engine.card, temperature=self.temperature, norms=self.norms)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities that the engine would give with this temperature in its graph."""
        return scale_temperature(
            self.engine.predict(batch), self.temperature / self.engine.card.temperature
        )


def draw_pixels(
    films: Iterable[Film],
    evaluator: Evaluator,
    *,
    seed: int = 0,
    failures: list[Failure],
    on_film: Callable[[Examined | None], None] = lambda _: None,
) -> list[PixelSample]:
    """Draw random pixels of films. Films that fail are appended to `failures`.

    `on_film` is called with each examined film, or with None for a film that failed.
    """
    samples: list[PixelSample] = []
    for film in films:
        examined = None
        try:
            examined = evaluator.examine(film)
            samples += _draw(examined, seed)
        except (FilmError, DataError) as error:
            failures.append(Failure(film, str(error)))
        on_film(examined)
    return samples


def _draw(examined: Examined, seed: int) -> list[PixelSample]:
    film, result = examined.film, examined.segmentation
    labels = film.read_labels()
    size, native = labels.size, result.radiograph.size
    counted = np.arange(size[0] * size[1])
    if labels.ignore is not None:
        counted = counted[~labels.ignore.ravel()]
    rng = np.random.default_rng([seed, zlib.crc32(f"{film.source}/{film.id}".encode())])
    chosen = rng.choice(counted, min(PIXELS, len(counted)), replace=False)
    row, column = np.unravel_index(chosen, size)
    # A mask may be smaller than its film: take the film's pixel at the centre of the mask's pixel.
    film_pixels = tuple(
        ((2 * index + 1) * full // (2 * part)).astype(np.intp)
        for index, full, part in zip((row, column), native, size, strict=True)
    )
    targets = {channel: target_for(labels, channel) for channel in result.channels}
    return [
        PixelSample(
            film.source,
            channel,
            result.probabilities[index][film_pixels].astype(float),
            target[row, column],
        )
        for index, channel in enumerate(result.channels)
        if (target := targets[channel]) is not None
    ]


def join_samples(samples: Sequence[PixelSample]) -> tuple[Floats, Truths]:
    """The probabilities and the labels of all samples together."""
    if not samples:
        return np.zeros(0), np.zeros(0, bool)
    return (
        np.concatenate([sample.predicted for sample in samples]),
        np.concatenate([sample.labels for sample in samples]),
    )


def reliability(predicted: Floats, labels: Truths) -> dict[str, Any]:
    """The reliability curve and its summary numbers.

    `ece`: mean over pixels of |share labelled - mean probability| of each pixel's bin. `mean_gap`:
    the same mean over bins, so that the few uncertain pixels along the outline count as much as the
    many certain ones. `brier`: mean of (probability - label)^2. In the curve `said` is the mean
    probability of a bin, and `true` the share of its pixels that lie in the label mask.
    """
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    known = np.maximum(counts, 1)
    means = np.bincount(bins, predicted, BINS) / known
    shares = np.bincount(bins, labels.astype(float), BINS) / known
    gaps = np.abs(shares - means)
    enough = counts >= FEWEST
    pixels = len(predicted)
    return {
        "pixels": pixels,
        "ece": rounded((gaps * counts).sum() / pixels) if pixels else None,
        "mean_gap": rounded(gaps[enough].mean()) if enough.any() else None,
        "brier": rounded(np.mean((predicted - labels) ** 2)) if pixels else None,
        "log_loss": rounded(log_loss(predicted, labels)) if pixels else None,
        "curve": [
            {"pixels": int(n), "said": rounded(mean), "true": rounded(share)}
            for n, mean, share in zip(counts, means, shares, strict=True)
            if n
        ],
    }


def log_loss(predicted: Floats, labels: Truths) -> float:
    """The mean of -log of the probability of the labelled class."""
    of_label = np.where(labels, predicted, 1 - predicted)
    return float(-np.log(np.clip(of_label, EDGE, 1)).mean())


def best_temperature(predicted: Floats, labels: Truths) -> float:
    """The temperature with the smallest log loss, to three decimals.

    Raises:
        DataError: there are no pixels.
    """
    if not len(predicted):
        raise DataError("no labelled pixel to choose a temperature by; name films with masks")
    logits = logit(np.clip(predicted, EDGE, 1 - EDGE))

    def loss(logarithm: float) -> float:
        return log_loss(expit(logits / np.exp(logarithm)), labels)

    bounds = np.log((LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE))
    result = minimize_scalar(loss, bounds=tuple(bounds), method="bounded", options={"xatol": 1e-4})
    return round(float(np.clip(np.exp(result.x), LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE)), 3)


def scale_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Divide the logits by `temperature`: above 1 the probabilities move towards 0.5.

    sigmoid(logit(p) / T) is p^(1/T) / (p^(1/T) + (1 - p)^(1/T)), which is defined at 0 and 1. 0.5
    stays 0.5, so no pixel of the network's square crosses the threshold.
    """
    if temperature == 1:
        return probabilities
    yes = np.power(probabilities, 1 / temperature)
    no = np.power(1 - probabilities, 1 / temperature)
    tempered: Probabilities = (yes / (yes + no)).astype(np.float32, copy=False)
    return tempered
