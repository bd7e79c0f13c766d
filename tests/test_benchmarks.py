"""The programs of benchmarks/ start, and find each other as one package."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.accuracy.field import border_steps
from benchmarks.accuracy.heart_ratio import FEWEST, HeartRatio, best_limit, figures
from benchmarks.accuracy.uncertainty import found

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAMS = (
    "speed",
    "speed.heads",
    "speed.precision",
    "accuracy.field",
    "accuracy.heart_ratio",
    "accuracy.heart_top",
    "accuracy.label_noise",
    "accuracy.outlines",
    "accuracy.own_films",
    "accuracy.uncertainty",
    "accuracy.verdicts",
    "faults",
    "faults.faulty_node",
    "scale",
    "scale.resume",
    "service.load",
    "service.page",
    "service.page_memory",
    "viewers",
    "viewers.ohif",
)


START_ALL = """
import contextlib, io, json, runpy, sys
usages = {}
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            usages[name] = [end.code, printed.getvalue()]
print(json.dumps(usages))
"""
"""One process for all programs: importing their libraries takes seconds."""


def test_every_program_starts() -> None:
    command = [sys.executable, "-W", "ignore::RuntimeWarning:runpy", "-c", START_ALL, *PROGRAMS]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    usages = json.loads(done.stdout)
    for program in PROGRAMS:
        code, printed = usages[program]
        assert (code or 0, printed[:6]) == (0, "usage:"), program


def test_every_program_is_tried() -> None:
    programs = [
        path.relative_to(CHECKOUT / "benchmarks")
        for path in (CHECKOUT / "benchmarks").rglob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__main__") for path in programs}
    assert names == set(PROGRAMS)


def test_the_verdicts_of_a_folder_of_reports_are_printed(tmp_path: Path) -> None:
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


def test_the_worst_films_among_the_most_uncertain_by_hand() -> None:
    """Of 20 films the 2 with the lowest Dice are the worst, and the 4 most uncertain are reviewed.

    Of the 2 the film without lungs is first; the other is the fifth, or the fourth.
    """
    others = [(0.9 + n / 1000, 0.05 if n < 3 else 0.01) for n in range(18)]
    assert found([(0.0, math.inf), (0.5, 0.04), *others]) == 0.5
    assert found([(0.0, math.inf), (0.5, 0.06), *others]) == 1.0
    assert found([(0.0, 0.02), (0.5, 0.001), *[(dice, 0.05) for dice, _ in others]]) == 0.0


def test_the_limit_of_the_range_of_the_ratio_by_hand() -> None:
    """Of 100 films 4 disagree, with ranges of 0.10, 0.12, 0.14 and 0.30; the rest have 0.02.

    2 of the 98 films up to a limit of 0.12 are more than 2 %, 1 of 97 is not: the limit is 0.11.
    """
    agreed = (HeartRatio(0.5, 0.02, False), HeartRatio(0.55, 0.02, False))
    apart = [
        (HeartRatio(0.5, at, False), HeartRatio(0.7, 0.02, False))
        for at in (0.10, 0.12, 0.14, 0.30)
    ]
    pairs = [agreed] * 96 + apart
    assert figures(pairs, 0.13)["disagree_kept"] == pytest.approx(2 / 98)
    assert figures(pairs, 0.13)["left_empty"] == pytest.approx(0.02)
    assert figures(pairs, 0.13)["disagree_all"] == 0.04
    assert best_limit({"all": pairs}) == 0.11
    assert best_limit({"all": pairs, "too few": apart[:1] * (FEWEST - 1)}) == 0.11
    refused = (HeartRatio(0.5, 0.01, True), HeartRatio(0.9, 0.01, False))
    assert figures([refused], 0.5)["kept_by_both"] == 0


def test_how_far_a_border_lies_inside_by_hand() -> None:
    """The drawn chest is 8 px wide. Three predicted borders lie 1 px inside it, one 1 px outside.

    The third row has no predicted lung, so it is left out.
    """
    drawn, predicted = np.zeros((2, 3, 12), dtype=np.bool_)
    drawn[:, 3:11] = True
    predicted[:2, 4:10] = True
    predicted[1, 10:12] = True
    predicted[1, 6:8] = False
    assert border_steps(predicted, drawn).tolist() == [1 / 8, 1 / 8, 1 / 8, -1 / 8]
