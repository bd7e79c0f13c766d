"""Evaluating verdicts: on labelled films by their Dice, and on pictures that are no chest films."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pleura.core.errors import FilmError
from pleura.core.quality.verdict import judge_features
from pleura.core.reference import read_reference_values
from pleura.core.types import Quality
from pleura.io.read import read_radiograph
from pleura.io.run.find import find_films
from pleura.lab.evaluate.fit_reference import ResultFeatures
from pleura.lab.evaluate.statistics import POOR_DICE, rounded
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter, with_definition

__all__ = [
    "Judged",
    "auroc",
    "average_precision",
    "judge_results",
    "negative_figures",
    "verdict_figures",
]

PARTS = ("looked_at", "kept")
"""The two parts of the pictures that are no chest films; by name, every second one is in the second
part. Features and limits were chosen on the first part, so only the second part measures how well
they work."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A film's features and the verdict on it."""

    result: ResultFeatures
    quality: Quality


def judge_results(results: Sequence[ResultFeatures], on_card: dict[str, Any]) -> list[Judged]:
    """The verdicts by these reference values."""
    return [
        Judged(
            result,
            judge_features(
                result.features, result.film, read_reference_values(on_card, result.definition)
            ),
        )
        for result in results
    ]


def verdict_figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """Statistics of the verdicts: of all labelled films, by definition, and by source."""
    parts = {
        definition: [film for film in judged if film.result.definition == definition]
        for definition in sorted({film.result.definition for film in judged})
    }
    labelled = [film for film in judged if film.result.dice is not None]
    sources = sorted({film.result.source for film in labelled})
    return {
        "labelled": _figures(labelled),
        "by_definition": {
            name: {
                "labelled": _figures([film for film in part if film.result.dice is not None]),
                "others": _shares([film.quality for film in part if film.result.dice is None]),
            }
            for name, part in parts.items()
        },
        "by_source": {
            name: _figures([film for film in labelled if film.result.source == name])
            for name in sources
        },
    }


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    dice = np.array([film.result.dice for film in judged], dtype=float)
    estimates = [film.quality.estimated_dice for film in judged]
    known = np.array([estimate is not None for estimate in estimates], dtype=bool)
    estimated = np.array([estimate for estimate in estimates if estimate is not None])
    poor, sent = dice < POOR_DICE, np.array([film.quality.verdict != "ok" for film in judged], bool)
    # a film without an estimate ranks below all others
    scores = np.array([-1.0 if estimate is None else estimate for estimate in estimates])
    errors = estimated - dice[known]
    return {
        **_shares([film.quality for film in judged]),
        "mae": rounded(np.abs(errors).mean()) if len(estimated) else None,
        "bias": rounded(errors.mean()) if len(estimated) else None,
        "mae_of_median": rounded(np.abs(dice - np.median(dice)).mean()) if len(dice) else None,
        "correlation": _correlation(estimated, dice[known]),
        "poor": int(poor.sum()),
        "poor_sent": int((poor & sent).sum()),
        "auroc": auroc(scores, poor) if len(estimated) else None,
        "average_precision": average_precision(scores, poor) if len(estimated) else None,
        "points": [
            {"said": rounded(film.quality.estimated_dice), "true": rounded(film.result.dice),
             "source": film.result.source, "verdict": film.quality.verdict}
            for film in judged
        ],
    }  # fmt: skip


def _shares(qualities: Sequence[Quality]) -> dict[str, Any]:
    counts, films = Counter(quality.verdict for quality in qualities), len(qualities)
    doubts = Counter(doubt.code for quality in qualities for doubt in quality.doubts)
    return {
        "films": films,
        "review": rounded(counts["review"] / films) if films else None,
        "refused": rounded(counts["refused"] / films) if films else None,
        "doubts": dict(sorted(doubts.items())),
    }


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(a) < 3 or not np.ptp(a) or not np.ptp(b):
        return None
    return rounded(np.corrcoef(a, b)[0, 1])


def auroc(scores: NDArray[np.float64], poor: NDArray[np.bool_]) -> float | None:
    """The AUROC of `scores` for finding poor films (low scores); None without both kinds.

    It is the probability that a poor film has a lower score than a good one.
    """
    bad, good = int(poor.sum()), int((~poor).sum())
    if not bad or not good:
        return None
    ranks = rankdata(-scores)
    return rounded((ranks[poor].sum() - bad * (bad + 1) / 2) / (bad * good))


def average_precision(scores: NDArray[np.float64], poor: NDArray[np.bool_]) -> float | None:
    """Mean over the poor films of the share of poor ones among all that score no higher."""
    if not poor.any():
        return None
    shares = [poor[scores <= score].mean() for score in scores[poor]]
    return rounded(np.mean(shares))


def negative_figures(
    inputs: Sequence[Path], engine: Engine, *, on_film: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Statistics of the verdicts on pictures that are no frontal chest films.

    They are by definition and by part: the pictures of each input, sorted by name, belong to the
    two `PARTS` in turn. A picture that cannot be read counts as `unreadable`, and has no verdict.
    """
    qualities: dict[tuple[str, str], list[Quality]] = {}
    unreadable = 0
    first, *others = engine.card.definitions
    segmenter = Segmenter(engine, definition=first)
    for path, part in _paths_with_parts(inputs):
        try:
            result = segmenter(read_radiograph(path, photographs=True))
        except FilmError:
            unreadable += 1
        else:
            by_others = [with_definition(result, name, engine.card) for name in others]
            for lungs in (result, *by_others):
                key = (lungs.provenance.definition, part)
                qualities.setdefault(key, []).append(lungs.quality)
        on_film()
    shares = {
        name: {part: _shares(qualities.get((name, part), [])) for part in PARTS}
        for name in engine.card.definitions
    }
    return {"unreadable": unreadable, "by_definition": shares}


def _paths_with_parts(inputs: Sequence[Path]) -> list[tuple[Path, str]]:
    return [
        (film.path, PARTS[index % 2])
        for folder in inputs
        for index, film in enumerate(
            sorted(find_films([folder]).films, key=lambda film: film.path.name)
        )
    ]
