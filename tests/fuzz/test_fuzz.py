"""A minute of damaged films; hours of them: `python tests/fuzz/fuzz.py --help`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).with_name("fuzz.py")


def test_no_damaged_film_ends_stalls_or_floods_the_process_that_reads_it() -> None:
    done = subprocess.run(
        [sys.executable, FUZZ, "--inputs", "3000", "--seed", "2026"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    total = next(line for line in done.stdout.splitlines() if line.startswith("| all |"))
    cells = [int(cell) for cell in total.split("|")[2:-1]]
    assert cells[0] >= 3000
    assert cells[1] > 300, "hardly any input is read: the damage is too coarse"
    assert cells[3] > 0, "no input ended a decoder process: the damage is too fine"


def test_the_same_seed_gives_the_same_film() -> None:
    shown = [
        subprocess.run([sys.executable, FUZZ, "--show", "1:dicom-rle:7"], capture_output=True)
        for _ in range(2)
    ]
    assert shown[0].stdout == shown[1].stdout != b""
