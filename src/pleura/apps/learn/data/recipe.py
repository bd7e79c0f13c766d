"""`pleura data recipe`: propose the recipe of a training run from the films of a data set."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.options import AsJson, Fold, Layout, NoBar, Overwrite, Sets, Splits
from pleura.apps.cli.progress import FilmProgress, say
from pleura.apps.learn.data.write_text import write_text

if TYPE_CHECKING:
    from pleura.lab.train.recipe.propose import Fingerprint, Proposal

__all__ = ["recipe"]


def recipe(
    paths: Sets,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The TOML file to write; else stdout.")
    ] = None,
    splits: Splits = None,
    fold: Fold = None,
    layout: Layout = "auto",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: NoBar = False,
) -> None:
    """Propose a recipe for training from random weights on these films.

    pleura data recipe films --splits split.csv -o my.toml
    pleura train my.toml --data films --splits split.csv --out runs/first

    The recipe depends on the number of films to train on, the channels that their
    masks label, the sizes of the films, and their sources. A comment above each
    setting states its reason. Films of split `test` have no influence.

    With few films, `pleura finetune` gives better weights: it starts from the
    shipped ones, and chooses its settings by itself.
    """
    from pleura.lab.data.layouts import read_sets
    from pleura.lab.train.recipe.propose import SIZE_SAMPLE, fingerprint_of, propose

    films = read_sets(paths, layout=layout, split=splits, fold=fold)
    with FilmProgress(min(SIZE_SAMPLE, len(films)), quiet=quiet) as bar:
        facts = fingerprint_of(films, on_film=bar.advance)
    proposal = propose(facts, "proposed" if out is None else out.stem)
    text = proposal.toml()
    if out is not None:
        write_text(text, out, overwrite=overwrite)
    _report(facts, proposal)
    if as_json:
        content = {"fingerprint": asdict(facts), "recipe": proposal.recipe.as_dict()}
        typer.echo(json.dumps({**content, "notes": proposal.notes}, indent=1))
    elif out is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(out)
        say(f"next: {_next_command(out, paths, splits, fold)}")


def _report(facts: Fingerprint, proposal: Proposal) -> None:
    """Print the facts, the settings that follow from them, and what to know, on stderr."""
    chosen = proposal.recipe
    shown = chosen.films_per_epoch or facts.training
    say(f"{facts.training} films to train on, {facts.validation} to validate on")
    say(
        f"{', '.join(chosen.channels)}; side {chosen.side} px, batch {chosen.batch}, "
        f"{chosen.epochs} epochs of {shown} films"
    )
    for note in proposal.notes:
        say(note)


def _next_command(out: Path, paths: list[Path], splits: str | None, fold: int | None) -> str:
    data = [word for path in paths for word in ("--data", str(path))]
    part = [] if splits is None else ["--splits", splits]
    part += [] if fold is None else ["--fold", str(fold)]
    run = f"runs/{out.stem}"
    return shlex.join(["pleura", "train", str(out), *data, *part, "--out", run])
