"""How sure a mean is: bootstrap intervals over patients.

Films of one patient resemble each other, so patients are drawn, not films. The interval is
bias-corrected and accelerated (BCa; Efron 1987), 95 %, of 9,999 draws; where every patient has
one film it is the ordinary one that `scipy.stats.bootstrap` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["CONFIDENCE", "FEWEST_PATIENTS", "RESAMPLES", "mean_interval"]

RESAMPLES = 9_999
CONFIDENCE = 0.95
FEWEST_PATIENTS = 5
"""With fewer there is nothing to draw from, and no interval is given."""

Floats = NDArray[np.float64]


def mean_interval(
    values: Sequence[float], patients: Sequence[str], *, seed: int
) -> tuple[float, float] | None:
    """The interval of the mean of `values`, each of one film of a patient; None if too few."""
    sums, counts = _by_patient(values, patients)
    if len(sums) < FEWEST_PATIENTS:
        return None
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    draws = _draws(len(sums), seed)
    means = np.sort((draws @ sums) / (draws @ counts))
    shares = _shares(means, sums, counts)
    low, high = np.quantile(means, shares)
    return float(low), float(high)


def _by_patient(values: Sequence[float], patients: Sequence[str]) -> tuple[Floats, Floats]:
    """The sum of the values, and how many, for each patient."""
    _, index = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, float))
    return sums.astype(float), np.bincount(index).astype(float)


@lru_cache(maxsize=2)
def _draws(patients: int, seed: int) -> Floats:
    """(RESAMPLES, patients): how often each patient is drawn."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(patients, np.full(patients, 1 / patients), RESAMPLES).astype(float)


def _shares(means: Floats, sums: Floats, counts: Floats) -> Floats:
    """Which quantiles of the drawn means are the interval's ends."""
    mean = sums.sum() / counts.sum()
    below = np.searchsorted(means, (mean - 1e-12, mean + 1e-12)).mean() / len(means)
    bias = ndtri(np.clip(below, 1 / (len(means) + 1), len(means) / (len(means) + 1)))
    without = (sums.sum() - sums) / (counts.sum() - counts)  # the mean, each patient left out
    away = without.mean() - without
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5) if away.any() else 0.0
    ends = ndtri([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) + bias
    shares: Floats = ndtr(bias + ends / (1 - acceleration * ends))
    return shares
