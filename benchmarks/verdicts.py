"""What the verdicts of judged films were worth, as a Markdown table.

    pleura bench FILMS -o benchmarks/results/accuracy --reports report
    python benchmarks/verdicts.py report

Reads every `scores.csv` under the folder: of each film the Dice of both lungs, the estimated one
and the verdict. Bad is a Dice below 0.90; AUROC says how well the estimate tells bad from good.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

BAD = 0.90
Row = tuple[float, float, str]


def read(table: Path) -> list[Row]:
    """(Dice, estimated Dice or 0 where a film was refused, verdict) of each film."""
    with table.open(newline="", encoding="utf-8") as file:
        return [
            (float(row["dice"]), float(row["estimated_dice"] or 0), row["verdict"])
            for row in csv.DictReader(file)
            if row["structure"] == "lungs" and row["dice"]
        ]


def told(title: str, rows: list[Row]) -> str:
    """One line of the table."""
    dice, said = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    sent = np.array([row[2] != "ok" for row in rows])
    refused = sum(row[2] == "refused" for row in rows)
    bad, known = dice < BAD, said > 0
    error = np.abs(dice - said)[known].mean()
    together = np.corrcoef(dice[known], said[known])[0, 1]
    above = [np.mean(said[~bad] > each) for each in said[bad]]
    auroc = f"{np.mean(above):.2f}" if above else "-"
    return (
        f"| {title} | {len(rows)} | {sent.mean():.1%} | {refused} | {error:.4f} | {together:.2f} | "
        f"{bad.sum()} | {(bad & sent).sum()} | {auroc} |"
    )


def main() -> None:
    """Print the table of the folder named on the command line."""
    tables = {path.parent.name: read(path) for path in Path(sys.argv[1]).rglob("scores.csv")}
    print("| films | n | not ok | refused | mean error | correlation | bad | sent | AUROC |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(told("all", [row for rows in tables.values() for row in rows]))
    for name in sorted(tables):
        print(told(name, tables[name]))


if __name__ == "__main__":
    main()
