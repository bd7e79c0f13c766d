"""How well the uncertainty finds the worst masks of one's own weights, as a Markdown table.

    pleura evaluate FILMS --split train --weights own.onnx -o report
    python -m benchmarks.accuracy.uncertainty report

The films are to be films that the weights were not trained on. Of each film the `scores.csv` of the
report has the Dice of both lungs and the uncertainty. The worst films are the tenth with the lowest
Dice; the table has the share of them that is among the fifth with the highest uncertainty, which
`pleura results worst` names first. In a random order this share is 20 %. A film without lungs comes
first, as there. Sources with fewer than ten films have no line of their own.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from scipy.stats import spearmanr

from pleura.lab.evaluate.evaluation import read_rows

WORST, REVIEWED = 0.1, 0.2
"""The share of the films that counts as worst, and the share that a person looks at."""

FEWEST = 10
"""Fewer films have no tenth."""

Rated = tuple[float, float]
"""Dice of both lungs, and the uncertainty; infinite without lungs."""


def found(films: Sequence[Rated]) -> float:
    """The share of the worst films that is among the most uncertain ones."""
    order = range(len(films))
    worst = sorted(order, key=lambda film: films[film][0])[: math.ceil(WORST * len(films))]
    reviewed = sorted(order, key=lambda film: -films[film][1])[: math.ceil(REVIEWED * len(films))]
    return len({*worst} & {*reviewed}) / len(worst)


def read(table: Path) -> dict[str, list[Rated]]:
    """The films of each source with Dice and uncertainty."""
    films: dict[str, list[Rated]] = {}
    for row in read_rows(table):
        if row.structure == "lungs" and row.scores.dice is not None and row.comparable:
            uncertainty = math.inf if row.uncertainty is None else row.uncertainty
            films.setdefault(row.source, []).append((row.scores.dice, uncertainty))
    return films


def table_row(title: str, films: Sequence[Rated]) -> str:
    """One line of the table."""
    dice, uncertainty = zip(*films, strict=True)
    correlation = spearmanr(dice, uncertainty).statistic
    return (
        f"| {title} | {len(films)} | {sum(dice) / len(films):.3f} | {min(dice):.3f} "
        f"| {correlation:.2f} | {found(films):.0%} |"
    )


def main() -> None:
    """Print the table of the reports named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path, help="folders of `pleura evaluate`")
    reports = parser.parse_args().reports
    print("| films | n | mean Dice | lowest | rank correlation | worst tenth found |")
    print("|---|---|---|---|---|---|")
    for report in reports:
        films = read(report / "scores.csv")
        parts = {f"{report.name}: {source}": part for source, part in sorted(films.items())}
        every = [film for part in films.values() for film in part]
        for title, part in {report.name: every, **parts}.items():
            if len(part) >= FEWEST:
                print(table_row(title, part))


if __name__ == "__main__":
    main()
