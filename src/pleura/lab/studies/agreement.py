"""Comparing the masks of a data set with those that weights give, to find wrong masks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import median

from pleura.core.errors import DataError, FilmError
from pleura.lab.data.film import Film, with_masks
from pleura.lab.data.findings import Finding
from pleura.lab.evaluate.case import Evaluator
from pleura.lab.evaluate.metrics import score
from pleura.runtime.engine import Engine

__all__ = ["Agreement", "compare_with_model"]

CONTRADICTED = 0.5
"""The Dice of a film under which mask and weights contradict each other. Of the 687 test films of
the published accuracy, one is under 0.6."""

DIFFERENT = 0.85
"""The Dice of a film under which its mask should be looked at."""

WRONG_SET = 0.8
"""The median Dice of a source under which its masks are wrong as a whole: masks of other films give
0.69, white ones 0.36, inverted ones 0.007."""

MIN_FILMS = 3
"""The smallest number of films of a source whose median is judged."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the masks of a data set agree with those of weights."""

    findings: tuple[Finding, ...]
    median_dice: dict[str, float]
    """Source -> median Dice of the lungs over its films."""


def compare_with_model(
    films: Sequence[Film],
    engine: Engine,
    *,
    accepted: Collection[str] = (),
    on_film: Callable[[], None] = lambda: None,
) -> Agreement:
    """Segment the films that have masks of lungs, and compare.

    Films that cannot be read or compared are left out: `check` reports them. `on_film` is called
    for each of `films`.
    """
    evaluator = Evaluator(engine)
    scores: dict[str, list[float]] = {}
    findings: list[Finding] = []
    for film in films:
        dice = _dice(film, evaluator) if with_masks([film]) else None
        on_film()
        if dice is None:
            continue
        scores.setdefault(film.source, []).append(dice)
        if dice < DIFFERENT:
            kind = "contradicts-weights" if dice < CONTRADICTED else "differs-from-weights"
            findings.append(Finding(kind, film.id, f"Dice {dice:.3f}", accepted=kind in accepted))
    medians = {source: round(median(values), 3) for source, values in scores.items()}
    for source, value in medians.items():
        if value < WRONG_SET and len(scores[source]) >= MIN_FILMS:
            kind = "set-contradicts-weights"
            detail = f"median Dice {value:.3f} of {len(scores[source])} films"
            findings.append(Finding(kind, source, detail, accepted=kind in accepted))
    return Agreement(tuple(findings), medians)


def _dice(film: Film, evaluator: Evaluator) -> float | None:
    """The Dice of the lungs; None if it cannot be computed."""
    try:
        pairs = evaluator.examine(film).pairs
    except (DataError, FilmError, OSError):
        return None
    lungs = next((pair for pair in pairs if pair.structure == "lungs"), None)
    return None if lungs is None else score(lungs.predicted, lungs.truth).dice
