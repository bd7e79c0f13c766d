"""How well the verdicts agree with the Dice of judged films, as a Markdown table.

    pleura bench FILMS -o benchmarks/results/accuracy --reports report
    python -m benchmarks.accuracy.verdicts report

Reads every `scores.csv` under the folder, except those of `--bare`: for each film the Dice of both
lungs, the estimated Dice and the verdict. A film is poor below a Dice of 0.90; AUROC says how well
the estimate separates poor films from the others.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from pleura.lab.evaluate.statistics import POOR_DICE
from pleura.lab.evaluate.verdicts import auroc

Row = tuple[float, float, str]


def read(table: Path) -> list[Row]:
    """(Dice, estimated Dice or 0 where a film was refused, verdict) of each film."""
    with table.open(newline="", encoding="utf-8") as file:
        return [
            (float(row["dice"]), float(row["estimated_dice"] or 0), row["verdict"])
            for row in csv.DictReader(file)
            if row["structure"] == "lungs" and row["dice"]
        ]


def table_row(title: str, rows: list[Row]) -> str:
    """One line of the table."""
    dice, estimate = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    not_ok = np.array([row[2] != "ok" for row in rows])
    refused = sum(row[2] == "refused" for row in rows)
    poor, known = dice < POOR_DICE, estimate > 0
    error = np.abs(dice - estimate)[known].mean()
    correlation = np.corrcoef(dice[known], estimate[known])[0, 1]
    area = auroc(estimate, poor)
    shown = "-" if area is None else f"{area:.2f}"
    return (
        f"| {title} | {len(rows)} | {not_ok.mean():.1%} | {refused} | {error:.4f} "
        f"| {correlation:.2f} | {poor.sum()} | {(poor & not_ok).sum()} | {shown} |"
    )


def main() -> None:
    """Print the table of the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", type=Path, help="the folder of `pleura bench --reports`")
    paths = sorted(parser.parse_args().reports.rglob("scores.csv"))
    folders = [path.parent for path in paths if not path.parent.name.endswith("_bare")]
    tables = {folder.name: read(folder / "scores.csv") for folder in folders}
    print("| films | n | not ok | refused | mean error | correlation | poor | not ok | AUROC |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(table_row("all", [row for rows in tables.values() for row in rows]))
    for name in sorted(tables):
        print(table_row(name, tables[name]))


if __name__ == "__main__":
    main()
