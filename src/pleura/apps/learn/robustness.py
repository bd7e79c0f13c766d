"""`pleura robustness`: scores of films under effects that a film may come with."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

from pleura.apps.cli.engines import open_engine
from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import Weights
from pleura.apps.cli.progress import console, print_table
from pleura.apps.learn.evaluation_options import EvaluationOptions, figures_table, film_bar

__all__ = ["robustness"]


@grouped
def robustness(options: EvaluationOptions, weights: Weights = None) -> None:
    """Score films as they are, and mirrored, inverted, turned, stretched, pale, small and large.

    pleura robustness films/ --split test -o report
    pleura robustness films/ --limit 40 -o quick

    OUT receives robustness.json, .csv, .png and .html.
    """
    engine = open_engine(*(weights or ()))
    from pleura.lab.report.robustness import robustness as run

    with ExitStack() as stack:
        on_film = film_bar(stack, options.quiet)
        results = run(options.settings(), engine, options.out, on_film=on_film)
    options.finish(results, partial(_show, results), page="robustness.html")


def _show(results: dict[str, Any]) -> None:
    """The table in short, on stderr."""
    from pleura.lab.report.numbers import plain

    table = figures_table("films", "failed", "median", "mean", "< 0.90", "difference")
    for name, row in results["overall"].items():
        dice, change = row["dice"], row["difference"]["median"]
        values = [plain(dice["median"]), plain(dice["mean"])]
        poor = plain(dice["share_under_090"], ".1%")
        cells = [str(dice["n"]), str(row["failed"]), *values, poor, plain(change, "+.4f")]
        table.add_row(results["effects"][name], *cells)
    print_table(console(), table)
