"""`pleura evaluate`: films with masks in, scores and a report out."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pleura.apps.cli.engines import Choice, open_engine
from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.options import (
    Device,
    Engine,
    Fast,
    Films,
    Layout,
    MostFilms,
    NoBar,
    Precision,
    Split,
    Splits,
    TrialLungs,
    Weights,
)
from pleura.apps.cli.progress import FilmProgress, console

__all__ = ["evaluate"]

_STAGES = {"score": "scoring", "draw": "drawing for the report:"}


def evaluate(
    data: Films,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where scores, summary and report go.")
    ] = Path("report"),
    split: Split = "test",
    splits: Splits = None,
    layout: Layout = "auto",
    weights: Weights = None,
    engine: Engine = "auto",
    device: Device = "cpu",
    precision: Precision = "auto",
    fast: Fast = False,
    lungs: TrialLungs = None,
    cleaned: Annotated[
        bool, typer.Option(help="Judge what ships, or the bare threshold before it is cleaned.")
    ] = True,
    compare: Annotated[
        Path | None, typer.Option(help="The scores.csv of another run, to hold this one against.")
    ] = None,
    limit: MostFilms = None,
    seed: Annotated[int, typer.Option(help="Of every draw: films, intervals, pictures.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary on stdout.")] = False,
    quiet: NoBar = False,
) -> None:
    """Score the whole path, as shipped, on films whose masks are known.

    pleura evaluate films/ -o report
    pleura evaluate films/ --weights mine.onnx --compare report/scores.csv -o mine
    pleura evaluate films/ --no-cleaned --compare report/scores.csv -o bare

    OUT receives scores.csv (a row for each film and structure), summary.json and report.html.
    """
    choice = Choice(engine=engine, device=device, precision=precision, fast=fast)
    opened = open_engine(weights, choice)
    from pleura.lab.evaluate.trial import Trial
    from pleura.lab.report.evaluation import evaluate as run

    trial = Trial(
        data=tuple(data),
        split=split,
        splits=splits,
        layout=layout,
        lungs=lungs,
        cleaned=cleaned,
        compare=compare,
        limit=limit,
        seed=seed,
        command=shlex.join(["pleura", *sys.argv[1:]]),
    )
    with ExitStack() as stack:
        summary = run(trial, opened, out, on_progress=_bars(stack, quiet))
    if as_json:
        typer.echo(json.dumps(summary, indent=1, allow_nan=False))
    _tell(summary, out)
    if summary["films"]["failed"]:
        raise typer.Exit(Exit.FILMS_FAILED)


def _bars(stack: ExitStack, quiet: bool) -> Callable[[str, int, int], None]:
    """A bar for scoring the films and then one for drawing the report's."""
    bars: dict[str, FilmProgress] = {}

    def step(stage: str, _done: int, total: int) -> None:
        if stage in bars:
            bars[stage].advance()
            return
        stack.close()
        bars[stage] = stack.enter_context(FilmProgress(total, quiet=quiet))
        if not quiet:
            bars[stage].say(f"{_STAGES[stage]} {total} films")

    return step


def _tell(summary: dict[str, Any], out: Path) -> None:
    """The scores in short, on stderr."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for name in ("films", "undef.", "Dice", "95 %", "5th", "< 0.90", "HD95 px", "area"):
        table.add_column(name, justify="right", no_wrap=True)
    for structure, group in summary["overall"].items():
        table.add_row(structure, *_cells(group))
    for source, group in summary["by_source"].items():
        if "lungs" in group:
            mark = "" if summary["sources"][source]["comparable"] else " *"
            table.add_row(escape(source) + mark, *_cells(group["lungs"]), style="dim")
    screen = console()
    screen.print(table)
    if not all(each["comparable"] for each in summary["sources"].values()):
        screen.print("* labels another definition of lung than was predicted; not in the overall")
    left_out = {name: count for name, count in summary["films"].items() if count}
    screen.print(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in left_out.items()))
    for failure in summary["failures"]:
        screen.print(f"{failure['source']}/{failure['id']}: {failure['error']}", markup=False)
    if "comparison" in summary:
        screen.print(_difference(summary["comparison"]), markup=False)
    screen.print(f"{out / 'report.html'}", markup=False)


def _difference(comparison: dict[str, Any]) -> str:
    dice = comparison["difference"].get("lungs", {}).get("dice", {})
    if not dice.get("n"):
        return f"{comparison['other']}: no film scored by both against the same mask"
    text = f"Dice of the lungs, paired on {dice['n']} films: {dice['mean']:+.4f}"
    if dice["mean_low"] is not None:
        text += f" ({dice['mean_low']:+.4f} to {dice['mean_high']:+.4f})"
    return f"{text}, {dice['wins']} better, {dice['losses']} worse than {comparison['other']}"


def _cells(group: dict[str, Any]) -> list[str]:
    dice, hd95, area = group["dice"], group["hd95_px"], group["area_error"]
    ends = [_number(dice[key]) for key in ("mean_low", "mean_high")]
    return [
        str(dice["n"]),
        str(dice["n_undefined"]),
        _number(dice["mean"]),
        "–".join(ends) if dice["mean_low"] is not None else "-",
        _number(dice["p5"]),
        _number(dice["share_under_090"], ".1%"),
        _number(hd95["mean"], ".1f"),
        _number(area["mean"], "+.1%"),
    ]


def _number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)
