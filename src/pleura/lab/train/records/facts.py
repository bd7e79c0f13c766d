"""Facts about a run that its checkpoint and card hold: films, version, recipe, licence."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pleura.core.card import Card
from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film, digest_of, fingerprint
from pleura.lab.data.labels import labelled_channels
from pleura.lab.train.export import provenance
from pleura.lab.train.module import initial_network
from pleura.lab.train.recipe import Recipe

__all__ = [
    "NOT_STATED",
    "check_labelled",
    "facts_to_resume",
    "run_facts",
    "unlabelled_channels",
]

log = logging.getLogger(__name__)

NOT_STATED = "not stated: it follows from the terms of the films and masks trained on"
"""The licence of weights whose data states none."""


def run_facts(
    training: Sequence[Film], validation: Sequence[Film], recipe: Recipe
) -> dict[str, Any]:
    """Facts about a run that starts now, in plain values."""
    digests = sorted({digest_of(film) for film in (*training, *validation)})
    data = {
        "fingerprint": fingerprint([*training, *validation]),
        "split": _split_digest(training, validation),
        "films": {"train": len(training), "val": len(validation)},
        "train_by_source": dict(Counter(film.source for film in training)),
        "digests": digests,
    }
    if recipe.init:
        data |= _inherited(initial_network(recipe)[1], digests)
    return {
        **provenance(),
        "data": data,
        "recipe": recipe.as_dict(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": _licence(recipe),
    }


def _inherited(card: Card, own: list[str]) -> dict[str, Any]:
    """The films that the initial weights were trained on, beside the run's `own`.

    `digests_complete` is false if the card of the initial weights does not list its films.
    """
    theirs = card.data.get("digests")
    known = theirs is not None and card.data.get("digests_complete", True)
    return {"digests": sorted({*own, *(theirs or ())}), "digests_complete": known}


def facts_to_resume(before: dict[str, Any], now: dict[str, Any], out: Path) -> dict[str, Any]:
    """The facts of a run that continues; a checkpoint of an older version keeps what it states.

    Raises `UsageError` if the films, their masks or their split are not those of the run.
    """
    for key, what in (("fingerprint", "other films or masks"), ("split", "another split")):
        stated = before["data"].get(key)
        if stated is not None and stated != now["data"][key]:
            raise UsageError(
                f"{out} is a run on {what}: {_counts(before, now)}; resume with its own data "
                "and --splits, or take another --out and start from the weights of this run"
            )
    if "licence" in before:
        return {**now, "licence": before["licence"]}
    return {key: value for key, value in now.items() if key != "licence"}


def _counts(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The numbers of films of a run and of its continuation."""
    theirs, ours = before["data"]["films"], now["data"]["films"]
    text = f"it has {theirs['train']} films to train on and {theirs['val']} to validate on"
    if theirs == ours:
        return f"{text}, now as many, but not the same"
    return f"{text}, now {ours['train']} and {ours['val']}"


def check_labelled(training: Sequence[Film], validation: Sequence[Film], recipe: Recipe) -> None:
    """Check that the films label the channels of a recipe, directly or through other channels.

    Raises `DataError` if a channel would be trained from random weights without labels, or if no
    validation film labels any channel. A channel that is not labelled is only logged if the run
    starts from weights: they may know it.
    """
    unlabelled = ", ".join(unlabelled_channels(recipe.channels, training))
    if unlabelled and not recipe.init:
        raise DataError(
            f"no training film labels {unlabelled}: the masks of these channels would be "
            "meaningless. Leave them out of the recipe's channels, or add films that label them; "
            f"these films label {', '.join(sorted(labelled_channels(training))) or 'nothing'}"
        )
    if unlabelled:
        log.warning("no training film labels %s: these masks may get worse", unlabelled)
    if not labelled_channels(validation) & set(recipe.channels):
        raise DataError(
            f"none of the {len(validation)} validation films labels {', '.join(recipe.channels)}, "
            "so no epoch can be scored; put films that label them into split val"
        )


def unlabelled_channels(channels: Sequence[str], training: Sequence[Film]) -> list[str]:
    """Those of `channels` that no training film labels, directly or through other channels."""
    labelled = labelled_channels(training)
    return [channel for channel in channels if channel not in labelled]


def _split_digest(training: Sequence[Film], validation: Sequence[Film]) -> str:
    names = [sorted((film.source, film.id) for film in part) for part in (training, validation)]
    return hashlib.sha256(repr(names).encode()).hexdigest()


def _licence(recipe: Recipe) -> str:
    """The licence of the weights that the run starts from, if it starts from some."""
    return initial_network(recipe)[1].licence if recipe.init else NOT_STATED
