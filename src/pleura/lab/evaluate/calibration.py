"""Do probabilities come true as often as they say? Reliability, and the temperature that mends it.

Pixels are drawn from every film at its own size, after everything that is shipped has happened to
the network's answer but the threshold and the clean-up.
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
from pleura.core.card import COLDEST, HOTTEST, Card
from pleura.core.errors import DataError, FilmError
from pleura.lab.data.film import Film
from pleura.lab.data.labels import target_for
from pleura.lab.evaluate.case import Examined, Judge
from pleura.lab.evaluate.statistics import rounded
from pleura.lab.evaluate.trial import Failure
from pleura.runtime.engine import Engine, EngineInFront

__all__ = [
    "BINS",
    "PIXELS",
    "Drawn",
    "Tempered",
    "best_temperature",
    "draw_pixels",
    "log_loss",
    "reliability",
    "temper",
]


PIXELS = 2000
"""Drawn from a film; every labelled channel is looked at in the same pixels."""

BINS = 15
"""Of equal width, from 0 to 1."""

FEWEST = 50
"""Pixels; a bin with fewer says nothing of its own."""

EDGE = 1e-6
"""Probabilities are taken to be at least so far from 0 and 1 where a logarithm is needed."""

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pixels of one channel of one film: what was said of them, and what is true."""

    source: str
    channel: str
    said: Floats
    true: Truths


@dataclass(frozen=True, slots=True)
class Tempered(EngineInFront):
    """An engine of another temperature and norms; what it answers is what would be shipped."""

    engine: Engine
    temperature: float
    norms: dict[str, Any] = field(default_factory=dict)

    @property
    def card(self) -> Card:
        """The engine's, but for the temperature and the norms."""
        return replace(self.engine.card, temperature=self.temperature, norms=self.norms)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """As the engine's own, once its graph divided by this temperature instead."""
        return temper(self.engine.predict(batch), self.temperature / self.engine.card.temperature)


def draw_pixels(
    films: Iterable[Film],
    judge: Judge,
    *,
    seed: int = 0,
    failures: list[Failure],
    on_film: Callable[[Examined | None], None] = lambda _: None,
) -> list[Drawn]:
    """The same pixels of the same films for the same seed; films that fail go to `failures`.

    `on_film` gets each film when it is done, or None in place of one that failed.
    """
    drawn: list[Drawn] = []
    for film in films:
        examined = None
        try:
            examined = judge.examine(film)
            drawn += _draw(examined, seed)
        except (FilmError, DataError) as error:
            failures.append(Failure(film.id, film.source, str(error)))
        on_film(examined)
    return drawn


def _draw(examined: Examined, seed: int) -> list[Drawn]:
    film, found = examined.film, examined.found
    labels = film.read_labels()
    size, native = labels.size, found.radiograph.size
    counted = np.arange(size[0] * size[1])
    if labels.ignore is not None:
        counted = counted[~labels.ignore.ravel()]
    rng = np.random.default_rng([seed, zlib.crc32(f"{film.source}/{film.id}".encode())])
    chosen = rng.choice(counted, min(PIXELS, len(counted)), replace=False)
    row, column = np.unravel_index(chosen, size)
    # A mask may be smaller than its film: the film's pixel under the middle of the mask's.
    at = tuple(
        ((2 * place + 1) * full // (2 * part)).astype(np.intp)
        for place, full, part in zip((row, column), native, size, strict=True)
    )
    truths = {channel: target_for(labels, channel) for channel in found.channels}
    return [
        Drawn(film.source, channel, found.probabilities[index][at].astype(float), true[row, column])
        for index, channel in enumerate(found.channels)
        if (true := truths[channel]) is not None
    ]


def joined(drawn: Sequence[Drawn]) -> tuple[Floats, Truths]:
    """All pixels together."""
    if not drawn:
        return np.zeros(0), np.zeros(0, bool)
    return np.concatenate([d.said for d in drawn]), np.concatenate([d.true for d in drawn])


def reliability(said: Floats, true: Truths) -> dict[str, Any]:
    """The curve and what it comes to.

    `ece`: mean over pixels of |share true - mean said| of each pixel's bin. `mean_gap`: the same
    mean over bins, so that the few unsure pixels along the outline count as much as the many sure
    ones. `brier`: mean of (said - true)^2.
    """
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    known = np.maximum(counts, 1)
    means = np.bincount(place, said, BINS) / known
    shares = np.bincount(place, true.astype(float), BINS) / known
    gaps = np.abs(shares - means)
    enough = counts >= FEWEST
    pixels = len(said)
    return {
        "pixels": pixels,
        "ece": rounded((gaps * counts).sum() / pixels) if pixels else None,
        "mean_gap": rounded(gaps[enough].mean()) if enough.any() else None,
        "brier": rounded(np.mean((said - true) ** 2)) if pixels else None,
        "log_loss": rounded(log_loss(said, true)) if pixels else None,
        "curve": [
            {"pixels": int(n), "said": rounded(mean), "true": rounded(share)}
            for n, mean, share in zip(counts, means, shares, strict=True)
            if n
        ],
    }


def log_loss(said: Floats, true: Truths) -> float:
    """Mean of -log of what was said of what is true."""
    right = np.where(true, said, 1 - said)
    return float(-np.log(np.clip(right, EDGE, 1)).mean())


def best_temperature(said: Floats, true: Truths) -> float:
    """The temperature of the smallest log loss, to three digits after the point.

    Raises:
        DataError: there are no pixels to choose by.
    """
    if not len(said):
        raise DataError("no labelled pixel to choose a temperature by; name films with masks")
    logits = logit(np.clip(said, EDGE, 1 - EDGE))

    def loss(logarithm: float) -> float:
        return log_loss(expit(logits / np.exp(logarithm)), true)

    bounds = np.log((COLDEST, HOTTEST))
    found = minimize_scalar(loss, bounds=tuple(bounds), method="bounded", options={"xatol": 1e-4})
    return round(float(np.clip(np.exp(found.x), COLDEST, HOTTEST)), 3)


def temper(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Divide the logits by `temperature`: above 1 is less sure, below 1 surer; 1 changes nothing.

    sigmoid(logit(p) / T) is p^(1/T) / (p^(1/T) + (1 - p)^(1/T)), which needs no care at 0 and 1.
    What lies at 0.5 stays there, so no pixel of the network's square changes sides.
    """
    if temperature == 1:
        return probabilities
    yes = np.power(probabilities, 1 / temperature)
    no = np.power(1 - probabilities, 1 / temperature)
    tempered: Probabilities = (yes / (yes + no)).astype(np.float32, copy=False)
    return tempered
