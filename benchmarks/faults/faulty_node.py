"""Runs `pleura node` with a clock that can be stepped, and with films that hang in the network.

python faulty_node.py --clock FILE --hang P7 -- node --folder ...
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any


def step_clock(file: Path) -> None:
    """Let `time.time` differ from the true time by the seconds in `file`."""
    true_time = time.time
    time.time = lambda: true_time() + float(file.read_text())


def hang_at(patient: str) -> None:
    """Let the film of this PatientID take for ever in the network."""
    import pydicom

    from pleura.apps.pacs.results import ResultMaker

    files = ResultMaker.files

    def hanging(self: Any, film: Any, **options: Any) -> Any:
        while pydicom.dcmread(film, stop_before_pixels=True).PatientID == patient:
            time.sleep(0.1)
        return files(self, film, **options)

    ResultMaker.files = hanging  # type: ignore[method-assign]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="faulty_node.py", description=(__doc__ or "")[:96])
    parser.add_argument("--clock", type=Path, help="file with the seconds to add to the clock")
    parser.add_argument("--hang", metavar="PATIENT_ID", help="the films that hang")
    parser.add_argument("arguments", nargs="*", help="those of pleura")
    given = parser.parse_args()
    if given.clock is not None:
        step_clock(given.clock)
    if given.hang is not None:
        hang_at(given.hang)
    from pleura.apps.cli.main import main

    sys.exit(main(given.arguments))
