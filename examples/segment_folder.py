"""Segment a folder of films from Python, and look at what was measured.

    python examples/segment_folder.py films/ lungs/

For thousands of films take `pleura segment films/ -o lungs/`: it reads ahead, and goes on where it
was stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pleura


def segment_folder(films: Path, out: Path) -> int:
    """Write a mask and an overlay for each film; how many films could not be segmented."""
    failed = 0
    for path in sorted(file for file in films.iterdir() if file.is_file()):
        try:
            lungs = pleura.segment(path)
        except pleura.FilmError as error:  # this film cannot be segmented; the next may be
            print(f"{path.name}: {error}")
            failed += 1
            continue
        lungs.save(out / path.stem, formats=["mask", "overlay"])
        measured = lungs.measurements
        ratio = measured.right_to_left_ratio  # None where a lung was not found
        print(
            f"{path.name}: the lungs are {measured.lungs_share:.0%} of the film, "
            f"right to left {'undefined' if ratio is None else f'{ratio:.2f}'}"
        )
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(3 if segment_folder(Path(sys.argv[1]), Path(sys.argv[2])) else 0)
