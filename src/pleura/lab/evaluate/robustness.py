"""Robustness: the Dice of each film under perturbations, compared with the film as it is.

Films are scored as by `pleura evaluate`, once unperturbed and once under each perturbation of
`perturbation.PERTURBATIONS`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pleura.core.errors import DataError, FilmError
from pleura.core.types import Radiograph
from pleura.lab.data.film import Film, Labels
from pleura.lab.evaluate.case import Evaluator
from pleura.lab.evaluate.evaluation import Failure, Selection
from pleura.lab.evaluate.metrics import overlap
from pleura.lab.evaluate.perturbation import PERTURBATIONS, UNPERTURBED, Perturbation
from pleura.lab.evaluate.statistics import POOR_DICE, describe, rounded

__all__ = ["NOTES", "Outcome", "Robustness", "as_csv", "tabulate", "try_films"]

EFFECTS = (UNPERTURBED, *PERTURBATIONS)

NOTES = {
    "scored": "Dice of both lungs together, through the shipped path, at the mask's own size. A "
    "perturbation changes the film's own pixels before the path begins, and the mask alike.",
    "difference": "film by film: perturbed Dice minus Dice of the same film as it is. Its "
    "median is not the difference of the two medians",
    "mirrored": "the sides change places. Right and left are not scored, since a mirrored film "
    "cannot be recognised",
    "turned": "about the middle, in a picture of the same size: film and mask are cut off at its "
    "edges, and the corners have the film's darkest grey. Films of a turned patient have no "
    "such corners",
    "contrast": "greys half or twice as far from their mean, clipped to the film's range and "
    "rounded to 8 bits. The path scales every film between two percentiles, which undoes the half "
    "except for the rounding",
    "longer_side": "film and mask are resized: at 128 px a mask is as coarse as the film, and at "
    "4000 px no detail is added. A detector of that size would give more detail",
    "wider": "more or fewer columns, as if pixels were not square. The path stretches every "
    "film to a square, which undoes it except for the resampling",
    "failed": "a film that cannot be read or segmented when perturbed is counted, and has no Dice",
}
"""The meaning of the table, for reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbedFilm(Film):
    """A film that is read already, with a perturbation of it and of its label masks."""

    radiograph: Radiograph
    truth: Labels
    effect: Perturbation

    def read_image(self) -> Radiograph:
        """The perturbed film."""
        return self.effect.film(self.radiograph)

    def read_labels(self) -> Labels:
        """The perturbed label masks."""
        return self.effect.labels(self.truth, self.radiograph.size)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The Dice of one film under every perturbation."""

    film: Film
    comparable: bool
    """False if the predicted and the labelled definition of lung differ."""

    dice: dict[str, float | None] = field(default_factory=dict)
    """Name of the perturbation -> Dice of the lungs; without those under which the film failed."""


@dataclass(frozen=True, slots=True)
class Robustness:
    """The outcomes of all films of a selection."""

    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]
    """Films that fail unperturbed, and films that fail under a perturbation (see the text)."""

    selection: Selection


def try_films(
    selection: Selection, evaluator: Evaluator, *, on_film: Callable[[], None] = lambda: None
) -> Robustness:
    """Score every film with labelled lungs under every perturbation. Errors become `Failure`s."""
    outcomes: list[Outcome] = []
    failures: list[Failure] = []
    for film in selection.films:
        try:
            outcome = _try_film(film, evaluator, failures)
        except (FilmError, DataError) as error:
            failures.append(Failure(film, str(error)))
        else:
            outcomes += [] if outcome is None else [outcome]
        on_film()
    return Robustness(tuple(outcomes), tuple(failures), selection)


def _try_film(film: Film, evaluator: Evaluator, failures: list[Failure]) -> Outcome | None:
    """Score one film under every perturbation; None if no lung is labelled."""
    known: dict[str, Any] = {item.name: getattr(film, item.name) for item in fields(Film)}
    known |= {"radiograph": film.read_image(), "truth": film.read_labels()}
    unperturbed = PerturbedFilm(**known, effect=UNPERTURBED)
    first = evaluator.examine(unperturbed)
    if first.definition is None:
        return None
    outcome = Outcome(film, first.definition == first.predicted_definition)
    for effect in EFFECTS:
        try:
            examined = (
                evaluator.examine(replace(unperturbed, effect=effect)) if outcome.dice else first
            )
        except (FilmError, DataError) as error:
            failures.append(Failure(film, f"{effect.title}: {error}"))
            continue
        pair = next(pair for pair in examined.pairs if pair.structure == "lungs")
        outcome.dice[effect.name] = overlap(pair.predicted, pair.truth)
    return outcome


def tabulate(result: Robustness, *, seed: int = 0) -> dict[str, Any]:
    """The table as plain values: one row for each perturbation, for all sources and for each.

    Films scored against another definition of lung are in their source's rows only.
    """
    comparable = [outcome for outcome in result.outcomes if outcome.comparable]
    sources = sorted({outcome.film.source for outcome in result.outcomes})
    return {
        "films": {
            "scored": len(result.outcomes),
            "failed": len(result.failures),
            "without_mask": result.selection.without_mask,
            "beyond_limit": result.selection.beyond_limit,
        },
        "failures": [failure.as_dict() for failure in result.failures],
        "effects": {effect.name: effect.title for effect in EFFECTS},
        "overall": _rows(comparable, seed),
        "by_source": {
            source: _rows([o for o in result.outcomes if o.film.source == source], seed)
            for source in sources
        },
        "notes": NOTES,
    }


def _rows(outcomes: Sequence[Outcome], seed: int) -> dict[str, dict[str, Any]]:
    return (
        {effect.name: _row(outcomes, effect.name, seed) for effect in EFFECTS} if outcomes else {}
    )


def _row(outcomes: Sequence[Outcome], name: str, seed: int) -> dict[str, Any]:
    """Dice under one perturbation, and its differences from the Dice of the unperturbed films."""
    scored = [outcome for outcome in outcomes if name in outcome.dice]
    patients = [f"{o.film.source}/{o.film.patient or o.film.id}" for o in scored]
    values = [outcome.dice[name] for outcome in scored]
    known = [value for value in values if value is not None]
    poor = sum(value < POOR_DICE for value in known)
    return {
        "failed": len(outcomes) - len(scored),
        "dice": describe(values, patients, seed=seed)
        | {"share_under_090": rounded(poor / len(known)) if known else None},
        "difference": describe(
            [_difference(outcome, name) for outcome in scored], patients, seed=seed
        ),
    }


def _difference(outcome: Outcome, name: str) -> float | None:
    before, after = outcome.dice.get(UNPERTURBED.name), outcome.dice[name]
    return None if before is None or after is None else after - before


def as_csv(result: Robustness) -> str:
    """One row for each film, one column for each perturbation; undefined or failed is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [effect.name for effect in EFFECTS]
    writer.writerow(["id", "source", "condition", "comparable", *names])
    for outcome in result.outcomes:
        cells = [outcome.dice.get(name) for name in names]
        film = outcome.film
        facts = [film.id, film.source, film.condition, outcome.comparable]
        writer.writerow([*facts, *("" if cell is None else cell for cell in cells)])
    return text.getvalue()
