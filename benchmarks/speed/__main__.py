"""Measure the speed of Pleura on this machine; `make bench` runs it.

    python -m benchmarks.speed [--threads 2] [--rounds 9] [--only network,film,...]

Writes benchmarks/results/speed/PART.json for each part, and speed.md with the tables of all
parts. The variants of a part are timed in turn in one process: other work on the machine then slows
all variants equally, and their ratios still hold.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed.folder import folder, memory, resume
from benchmarks.speed.measure import machine, write_result
from benchmarks.speed.network import network
from benchmarks.speed.path import film, size, start
from benchmarks.speed.stages import stages
from benchmarks.speed.tables import write_tables
from benchmarks.speed.training import training

PARTS: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "network": network,
    "film": film,
    "stages": stages,
    "folder": folder,
    "memory": memory,
    "resume": resume,
    "start": start,
    "size": size,
    "training": training,
}


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="by default all that this process may use")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--films", type=int, default=100, help="of the folder that is segmented")
    parser.add_argument("--only", help=f"of {', '.join(PARTS)}; commas between")
    parser.add_argument("--no-monai", action="store_true", help="leave MONAI's network out: slow")
    options = parser.parse_args()
    for name in options.only.split(",") if options.only else PARTS:
        with tempfile.TemporaryDirectory() as folder:
            before = machine(options.threads)
            print(write_result(name, {"machine": before, **PARTS[name](options, Path(folder))}))
    print(write_tables())


if __name__ == "__main__":
    main()
