"""`pleura calibrate`: do the probabilities come true, and what would make them."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pleura.apps.cli.engines import open_engine
from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.options import (
    Films,
    Layout,
    MostFilms,
    NoBar,
    Split,
    Splits,
    TrialLungs,
    Weights,
)
from pleura.apps.cli.progress import console
from pleura.apps.learn.robustness import film_bar

__all__ = ["calibrate"]


def calibrate(
    data: Films,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the figures and their picture go.")
    ] = Path("report"),
    split: Split = "test",
    tune: Annotated[
        str, typer.Option(help="The films to choose temperature and norms on.")
    ] = "val",
    negatives: Annotated[
        list[Path] | None,
        typer.Option(help="What is no frontal chest film, to be refused; repeatable."),
    ] = None,
    splits: Splits = None,
    layout: Layout = "auto",
    weights: Weights = None,
    lungs: TrialLungs = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Write the weights with temperature and norms on their card."),
    ] = None,
    limit: MostFilms = None,
    seed: Annotated[int, typer.Option(help="Of every draw: films, pixels.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures on stdout.")] = False,
    quiet: NoBar = False,
) -> None:
    """Make probabilities and verdicts come true: tune both on some films, judge them on others.

    The temperature is chosen by the pixels; the norms, by which a result's Dice is
    estimated and its verdict given, by the films' traits. Sources without films of split
    val get those that training chose its epoch on.

    pleura calibrate films/ --tune val --split test -o report
    pleura calibrate films/ --weights mine.onnx --write mine-calibrated.onnx
    pleura calibrate films/ --negatives laterals/ -o report

    OUT receives calibration.json, .png and .html. The shipped weights are never changed.
    """
    engine = open_engine(weights)
    from pleura.lab.evaluate.trial import Trial
    from pleura.lab.report.calibration import Tuning
    from pleura.lab.report.calibration import calibrate as run

    trial = Trial(
        data=tuple(data),
        split=split,
        splits=splits,
        layout=layout,
        lungs=lungs,
        limit=limit,
        seed=seed,
        command=shlex.join(["pleura", *sys.argv[1:]]),
    )
    tuning = Tuning(tune, tuple(negatives or ()))
    with ExitStack() as stack:
        told = run(trial, engine, out, tuning=tuning, on_film=film_bar(stack, quiet))
    if write is not None:
        _write(weights, write, told)
    if as_json:
        typer.echo(json.dumps(told, indent=1, allow_nan=False))
    _tell(told, out)
    if told["films"]["failed"]:
        raise typer.Exit(Exit.FILMS_FAILED)


def _write(weights: Path | None, target: Path, told: dict[str, Any]) -> None:
    from pleura.lab.report.calibration import write_tempered
    from pleura.runtime.open import shipped

    content = shipped() if weights is None else weights.read_bytes()
    write_tempered(content, told["temperature"], target, norms=told["norms"])
    norms = " and ".join(told["norms"]) or "none: too few films"
    console().print(f"{target}: temperature {told['temperature']:g}, norms {norms}", markup=False)


def _tell(told: dict[str, Any], out: Path) -> None:
    """The figures in short, on stderr."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("pixels", "ECE", "after", "mean gap", "after"):
        table.add_column(name, justify="right")
    for name, both in {"all": told["overall"], **told["by_source"]}.items():
        before, after = both["before"], both["after"]
        cells = [each[key] for key in ("ece", "mean_gap") for each in (before, after)]
        shown = ["-" if cell is None else f"{cell:.4f}" for cell in cells]
        table.add_row(name, str(before["pixels"]), *shown)
    screen = console()
    screen.print(f"temperature {told['temperature']:g}, chosen on {told['tuning']['split']}")
    screen.print(table)
    for failure in told["failures"]:
        screen.print(f"{failure['source']}/{failure['id']}: {failure['error']}", markup=False)
    screen.print(f"{out / 'calibration.html'}", markup=False)
