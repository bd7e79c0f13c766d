"""`pleura results worst`: the films whose masks are worst by their estimated Dice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pleura.apps.cli.progress import say
from pleura.core.errors import UsageError
from pleura.io.run.table import RESULTS, read_rows

__all__ = ["worst"]


def worst(
    out: Annotated[Path, typer.Argument(help="The output folder of a run.", metavar="OUT")],
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="Print at most this many films.")
    ] = 20,
) -> None:
    """Print the paths of the films with the lowest estimated Dice, the worst first.

    pleura results worst OUT --count 20

    Their masks teach most when they are corrected. Films without an estimate are
    left out: those that failed, and all films of an ensemble or of weights that
    were not calibrated.
    """
    if not (out / RESULTS).is_file():
        raise UsageError(f"there is no {out / RESULTS}; give the --out of a run")
    rows = read_rows(out / RESULTS)
    rated = [(row.estimated_dice, row.film, row) for row in rows if row.estimated_dice is not None]
    if not rated:
        raise UsageError(
            f"{out / RESULTS}: no film has an estimated Dice; take the shipped weights, or weights "
            "with the norms of `pleura calibrate --write`. An ensemble estimates none"
        )
    for _, _, row in sorted(rated, key=lambda entry: entry[:2])[:count]:
        typer.echo(row.path)
    if len(rated) < len(rows):
        say(f"{len(rows) - len(rated)} of {len(rows)} films have no estimated Dice")
