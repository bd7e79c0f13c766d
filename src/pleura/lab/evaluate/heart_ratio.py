"""The cardiothoracic ratio compared with that of the label masks: bias, limits, errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.lab.evaluate.case import Row
from pleura.lab.evaluate.metrics import DIGITS

__all__ = ["FAR_OFF", "ratio_figures"]

FAR_OFF = 0.05
"""A ratio that differs by more than this from that of the label masks is far off."""


def ratio_figures(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """The figures of the films whose ratio users get (`kept`), and of `all` films.

    They are computed from the rows of hearts with both ratios, for each source and `overall`. Empty
    if no film labels a heart and both lungs.
    """
    hearts = [row for row in rows if row.structure == "heart" and row.true_ratio is not None]
    groups = {"overall": hearts} | {
        source: [row for row in hearts if row.source == source]
        for source in sorted({row.source for row in hearts})
    }
    return {
        name: {"kept": _agreement(_kept(group)), "all": _agreement(group)}
        for name, group in groups.items()
        if group
    }


def _kept(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.heart_verdict == "ok"]


def _agreement(rows: Sequence[Row]) -> dict[str, Any]:
    """Bland-Altman (1986): predicted less labelled; limits for about 95 % of films."""
    errors = np.array(
        [
            row.ratio - row.true_ratio
            for row in rows
            if row.ratio is not None and row.true_ratio is not None
        ]
    )
    figures: dict[str, Any] = {"n": len(errors), "n_undefined": len(rows) - len(errors)}
    names = ("bias", "low", "high", "mean_absolute_error", "share_far_off")
    return figures | dict.fromkeys(names) | (_figures(errors) if len(errors) else {})


def _figures(errors: NDArray[np.float64]) -> dict[str, float]:
    bias, off = float(errors.mean()), np.abs(errors).round(DIGITS)
    figures = {
        "bias": bias,
        "mean_absolute_error": float(off.mean()),
        "share_far_off": float((off > FAR_OFF).mean()),
    }
    if len(errors) > 1:
        half_width = 1.96 * float(errors.std(ddof=1))
        figures |= {"low": bias - half_width, "high": bias + half_width}
    return {name: round(value, DIGITS) for name, value in figures.items()}
