"""A recipe proposed from the films of a data set: their number, labels, sizes and sources."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from pleura.core.errors import DataError, FilmError
from pleura.lab.data.film import Film, evenly, with_masks
from pleura.lab.data.labels import RIGHT_AND_LEFT, labelled_channels
from pleura.lab.data.split import add_validation_split, without_copies
from pleura.lab.train.recipe.parse import load_recipe
from pleura.lab.train.recipe.recipe import Recipe
from pleura.lab.train.recipe.stage import Stage
from pleura.lab.train.recipe.write import recipe_toml

__all__ = ["FEW_FILMS", "Fingerprint", "Proposal", "fingerprint_of", "propose"]

FEW_FILMS = 100
"""The number of training films under which the shipped weights, trained further, are better."""

MANY_FILMS = 1000
"""The number of training films from which on a step has eight films, not four."""

LUNGS = (("right_field", "left_field"), ("right_whole", "left_whole"))

MIN_LABELLED = 10
"""Films that a channel needs to be proposed, if another one has them."""

MAX_SIDE, EARLY_SIDE = 384, 256
"""Side of the square, px, and that of the first part of a run, in which the network learns most."""

EARLY_SHARE = 0.6
"""The share of the epochs on smaller squares."""

MIN_USES, PASSES, MAX_USES = 8000, 16, 160_000
"""Uses of films in a run: 16 for each film, between a least number, which few films need too, and
that of the shipped weights."""

EPOCH = (200, 1600)
"""The smallest and the largest number of films used in an epoch."""

SIZE_SAMPLE = 32
"""Films that are opened for their size."""

HEADING = "Proposed by `pleura data recipe`; the page Recipes of the reference explains every key."

BASE = Path("default")
"""The recipe of the shipped weights. A proposal has its network, augmentation and learning rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The facts about a data set that its recipe depends on.

    Training validates on some films of split `train` of each source without films of split `val`.
    They count as validation films here.
    """

    training: int
    """Films to train on: with a mask, and no copies of test films."""

    validation: int
    """Films to validate on."""

    sources: dict[str, int]
    """Training films of each source."""

    labelled: dict[str, int]
    """Training films that label a channel, directly or by other channels."""

    longest_sides: tuple[int, ...]
    """The longer sides of a sample of the films, px, sorted."""

    unvalidated: tuple[str, ...] = ()
    """Sources without films of split `val`."""

    held_out: int = 0
    """The validation films of these sources, of split `train`."""

    undivided: int = 0
    """Training films with one mask of both lungs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A recipe, why it has its settings, and what to know before it is used."""

    recipe: Recipe
    reasons: dict[str, str]
    """By key of the recipe, or name of a table."""

    basis: str = ""
    """The films that the recipe is proposed for, in a sentence."""

    notes: list[str] = field(default_factory=list)

    def toml(self) -> str:
        """The recipe as TOML, with the reasons as comments."""
        return recipe_toml(self.recipe, self.reasons, heading=f"{HEADING}\n{self.basis}")


def fingerprint_of(
    films: Sequence[Film], *, on_film: Callable[[], object] = lambda: None
) -> Fingerprint:
    """The fingerprint of a data set; opens up to `SIZE_SAMPLE` films and no mask.

    Raises `DataError` if no training film has a mask, or if a film cannot be read.
    """
    usable = [film for film in without_copies(with_masks(films)) if film.split != "test"]
    if not _part(usable, "train"):
        raise DataError(
            f"0 films of split 'train' with a mask among {len(films)}; `pleura data split` makes "
            "a split, and --splits takes it"
        )
    validated = {film.source for film in _part(usable, "val")}
    unvalidated = {film.source for film in _part(usable, "train")} - validated
    share = _validation_share(len(_part(usable, "train")), bool(unvalidated))
    divided = add_validation_split(usable, share, Recipe(name="proposed").validation_seed)
    training, validation = _part(divided, "train"), _part(divided, "val")
    return Fingerprint(
        training=len(training),
        validation=len(validation),
        sources=dict(Counter(film.source for film in training)),
        labelled=dict(Counter(name for film in training for name in labelled_channels([film]))),
        longest_sides=_longest_sides(training, on_film),
        unvalidated=tuple(sorted(unvalidated)),
        held_out=len(validation) - len(_part(usable, "val")),
        undivided=sum(not film.channels.isdisjoint(RIGHT_AND_LEFT) for film in training),
    )


def _part(films: Sequence[Film], name: str) -> list[Film]:
    return [film for film in films if film.split == name]


def _validation_share(training: int, unvalidated: bool) -> float:
    """The recipe's `validation_share`, by the films of split `train`."""
    return 0.2 if training < FEW_FILMS and unvalidated else 0.1


def _longest_sides(films: Sequence[Film], on_film: Callable[[], object]) -> tuple[int, ...]:
    """Of an even sample of the films, px, sorted."""
    sides = []
    for film in evenly(films, SIZE_SAMPLE):
        sides.append(max(_size(film)))
        on_film()
    return tuple(sorted(sides))


def _size(film: Film) -> tuple[int, ...]:
    try:
        return film.read_image().pixels.shape
    except FilmError as error:
        raise DataError(
            f"{film.image}: {error}; `pleura data check` lists all films that cannot be read"
        ) from error


