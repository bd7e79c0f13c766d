"""`pleura results worst`: the films whose masks are worst by the network's uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pleura.apps.cli.progress import say
from pleura.core.errors import UsageError
from pleura.io.run.row import DONE, Row
from pleura.io.run.table import RESULTS, read_rows

__all__ = ["worst"]


def worst(
    out: Annotated[Path, typer.Argument(help="The output folder of a run.", metavar="OUT")],
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Print at most this many films.")
    ] = 20,
) -> None:
    """Print the paths of the films with the most uncertain masks, the worst first.

    pleura results worst OUT --count 20

    Their masks teach most when they are corrected. The order is that of the
    column `uncertainty`, which results of all weights and of ensembles have;
    where there is an estimated Dice, the order is the same. Films on which no
    lung was found come first. Films that failed are left out, and so are those
    that do not look like a chest film (doubt `not_a_chest_film`).
    """
    if not (out / RESULTS).is_file():
        raise UsageError(f"there is no {out / RESULTS}; give the --out of a run")
    rows = read_rows(out / RESULTS)
    rated = sorted((row for row in rows if _has_lungs_to_correct(row)), key=_place)
    if not rated:
        raise UsageError(f"{out / RESULTS} holds no chest film that was segmented")
    for row in rated[:count]:
        typer.echo(row.path)
    if len(rated) < len(rows):
        say(
            f"{len(rows) - len(rated)} of {len(rows)} films are left out: they failed, or do not "
            "look like a chest film"
        )


def _has_lungs_to_correct(row: Row) -> bool:
    return row.status == DONE and "not_a_chest_film" not in row.doubts.split("; ")


def _place(row: Row) -> tuple[float, str]:
    """What orders the films; those without an uncertainty, in which no lung was found, first."""
    return -1.0 if row.uncertainty is None else 1 - row.uncertainty, row.film
