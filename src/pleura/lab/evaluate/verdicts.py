"""How far a verdict is to be trusted: held against the true Dice, and against what is no film."""

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
from pleura.core.quality.verdict import conclude
from pleura.core.reference import read_reference_values
from pleura.core.types import Quality
from pleura.io.read import read_radiograph
from pleura.io.run.find import find_films
from pleura.lab.evaluate.fit_reference import Seen
from pleura.lab.evaluate.statistics import POOR_DICE, rounded
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter, redefine

__all__ = ["Judged", "average_precision", "figures", "judge_seen", "negatives", "ranked_right"]

PARTS = ("looked_at", "kept")
"""Of what is no chest film, by turns in the order of names: the features and limits were chosen
with the first in sight, and only the second says how well they work."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A film's result and the verdict on it."""

    seen: Seen
    quality: Quality


def judge_seen(seen: Sequence[Seen], norms: dict[str, Any]) -> list[Judged]:
    """The verdicts by these norms."""
    return [
        Judged(each, conclude(each.features, read_reference_values(norms, each.definition)))
        for each in seen
    ]


def figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """By definition, of the films that label it and of those that do not; and of all that do."""
    parts = {
        definition: [each for each in judged if each.seen.definition == definition]
        for definition in sorted({each.seen.definition for each in judged})
    }
    labelled = [each for each in judged if each.seen.dice is not None]
    sources = sorted({each.seen.source for each in labelled})
    return {
        "labelled": _figures(labelled),
        "by_definition": {
            name: {
                "labelled": _figures([each for each in part if each.seen.dice is not None]),
                "others": _shares([each.quality for each in part if each.seen.dice is None]),
            }
            for name, part in parts.items()
        },
        "by_source": {
            name: _figures([each for each in labelled if each.seen.source == name])
            for name in sources
        },
    }


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    true = np.array([each.seen.dice for each in judged], dtype=float)
    told = [each.quality.estimated_dice for each in judged]
    known = np.array([each is not None for each in told], dtype=bool)
    said = np.array([each for each in told if each is not None])
    poor, sent = true < POOR_DICE, np.array([each.quality.verdict != "ok" for each in judged], bool)
    # a film without an estimate is doubted more than any other, where others have one
    scores = np.array([-1.0 if each is None else each for each in told])
    off = said - true[known]
    return {
        **_shares([each.quality for each in judged]),
        "mae": rounded(np.abs(off).mean()) if len(said) else None,
        "bias": rounded(off.mean()) if len(said) else None,
        "mae_of_median": rounded(np.abs(true - np.median(true)).mean()) if len(true) else None,
        "correlation": _correlation(said, true[known]),
        "poor": int(poor.sum()),
        "poor_sent": int((poor & sent).sum()),
        "auroc": ranked_right(scores, poor) if len(said) else None,
        "average_precision": average_precision(scores, poor) if len(said) else None,
        "points": [
            {"said": rounded(each.quality.estimated_dice), "true": rounded(each.seen.dice),
             "source": each.seen.source, "verdict": each.quality.verdict}
            for each in judged
        ],
    }  # fmt: skip


def _shares(qualities: Sequence[Quality]) -> dict[str, Any]:
    counts, films = Counter(each.verdict for each in qualities), len(qualities)
    doubts = Counter(doubt.code for each in qualities for doubt in each.doubts)
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


def ranked_right(scores: NDArray[np.float64], poor: NDArray[np.bool_]) -> float | None:
    """AUROC: how often a poor film has the lower score of two; None without both kinds."""
    bad, good = int(poor.sum()), int((~poor).sum())
    if not bad or not good:
        return None
    ranks = rankdata(-scores)
    return rounded((ranks[poor].sum() - bad * (bad + 1) / 2) / (bad * good))


def average_precision(scores: NDArray[np.float64], poor: NDArray[np.bool_]) -> float | None:
    """Mean over the poor films of the share of poor ones among all that score no higher."""
    if not poor.any():
        return None
    shares = [poor[scores <= each].mean() for each in scores[poor]]
    return rounded(np.mean(shares))


def negatives(
    inputs: Sequence[Path], engine: Engine, *, on_film: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """What is said of pictures that are no frontal chest films, by definition and part.

    Of each input every second one, by name, belongs to each of `PARTS`. One that cannot be read is
    `unreadable`: nobody gets a mask of it.
    """
    found: dict[tuple[str, str], list[Quality]] = {}
    unreadable = 0
    first, *others = engine.card.definitions
    segmenter = Segmenter(engine, definition=first)
    for path, part in _parted(inputs):
        try:
            result = segmenter(read_radiograph(path, photographs=True))
        except FilmError:
            unreadable += 1
        else:
            again = [redefine(result, each, engine.card) for each in others]
            for each in (result, *again):
                found.setdefault((each.provenance.definition, part), []).append(each.quality)
        on_film()
    shares = {
        name: {part: _shares(found.get((name, part), [])) for part in PARTS}
        for name in engine.card.definitions
    }
    return {"unreadable": unreadable, "by_definition": shares}


def _parted(inputs: Sequence[Path]) -> list[tuple[Path, str]]:
    return [
        (each.path, PARTS[index % 2])
        for given in inputs
        for index, each in enumerate(
            sorted(find_films([given]).films, key=lambda found: found.path.name)
        )
    ]
