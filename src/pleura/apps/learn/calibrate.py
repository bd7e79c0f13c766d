"""`pleura calibrate`: temperature and reference for the probabilities and verdicts."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pleura.apps.cli.engines import open_engine, read_weights
from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import Weights
from pleura.apps.cli.progress import console, print_table
from pleura.apps.learn.evaluation_options import EvaluationOptions, figures_table, film_bar
from pleura.core.errors import UsageError
from pleura.io.files.atomic import check_takes_files
from pleura.runtime.open import shipped

__all__ = ["calibrate"]


@grouped
def calibrate(
    options: EvaluationOptions,
    tune: Annotated[
        str, typer.Option(help="The split for choosing the temperature and the reference values.")
    ] = "val",
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            help="Images that are no frontal chest film, and should be refused; repeatable."
        ),
    ] = None,
    weights: Weights = None,
    write: Annotated[
        Path | None,
        typer.Option(
            help="Write the weights with the temperature and the reference values on their card."
        ),
    ] = None,
) -> None:
    """Tune the probabilities and verdicts on some films, and score them on others.

    The temperature is fitted to the pixels of the films, and the reference values
    to their features. The estimated Dice and the verdict of a result follow from
    the reference values. Sources without films of split val get those on which
    training chose its epoch. --limit leaves out films to score, never films to
    tune on.

    pleura calibrate films/ --tune val --split test -o report
    pleura calibrate films/ --weights mine.onnx --write mine-calibrated.onnx
    pleura calibrate films/ --negatives laterals/ -o report

    OUT receives calibration.json, .png and .html. The shipped weights are never
    changed.
    """
    if write is not None and len(weights or ()) > 1:
        raise UsageError(
            "--write changes one weights file, and an ensemble has none of its own: give one "
            "--weights, or leave --write out"
        )
    if write is not None:
        check_takes_files(write.parent)
    engine = open_engine(*(weights or ()))
    from pleura.lab.report.calibration import Tuning
    from pleura.lab.report.calibration import calibrate as run

    tuning = Tuning(tune, tuple(negatives or ()))
    with ExitStack() as stack:
        on_film = film_bar(stack, options.quiet)
        results = run(options.settings(), engine, options.out, tuning=tuning, on_film=on_film)
    if write is not None:
        _write(shipped() if not weights else read_weights(weights[0]), write, results)
    options.finish(results, partial(_show, results), page="calibration.html")


def _write(weights: bytes, target: Path, results: dict[str, Any]) -> None:
    from pleura.lab.evaluate.fit_reference import FEWEST
    from pleura.lab.report.calibration import write_with_temperature

    write_with_temperature(weights, results["temperature"], target, norms=results["norms"])
    fitted = " and ".join(results["norms"]) or f"none: they need {FEWEST} films to tune on"
    console().print(
        f"{target}: temperature {results['temperature']:g}, reference values {fitted}", markup=False
    )


def _show(results: dict[str, Any]) -> None:
    """The figures in short, on stderr."""
    from pleura.lab.report.numbers import plain

    table = figures_table("pixels", "ECE", "after", "mean gap", "after")
    for name, both in {"all": results["overall"], **results["by_source"]}.items():
        before, after = both["before"], both["after"]
        cells = [plain(side[key], ".4f") for key in ("ece", "mean_gap") for side in (before, after)]
        table.add_row(name, str(before["pixels"]), *cells)
    screen = console()
    screen.print(f"temperature {results['temperature']:g}, chosen on {results['tuning']['split']}")
    print_table(screen, table)
