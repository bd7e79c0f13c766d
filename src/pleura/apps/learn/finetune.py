"""`pleura finetune`: train the shipped weights, or others, further on your films."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import Accept, Fold, Layout, Splits, names_in
from pleura.apps.cli.progress import console
from pleura.apps.learn.data.report import warn_of_prefixes
from pleura.apps.learn.train import MachineOptions, run_training, silent

if TYPE_CHECKING:
    from pleura.lab.train.records.resume import Resume

__all__ = ["finetune"]


class Frozen(StrEnum):
    """The parts of the network that fine-tuning does not change."""

    none = "none"
    encoder = "encoder"


@grouped
def finetune(
    data: Annotated[
        list[Path],
        typer.Argument(help="Folders or manifests of films and masks.", metavar="DATA"),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the run.")],
    *,
    weights: Annotated[
        Path | None,
        typer.Option(help="An .onnx file to start from, instead of the shipped weights."),
    ] = None,
    splits: Splits = None,
    fold: Fold = None,
    layout: Layout = "auto",
    accept: Accept = None,
    name: Annotated[str, typer.Option(help="The name of the new weights.")] = "finetuned",
    channels: Annotated[
        list[str] | None,
        typer.Option(
            help="Channels of the new weights, such as field, or right_field,left_field; by "
            "default those of the weights that your masks teach. Repeatable, or with commas.",
        ),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(min=1, help="Side of the square, px; that of the weights if unset."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Number of epochs.")] = None,
    rate: Annotated[float | None, typer.Option(help="The highest learning rate.")] = None,
    freeze: Annotated[
        Frozen | None, typer.Option(help="What to leave as it is: the encoder, or nothing.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in OUT.")] = False,
    run_on: MachineOptions,
) -> None:
    """Train the shipped weights further on your films.

    pleura finetune films --splits split.csv -o runs/mine --max-time 15m
    pleura segment new --weights runs/mine/weights/finetuned.onnx -o lungs

    Side, rate, number of epochs and what is frozen are chosen by the weights and
    the number of films, and printed; with fewer than 100 films the encoder is
    frozen. The network keeps those channels that your masks teach. Without a
    split, a fifth of the films, by patient, validates. OUT receives what `pleura
    train` writes.
    """
    run_on.limit()
    from pleura.lab.data.layouts import read_sets
    from pleura.lab.train.finetune import Choices, divided, finetuning_recipe, summary

    given = read_sets(data, layout=layout, split=splits, fold=fold)
    films = divided(given)
    if not silent() and not any(film.split for film in given):
        warn_of_prefixes(films)
    init = "shipped" if weights is None else str(weights)
    frozen = None if freeze is None else freeze.value
    choices = Choices(
        init=init,
        channels=tuple(names_in(channels)),
        side=side,
        epochs=epochs,
        learning_rate=rate,
        freeze=frozen,
        name=name,
    )
    recipe = finetuning_recipe(films, choices)
    if not silent():
        console().print(summary(recipe, films), markup=False)
    again: Resume = "extend" if resume and epochs is not None else resume
    run_training(recipe, films, out, resume=again, run_on=run_on, accept=accept)
