"""`pleura evaluate`: scores of films whose masks are known, and a report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import EngineOptions, TestTimeAugmentation
from pleura.apps.cli.progress import FilmProgress, console, print_table
from pleura.apps.learn.evaluation_options import EvaluationOptions, figures_table

__all__ = ["evaluate"]

_STAGES = {"score": "scoring {} films", "draw": "drawing {} pictures for the report"}


@grouped
def evaluate(
    options: EvaluationOptions,
    computing: EngineOptions,
    cleaned: Annotated[
        bool, typer.Option(help="Score the masks as shipped, or the threshold without clean-up.")
    ] = True,
    tta: TestTimeAugmentation = False,
    compare: Annotated[
        Path | None, typer.Option(help="The scores.csv of another run, to compare with.")
    ] = None,
) -> None:
    """Score the whole path, as shipped, on films whose masks are known.

    pleura evaluate films/ -o report
    pleura evaluate films/ --weights mine.onnx --compare report/scores.csv -o mine
    pleura evaluate films/ --no-cleaned --compare report/scores.csv -o bare

    OUT receives scores.csv (a row for each film and structure), summary.json and
    report.html.
    """
    engine = computing.open()
    from pleura.lab.report.evaluation import evaluate as run

    settings = options.settings(cleaned=cleaned, tta=tta, compare=compare)
    with ExitStack() as stack:
        summary = run(settings, engine, options.out, on_progress=_bars(stack, options.quiet))
    options.finish(summary, partial(_show, summary), page="report.html")


def _bars(stack: ExitStack, quiet: bool) -> Callable[[str, int, int], None]:
    """A bar for scoring the films, then one for drawing those of the report."""
    bars: dict[str, FilmProgress] = {}

    def step(stage: str, _done: int, total: int) -> None:
        if stage in bars:
            bars[stage].advance()
            return
        stack.close()
        bars[stage] = stack.enter_context(FilmProgress(total, quiet=quiet))
        if not quiet:
            bars[stage].say(_STAGES[stage].format(total))

    return step


def _show(summary: dict[str, Any]) -> None:
    """The scores in short, on stderr."""
    table = figures_table("films", "undef.", "Dice", "95 %", "5th", "< 0.90", "HD95 px", "area")
    for structure, group in summary["overall"].items():
        table.add_row(structure, *_cells(group))
    for source, group in summary["by_source"].items():
        if "lungs" in group:
            mark = "" if summary["sources"][source]["comparable"] else " *"
            table.add_row(escape(source) + mark, *_cells(group["lungs"]), style="dim")
    screen = console()
    print_table(screen, table)
    if not all(source["comparable"] for source in summary["sources"].values()):
        screen.print(
            "* masks follow another definition of lung than was predicted; not in the overall"
        )
    for source, both in summary["cardiothoracic_ratio"].items():
        screen.print(f"cardiothoracic ratio, {source}: {_ratio(both)}", markup=False)
    left_out = {name: count for name, count in summary["films"].items() if count}
    screen.print(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in left_out.items()))
    if trained := summary["provenance"]["data"].get("trained_on"):
        screen.print(f"warning: the weights were trained or selected on {trained} of these films")
    if "comparison" in summary:
        screen.print(_difference(summary["comparison"]), markup=False)


def _ratio(both: dict[str, dict[str, Any]]) -> str:
    from pleura.lab.report.numbers import plain

    kept = both["kept"]
    text = f"given for {kept['n']} of {both['all']['n']} films"
    if not kept["n"]:
        return text
    limits = " to ".join(plain(kept[key], "+.3f") for key in ("low", "high"))
    limits = f" ({limits})" if kept["low"] is not None else ""
    return (
        f"{text}; bias {kept['bias']:+.3f}{limits}, mean error "
        f"{kept['mean_absolute_error']:.3f}, off by more than 0.05: {kept['share_far_off']:.1%}"
    )


def _difference(comparison: dict[str, Any]) -> str:
    dice = comparison["difference"].get("lungs", {}).get("dice", {})
    if not dice.get("n"):
        return f"{comparison['other']}: no film scored by both against the same mask"
    text = f"Dice of the lungs, paired on {dice['n']} films: {dice['mean']:+.4f}"
    if dice["mean_low"] is not None:
        text += f" ({dice['mean_low']:+.4f} to {dice['mean_high']:+.4f})"
    return f"{text}, {dice['wins']} better, {dice['losses']} worse than {comparison['other']}"


def _cells(group: dict[str, Any]) -> list[str]:
    from pleura.lab.report.numbers import plain

    dice, hd95, area = group["dice"], group["hd95_px"], group["area_error"]
    ends = [plain(dice[key]) for key in ("mean_low", "mean_high")]
    return [
        str(dice["n"]),
        str(dice["n_undefined"]),
        plain(dice["mean"]),
        "–".join(ends) if dice["mean_low"] is not None else "-",
        plain(dice["p5"]),
        plain(dice["share_under_090"], ".1%"),
        plain(hd95["mean"], ".1f"),
        plain(area["mean"], "+.1%"),
    ]
