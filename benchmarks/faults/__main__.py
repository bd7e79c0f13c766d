"""Faults of senders, archives, disk, clock and the node itself, and what becomes of the films.

    python -m benchmarks.faults
    python -m benchmarks.faults --only kills --kills 100

A real node runs in its own process, with a tiny network and small synthetic films; the archive is a
program of this benchmark whose answers can be wrong. Each film that the node acknowledged must have
exactly one set of results in the archive, or be kept as failed and counted by `pleura node status`.
The table is printed as it grows. The exit code is 1 if a film is lost or has two sets of results.
"""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.runs import RUNS, killed_at_random
from benchmarks.faults.stage import HEAD


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=40, help="kill -9 at so many random moments")
    parser.add_argument("--only", action="append", choices=["kills", *RUNS], help="repeatable")
    asked = parser.parse_args()
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    runs = {"kills": partial(killed_at_random, kills=asked.kills), **RUNS}
    print(HEAD, flush=True)
    all_hold = True
    with TemporaryDirectory() as folder:
        for name in asked.only or runs:
            for outcome in runs[name](Path(folder) / name):
                print(outcome.row(), flush=True)
                all_hold &= outcome.holds
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
