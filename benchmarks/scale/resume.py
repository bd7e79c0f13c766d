"""The cost of `pleura segment --resume` where all films are finished: CPU time and memory.

    python -m benchmarks.scale.resume --films 100000

One synthetic film is segmented. Its row is then repeated for films that are empty files, each with
an empty mask. So the measured run reads a full table, finds all films, checks that every mask is
there, and segments nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from pleura._version import __version__
from pleura.runtime.threads import cpu_model

RESULT = Path("benchmarks/results/scale/resume.json")
PLEURA = (sys.executable, "-m", "pleura")


def main() -> int:
    asked = options()
    with TemporaryDirectory(dir=asked.work) as work:
        films, out = Path(work) / "films", Path(work) / "out"
        finished_run(films, out, names(asked.films, asked.folder))
        result = {
            "pleura": __version__,
            "cpu": cpu_model(),
            "films": asked.films,
            "films_a_folder": asked.folder,
            **cost(*PLEURA, "segment", films, "-o", out, "--resume", "-q"),
        }
        report = json.loads((out / "run.json").read_text())
    result["skipped"] = report["skipped"]
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0 if report["skipped"] == asked.films else 1


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.scale.resume",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--films", type=int, default=100_000)
    parser.add_argument("--folder", type=int, default=1000, help="films in each folder")
    parser.add_argument("--work", type=Path, help="a folder for the films; it needs two files each")
    parser.add_argument("--output", type=Path, default=RESULT)
    return parser.parse_args()


def names(films: int, folder: int) -> Iterator[str]:
    """The names of the films' results, such as `0012/patient_0012345`."""
    return (f"{number // folder:04d}/patient_{number:07d}" for number in range(films))


def finished_run(films: Path, out: Path, names: Iterator[str]) -> None:
    """Make films, and the folder of a run that has finished them."""
    drawn = out.parent / "drawn.png"
    for command in (("phantom", "-o", drawn, "--size", "256"), ("segment", drawn, "-o", out, "-q")):
        subprocess.run([*PLEURA, *command], check=True, capture_output=True)
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        head, row = csv.reader(file)
    film, path, mask = (head.index(name) for name in ("film", "path", "mask"))
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        for name in names:
            row[film], row[path], row[mask] = name, f"{films / name}.png", f"{name}_mask.png"
            for made in (Path(row[path]), out / row[mask]):
                empty_file(made)
            table.writerow(row)


def empty_file(path: Path) -> None:
    try:
        path.open("xb").close()
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.open("xb").close()


def cost(*command: str | Path) -> dict[str, float]:
    """CPU and wall time of a command, in s, and its largest memory, in MB."""
    start = time.monotonic()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return {
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "wall_s": round(time.monotonic() - start, 1),
        "memory_mb": round(used.ru_maxrss / 1024),
    }


if __name__ == "__main__":
    raise SystemExit(main())
