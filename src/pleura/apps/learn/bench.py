"""`pleura bench` and `pleura card`: scores of all sets, and the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import EngineOptions
from pleura.apps.cli.progress import console
from pleura.apps.learn.evaluation_options import command_line
from pleura.io.files.atomic import check_takes_files

__all__ = ["bench", "card"]


BenchSplits = Annotated[
    list[str] | None, typer.Option(help="A split to score, by default test; repeatable.")
]
Perturbed = Annotated[
    int, typer.Option(min=0, help="Also score this many films of each set under every effect.")
]


@grouped
def bench(
    root: Annotated[Path, typer.Argument(help="A folder of sets, each with a manifest.csv.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the results.")] = Path(
        "benchmarks/results"
    ),
    reports: Annotated[
        Path,
        typer.Option(
            help="The folder for reports; they show films, so take care who may see them."
        ),
    ] = Path("report"),
    split: BenchSplits = None,
    perturbed: Perturbed = 0,
    bare: Annotated[
        bool, typer.Option("--bare", help="Also score each split without clean-up.")
    ] = False,
    calibrated: Annotated[
        bool,
        typer.Option("--calibrated", help="Also calibrate each set that has films of split val."),
    ] = False,
    computing: EngineOptions,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.")] = 0,
) -> None:
    """Score every split of every set under a folder, into a folder of results.

    pleura bench data/ -o benchmarks/results --perturbed 40 --bare --calibrated
    pleura card benchmarks/results -o docs/explanation/model_card.md

    The paths of the files written go to stdout.
    """
    check_takes_files(out)
    check_takes_files(reports)
    engine = computing.open()
    from pleura.lab.studies.bench import Bench, run_bench

    options = Bench(
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

    for path in run_bench(options, engine, out, reports=reports, on_set=say):
        typer.echo(path)


def card(
    results: Annotated[Path, typer.Argument(help="The folder that `pleura bench` wrote to.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page to write; else stdout.")
    ] = None,
) -> None:
    """Write the model card, in Markdown, from results.

    pleura card benchmarks/results -o docs/explanation/model_card.md

    A remarks.csv among the results, of columns id and remark, is shown beside the
    worst films.
    """
    from pleura.io.files.atomic import atomic_write
    from pleura.lab.report.model_card import model_card, read_remarks, read_results

    page = model_card(read_results(results), read_remarks(results))
    if out is None:
        typer.echo(page, nl=False)
        return
    with atomic_write(out, "w") as file:
        file.write(page)
