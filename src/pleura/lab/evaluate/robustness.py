"""How well the shipped path holds when something befalls the film.

Every film is scored as `pleura evaluate` scores it, by the same judge, once as it is and once
under each effect of `perturbation.PERTURBATIONS`; each film is its own control.
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
from pleura.lab.evaluate.case import Judge
from pleura.lab.evaluate.metrics import overlap
from pleura.lab.evaluate.perturbation import PERTURBATIONS, UNPERTURBED, Perturbation
from pleura.lab.evaluate.statistics import POOR_DICE, describe, rounded
from pleura.lab.evaluate.trial import Failure, Selection

__all__ = ["NOTES", "Outcome", "Robustness", "as_csv", "tabulate", "try_films"]

EFFECTS = (UNPERTURBED, *PERTURBATIONS)

NOTES = {
    "scored": "Dice of both lungs together, through the shipped path, at the mask's own size. An "
    "effect is put on the film's own pixels before the path begins, and on the truth alike.",
    "difference": "film by film: Dice under the effect minus Dice of the same film as it is. Its "
    "median is not the difference of the two medians",
    "mirrored": "the sides change places; whether right and left are then called so is not "
    "scored, since a mirrored film does not say that it is one",
    "turned": "about the middle, in a picture of the same size: what leaves it is cut from film "
    "and truth, and the corners are filled with the film's darkest grey. A patient who was turned "
    "leaves no such corners",
    "contrast": "greys half or twice as far from their mean, cut off at the film's ends and "
    "rounded to 8 bits. The path scales every film between two percentiles, which undoes the half "
    "but for the rounding",
    "longer_side": "the film is resized, and so is the truth: at 128 px a mask is as coarse as the "
    "film, and at 4000 px no detail is added. It is not what a detector of that size would give",
    "wider": "more or fewer columns, as where pixels are not square. The path stretches every "
    "film to a square, which undoes it but for the resampling",
    "failed": "a film that is refused or cannot be segmented under an effect is counted, and has "
    "no Dice",
}
"""What the table means, for the reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbedFilm(Film):
    """A film, already read, as an effect leaves it and its truth."""

    radiograph: Radiograph
    truth: Labels
    effect: Perturbation

    def read_image(self) -> Radiograph:
        """The film under the effect."""
        return self.effect.film(self.radiograph)

    def read_labels(self) -> Labels:
        """The truth under the effect."""
        return self.effect.labels(self.truth, self.radiograph.size)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One film under every effect."""

    film: Film
    comparable: bool
    """False if the film labels another definition of lung than was predicted."""

    dice: dict[str, float | None] = field(default_factory=dict)
    """Effect's name -> Dice of the lungs; an effect under which the film failed is absent."""


@dataclass(frozen=True, slots=True)
class Robustness:
    """Every film of a selection under every effect."""

    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]
    """Films that fail as they are, and films that fail under an effect, which the text names."""

    selection: Selection


def try_films(
    selection: Selection, judge: Judge, *, on_film: Callable[[], None] = lambda: None
) -> Robustness:
    """Score every film that labels a lung under every effect; what fails is told."""
    outcomes: list[Outcome] = []
    failures: list[Failure] = []
    for film in selection.films:
        try:
            outcome = _try_film(film, judge, failures)
        except (FilmError, DataError) as error:
            failures.append(Failure(film.id, film.source, str(error)))
        else:
            outcomes += [] if outcome is None else [outcome]
        on_film()
    return Robustness(tuple(outcomes), tuple(failures), selection)


def _try_film(film: Film, judge: Judge, failures: list[Failure]) -> Outcome | None:
    """One film under every effect; None if it labels no lung."""
    known: dict[str, Any] = {each.name: getattr(film, each.name) for each in fields(Film)}
    known |= {"radiograph": film.read_image(), "truth": film.read_labels()}
    made = PerturbedFilm(**known, effect=UNPERTURBED)
    first = judge.examine(made)
    if first.definition is None:
        return None
    outcome = Outcome(film, first.definition == first.predicted_definition)
    for effect in EFFECTS:
        try:
            examined = judge.examine(replace(made, effect=effect)) if outcome.dice else first
        except (FilmError, DataError) as error:
            failures.append(Failure(film.id, film.source, f"{effect.title}: {error}"))
            continue
        pair = next(each for each in examined.pairs if each.structure == "lungs")
        outcome.dice[effect.name] = overlap(pair.predicted, pair.truth)
    return outcome


def tabulate(found: Robustness, *, seed: int = 0) -> dict[str, Any]:
    """The table as plain values: for all sources together and for each, a row an effect.

    Films scored against another definition of lung stand in their source's rows alone.
    """
    comparable = [each for each in found.outcomes if each.comparable]
    sources = sorted({each.film.source for each in found.outcomes})
    return {
        "films": {
            "scored": len(found.outcomes),
            "failed": len(found.failures),
            "without_mask": found.selection.without_mask,
            "beyond_limit": found.selection.beyond_limit,
        },
        "failures": [
            {"id": each.id, "source": each.source, "error": each.error} for each in found.failures
        ],
        "effects": {each.name: each.title for each in EFFECTS},
        "overall": _rows(comparable, seed),
        "by_source": {
            source: _rows([each for each in found.outcomes if each.film.source == source], seed)
            for source in sources
        },
        "notes": NOTES,
    }


def _rows(outcomes: Sequence[Outcome], seed: int) -> dict[str, dict[str, Any]]:
    return {each.name: _row(outcomes, each.name, seed) for each in EFFECTS} if outcomes else {}


def _row(outcomes: Sequence[Outcome], name: str, seed: int) -> dict[str, Any]:
    """Dice under one effect, and film by film against the film as it is."""
    mine = [each for each in outcomes if name in each.dice]
    patients = [f"{each.film.source}/{each.film.patient or each.film.id}" for each in mine]
    values = [each.dice[name] for each in mine]
    known = [value for value in values if value is not None]
    poor = sum(value < POOR_DICE for value in known)
    return {
        "failed": len(outcomes) - len(mine),
        "dice": describe(values, patients, seed=seed)
        | {"share_under_090": rounded(poor / len(known)) if known else None},
        "difference": describe([_change(each, name) for each in mine], patients, seed=seed),
    }


def _change(outcome: Outcome, name: str) -> float | None:
    before, after = outcome.dice.get(UNPERTURBED.name), outcome.dice[name]
    return None if before is None or after is None else after - before


def as_csv(found: Robustness) -> str:
    """A row a film, a column an effect; what is undefined or failed is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [each.name for each in EFFECTS]
    writer.writerow(["id", "source", "condition", "comparable", *names])
    for each in found.outcomes:
        cells = [each.dice.get(name) for name in names]
        facts = [each.film.id, each.film.source, each.film.condition, each.comparable]
        writer.writerow([*facts, *("" if cell is None else cell for cell in cells)])
    return text.getvalue()