def propose(facts: Fingerprint, name: str) -> Proposal:
    """The recipe `name` that suits the data set, which trains a network from random weights.

    Raises `DataError` if the masks label no lungs.
    """
    base = load_recipe(BASE)
    channels, left_out = _channels(facts.labelled)
    side = _side(facts.longest_sides, base.network.stride)
    uses = min(MAX_USES, max(MIN_USES, PASSES * facts.training))
    per_epoch = min(EPOCH[1], max(EPOCH[0], facts.training))
    epochs = math.ceil(uses / per_epoch)
    batch = 8 if facts.training >= MANY_FILMS else 4
    early = round(EARLY_SHARE * epochs) if side > EARLY_SIDE else 0
    recipe = Recipe(
        name=name,
        channels=channels,
        side=side,
        epochs=epochs,
        stages=(Stage(epochs=early, side=EARLY_SIDE),) if early else (),
        films_per_epoch=per_epoch if per_epoch != facts.training else 0,
        batch=batch,
        learning_rate=base.learning_rate,
        weight_decay=base.weight_decay,
        ema_decay=_ema_decay(uses / batch),
        head_shares=base.head_shares,
        balance=base.balance if len(set(facts.sources.values())) > 1 else 0.0,
        validation_share=_validation_share(
            facts.training + facts.held_out, bool(facts.unvalidated)
        ),
        network=replace(base.network, channels_out=len(channels)),
        augment=base.augment,
    )
    reasons = _reasons(facts, recipe)
    basis = (
        f"For {facts.training} films to train on and {facts.validation} to validate on, of "
        f"{', '.join(facts.sources)}."
    )
    return Proposal(recipe=recipe, reasons=reasons, basis=basis, notes=_notes(facts, left_out))


def _channels(labelled: dict[str, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels to train, and those that too few films label."""
    known = [name for pair in LUNGS for name in pair] + ["heart"]
    candidates = [name for name in known if labelled.get(name)]
    enough = min(MIN_LABELLED, max(labelled.values(), default=0))
    chosen = tuple(name for name in candidates if labelled[name] >= enough)
    if not any(set(pair) <= set(chosen) for pair in LUNGS):
        raise DataError(
            f"the masks label {', '.join(sorted(labelled)) or 'nothing'}, and no network is "
            "proposed without both lungs; add masks of the lungs, or state the labels in a manifest"
        )
    return chosen, tuple(name for name in candidates if name not in chosen)


def _side(longest_sides: Sequence[int], stride: int) -> int:
    """The median of the longer sides, rounded up to a multiple of `stride`, at most `MAX_SIDE`."""
    return min(MAX_SIDE, stride * math.ceil(median(longest_sides) / stride))


def _ema_decay(steps: float) -> float:
    """A decay that averages about the last twentieth of the run, at most 500 steps."""
    return round(min(0.998, max(0.9, 1 - 20 / steps)), 3)


def _reasons(facts: Fingerprint, recipe: Recipe) -> dict[str, str]:
    shown = recipe.films_per_epoch or facts.training
    uses = recipe.epochs * shown
    averaged, steps = round(1 / (1 - recipe.ema_decay)), math.ceil(uses / recipe.batch)
    reasons = {
        "channels": _labels_reason(facts, recipe),
        "side": _side_reason(facts.longest_sides, recipe.side),
        "epochs": f"{uses} uses of films, {uses / facts.training:.0f} of each.",
        "batch": (
            "As for the shipped weights."
            if facts.training >= MANY_FILMS
            else "Small batches give few films enough steps."
        ),
        "learning_rate": "Learning rate and weight decay are those of the shipped weights.",
        "ema_decay": f"The weights are averaged over about the last {averaged} of {steps} steps.",
        "head_shares": "The last heads of UNet++ count most.",
        "films_per_epoch": (
            f"An epoch ends with a validation, so it has from {EPOCH[0]} to {EPOCH[1]} films: "
            + ("each is used several times." if shown > facts.training else "a part of them.")
        ),
        "stages": "Most is learned on small squares, in a fraction of the time.",
        "network": "UNet++ as shipped with Pleura. It computes on a grid of half the side.",
        "augment": "Films of other hospitals and devices differ in greys, place, size and marks.",
    }
    if recipe.balance:
        sizes = ", ".join(f"{name} {count}" for name, count in facts.sources.items())
        reasons["balance"] = f"Sources differ in size: {sizes}. Small ones are used more often."
    if facts.unvalidated:
        reasons["validation_share"] = (
            f"No films of split val in {', '.join(facts.unvalidated)}: {facts.held_out} films of "
            "split train are used for validation."
        )
    return reasons


def _labels_reason(facts: Fingerprint, recipe: Recipe) -> str:
    labelled = ", ".join(f"{name} {facts.labelled[name]}" for name in recipe.channels)
    divided = " Masks of both lungs are divided into right and left." if facts.undivided else ""
    return f"Training films that label each channel: {labelled}.{divided}"


def _side_reason(sides: Sequence[int], side: int) -> str:
    low, high = sides[0], sides[-1]
    size = f"{low}" if low == high else f"{low} to {high}, in the median {median(sides):g}"
    limit = (
        "; a proposal has 384 px at most, as the shipped weights have"
        if median(sides) > side
        else ""
    )
    return f"The longer side of the films is {size} px{limit}."


def _notes(facts: Fingerprint, left_out: Sequence[str]) -> list[str]:
    notes = [
        f"{name}: {facts.labelled[name]} films label it, too few to learn it; it is left out"
        for name in left_out
    ]
    if facts.training < FEW_FILMS:
        notes.append(
            f"{facts.training} films are few for a network that starts from random weights; "
            "`pleura finetune` starts from the shipped ones, and needs minutes"
        )
    return notes
