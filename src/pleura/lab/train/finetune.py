"""Fine-tuning: the recipe that suits some weights and a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pleura.core.arrays import KNOWN_CHANNELS
from pleura.core.card import Card
from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film, with_masks
from pleura.lab.data.labels import labelled_channels
from pleura.lab.data.split import split
from pleura.lab.train.module import initial_network
from pleura.lab.train.recipe import Augment, Recipe
from pleura.lab.train.records.facts import unlabelled_channels
from pleura.net.unetplusplus import Architecture

__all__ = ["Choices", "divided", "finetuning_recipe", "summary", "taught_channels"]

FEW_FILMS = 100
"""The number of training films under which the encoder stays as it is, and the learning rate is
low."""

VALIDATION_SHARE = 0.2
"""The share of the films, by patient, that validates if the data has no split."""

STEPS = 100
"""Steps of a run on few films; more films are shown `EPOCHS` times."""

EPOCHS, MAX_EPOCHS = 8, 20

SMALL_SHARE = 0.6
"""The share of the side of the given weights below which a smaller side is called far from it."""

PATIENCE = 5
"""Epochs without a better validation Dice after which a run ends."""

AUGMENT = Augment(
    shift=0.04,
    zoom=0.1,
    rotation_deg=6,
    gamma=0.3,
    contrast=0.2,
    noise=0.01,
    gentle_chance=0.5,
)
"""Milder than in training from random weights, because the given weights were trained with more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user chooses; None leaves the choice to `finetuning_recipe`."""

    init: str = "shipped"
    channels: tuple[str, ...] = ()
    """Empty for those of the weights that the masks teach."""

    side: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    freeze: str | None = None
    name: str = "finetuned"


def divided(films: Sequence[Film], *, seed: int = 42) -> list[Film]:
    """The films with their split; one by patient, without test films, if they have none.

    Raises `DataError` if no film is to be trained on.
    """
    given = any(film.split for film in films)
    parts = list(films) if given else split(films, test=0.0, val=VALIDATION_SHARE, seed=seed)
    if not any(film.split == "train" for film in with_masks(parts)):
        labelled = len(with_masks(films))
        raise DataError(
            f"{labelled} of {len(films)} films have a mask, and none of them is to be trained on; "
            "at least one is needed to train and one, of another patient, to validate: see "
            "`pleura data check` and `pleura data split`"
        )
    return parts


def finetuning_recipe(films: Sequence[Film], choices: Choices) -> Recipe:
    """The recipe to train the weights of `choices` further on `films`.

    It keeps the network and the side of the weights. Its channels are the chosen ones, or those of
    the weights that the masks teach. With few films the encoder is frozen and the learning
    rate is low.

    Raises `DataError` if the masks teach no lungs that the weights know, or not the chosen
    channels, `WeightsError` for
    weights that cannot be read, and `UsageError` for a choice that does not fit the network.
    """
    _, card = initial_network(Recipe(name="init", init=choices.init))
    training = [film for film in with_masks(films) if film.split == "train"]
    count = len(training)
    few = count < FEW_FILMS
    batch = 4 if few else 8
    epochs = min(MAX_EPOCHS, max(EPOCHS, round(STEPS * batch / max(1, count))))
    channels = _labelled(choices.channels, training) or taught_channels(card, training)
    return replace(
        _base(choices.name, card, channels),
        init=choices.init,
        side=choices.side or card.side,
        batch=batch,
        epochs=choices.epochs or epochs,
        learning_rate=choices.learning_rate or (5e-4 if few else 1e-3),
        freeze=choices.freeze or ("encoder" if few else "none"),  # type: ignore[arg-type]
    )


def taught_channels(card: Card, films: Sequence[Film]) -> tuple[str, ...]:
    """The channels of the weights that the masks of some film label, in their order."""
    labelled = labelled_channels(films)
    known = tuple(channel for channel in card.channels if channel in labelled)
    if not set(known) - {"heart"}:
        raise DataError(
            f"the masks label {', '.join(sorted(labelled)) or 'nothing'}, but the weights "
            f"{card.name} know {', '.join(card.channels)}; take other weights with --weights, or "
            "state the labels in a manifest"
        )
    return known


def _labelled(channels: tuple[str, ...], films: Sequence[Film]) -> tuple[str, ...]:
    """The channels, checked to be known and labelled.

    Raises `UsageError` for an unknown channel, and `DataError` if the masks of no film label one.
    """
    for channel in channels:
        if channel not in KNOWN_CHANNELS:
            raise UsageError(
                f"no channel is called {channel!r}; {did_you_mean(channel, KNOWN_CHANNELS)}"
            )
    if unlabelled := unlabelled_channels(channels, films):
        raise DataError(
            f"no mask labels {', '.join(unlabelled)}; the masks teach "
            f"{', '.join(sorted(labelled_channels(films))) or 'nothing'}"
        )
    return channels


def _base(name: str, card: Card, channels: tuple[str, ...]) -> Recipe:
    network = Architecture(**{**card.architecture, "channels_out": len(channels)})
    return Recipe(
        name=name,
        channels=channels,
        side=card.side,
        schedule="one-cycle",
        early_stop=PATIENCE,
        weight_decay=1e-2,
        head_shares=tuple(card.recipe.get("head_shares", ())),
        network=network,
        augment=AUGMENT,
    )


def summary(recipe: Recipe, films: Sequence[Film]) -> str:
    """The choices and the facts that they follow from, in a few lines for the log."""
    given_side = initial_network(recipe)[1].side
    training = sum(film.split == "train" for film in with_masks(films))
    size = "fewer than" if training < FEW_FILMS else "at least"
    small = ""
    if recipe.side < SMALL_SHARE * given_side:
        small = f" (far from the {given_side} px of the weights: a short run hardly adapts to it)"
    frozen = "encoder frozen" if recipe.freeze == "encoder" else "nothing frozen"
    steps = max(1, round(recipe.epochs * training / recipe.batch))
    length = (
        f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)}, about {steps} step{'s' * (steps > 1)}"
    )
    return (
        f"{training} films to train on, {size} {FEW_FILMS}: {frozen}, learning "
        f"rate {recipe.learning_rate:g}, batch {recipe.batch}\n"
        f"side {recipe.side} px{small}; {length}, ended earlier after "
        f"{recipe.early_stop} without a better validation Dice\n"
        f"channels: {', '.join(recipe.channels)}"
    )
