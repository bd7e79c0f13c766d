"""`pleura bench` and `pleura card`: every score from the data, and the page that tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import EngineOptions
from pleura.apps.cli.progress import console
from pleura.apps.learn.trial import command_line

__all__ = ["bench", "card"]


@grouped
def bench(
    root: Annotated[Path, typer.Argument(help="A folder of sets, each with a manifest.csv.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the results go.")] = Path(
        "benchmarks/results"
    ),
    reports: Annotated[
        Path, typer.Option(help="Where reports go; they show films, so mind who sees them.")
    ] = Path("report"),
    split: Annotated[
        list[str] | None, typer.Option(help="A split to score, more than once if need be; test.")
    ] = None,
    perturbed: Annotated[
        int, typer.Option(min=0, help="Try so many films of each set under every effect too.")
    ] = 0,
    bare: Annotated[
        bool, typer.Option("--bare", help="Score each split without clean-up too.")
    ] = False,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Calibrate each set that has films of split val.")
    ] = False,
    computing: EngineOptions,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
) -> None:
    """Score every split of every set under a folder, into results that can be kept.

    pleura bench data/ -o benchmarks/results --perturbed 40 --bare --calibrated
    pleura card benchmarks/results -o docs/explanation/model_card.md

    The paths of the files written are told on stdout.
    """
    engine = computing.open()
    from pleura.lab.studies.bench import Bench, run_bench

    asked = Bench(
        root=root,
        splits=tuple(split or ["test"]),
        perturbed=perturbed,
        bare=bare,
        calibrated=calibrated,
        seed=seed,
        command=command_line(),
    )
    screen = console()

    def say(name: str) -> None:
        screen.print(f"scoring {name}", markup=False)

    for path in run_bench(asked, engine, out, reports=reports, on_set=say):
        typer.echo(path)


def card(
    results: Annotated[Path, typer.Argument(help="The folder that `pleura bench` wrote to.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page to write; else stdout.")
    ] = None,
) -> None:
    """Write the model card, in Markdown, from results.

    pleura card benchmarks/results -o docs/explanation/model_card.md

    A remarks.csv among the results, of columns id and remark, is told beside the worst films.
    """
    from pleura.io.atomic import written_whole
    from pleura.lab.report.model_card import model_card, read_remarks, read_results

    page = model_card(read_results(results), read_remarks(results))
    if out is None:
        typer.echo(page, nl=False)
        return
    with written_whole(out, "w") as file:
        file.write(page)
