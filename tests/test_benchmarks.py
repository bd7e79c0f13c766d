"""The programs of benchmarks/ start, and find each other as one package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAMS = (
    "speed",
    "speed.heads",
    "speed.precision",
    "accuracy.label_noise",
    "accuracy.verdicts",
    "service.load",
    "service.page",
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_starts(program: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{program}", "--help"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")


def test_every_program_is_tried() -> None:
    programs = [
        path.relative_to(CHECKOUT / "benchmarks")
        for path in (CHECKOUT / "benchmarks").rglob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__main__") for path in programs}
    assert names == set(PROGRAMS)


def test_the_verdicts_of_a_folder_of_reports_are_told(tmp_path: Path) -> None:
    """Of four films the poor one has the lowest estimate: AUROC 1, and one of one is not ok."""
    report = tmp_path / "hospital"
    report.mkdir()
    (report / "scores.csv").write_text(
        "structure,dice,estimated_dice,verdict\n"
        "lungs,0.95,0.96,ok\nlungs,0.97,0.95,ok\nlungs,0.96,0.97,ok\nlungs,0.80,0.85,review\n"
        "right,0.10,0.10,refused\n"
    )
    command = [sys.executable, "-m", "benchmarks.accuracy.verdicts", tmp_path]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| hospital"))
    # mean error (0.01 + 0.02 + 0.01 + 0.05) / 4
    assert row.startswith("| hospital | 4 | 25.0% | 0 | 0.0225 |")
    assert row.endswith("| 1 | 1 | 1.00 |")
