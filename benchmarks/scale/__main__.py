"""A run on a Ray cluster on this machine: its results and its speed beside a run in one process.

    python -m benchmarks.scale FILMS --count 300 --kill-every 5

The cluster has nodes with one CPU each, on loopback. Runs in one process (`--threads` the number of
nodes) and runs on the cluster take turns, and their rates are compared. In the last run on the
cluster, workers are killed at random, and once a whole node, which is replaced. The rows and files
of every run must be those of the first one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pleura._version import __version__
from pleura.apps.segment.workers.ray_workers import quiet_ray
from pleura.io.files.atomic import OWN_PREFIX
from pleura.runtime.threads import cpu_model

RESULT = Path("benchmarks/results/scale/cluster.json")
STORE = 80 * 2**20


def main() -> int:
    asked = options()
    quiet_ray()
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE}
    with TemporaryDirectory(dir=asked.work) as work:
        films = repeated(asked.films, Path(work) / "films", asked.count)
        cluster = Cluster(
            initialize_head=True, head_node_args={**node, "num_cpus": 0, "include_dashboard": False}
        )
        nodes = [cluster.add_node(**node) for _ in range(asked.nodes)]
        try:
            result = compared(asked, films, Path(work), cluster.address)
            disturbed = Disturbance(cluster, nodes, node, every_s=asked.kill_every)
            result["disturbed"] = disturbed.during(
                lambda: on_cluster(films, Path(work) / "disturbed", cluster.address)
            )
            different = differences(Path(work) / "disturbed", Path(work) / "plain-0")
            result["disturbed"] |= {"equal": not different, "different": different[:10]}
        finally:
            cluster.shutdown()
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0 if result["equal"] and result["disturbed"]["equal"] else 1


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.scale", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("films", type=Path, help="a folder of films, which are repeated")
    parser.add_argument("--count", type=int, default=300, help="films in each run")
    parser.add_argument("--nodes", type=int, default=2, help="nodes with one CPU each")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each kind, in turns")
    parser.add_argument("--kill-every", type=float, default=5.0, help="s between two kills")
    parser.add_argument("--work", type=Path, help="a folder for films and results of the runs")
    parser.add_argument("--output", type=Path, default=RESULT)
    return parser.parse_args()


def repeated(films: Path, folder: Path, count: int) -> Path:
    """A folder with `count` links to the films of another one."""
    folder.mkdir()
    paths = sorted(path.resolve() for path in films.iterdir() if path.suffix == ".png")
    for number in range(count):
        path = paths[number % len(paths)]
        (folder / f"{number:06d}_{path.name}").symlink_to(path)
    return folder


def compared(asked: argparse.Namespace, films: Path, work: Path, address: str) -> dict[str, Any]:
    """Both kinds of run in turns: their rates, and whether all results are equal."""
    plain, cluster = [], []
    for turn in range(asked.rounds):
        plain.append(segment(films, work / f"plain-{turn}", "--threads", str(asked.nodes)))
        cluster.append(on_cluster(films, work / f"cluster-{turn}", address))
    outs = [work / f"{kind}-{n}" for kind in ("plain", "cluster") for n in range(asked.rounds)]
    rates = {
        kind: [round(asked.count / run["seconds"], 2) for run in runs]
        for kind, runs in (("plain", plain), ("cluster", cluster))
    }
    return {
        "pleura": __version__,
        "cpu": cpu_model(),
        "films": asked.count,
        "nodes": asked.nodes,
        "load_before": os.getloadavg()[0],
        "films_a_second": rates,
        "ratio": round(sum(rates["cluster"]) / sum(rates["plain"]), 3),
        "seconds_around": {
            kind: [round(run["command_s"] - run["seconds"], 1) for run in runs]
            for kind, runs in (("plain", plain), ("cluster", cluster))
        },
        "equal": not any(differences(out, outs[0]) for out in outs[1:]),
    }


def on_cluster(films: Path, out: Path, address: str) -> dict[str, Any]:
    return segment(films, out, "--threads", "1", "--ray", address)


def segment(films: Path, out: Path, *more: str) -> dict[str, Any]:
    """Run `pleura segment`; its report, its exit code, and the time of the whole command."""
    start = time.monotonic()
    command = [sys.executable, "-m", "pleura", "segment", films, "-o", out, "-q", *more]
    ended = subprocess.run(command, capture_output=True, text=True)
    report = json.loads((out / "run.json").read_text()) if (out / "run.json").exists() else {}
    if ended.returncode or report.get("status") != "complete":
        raise SystemExit(f"the run into {out} ended with {ended.returncode}: {ended.stderr}")
    return {**report, "command_s": time.monotonic() - start}


class Disturbance:
    """Kills workers of a cluster at random, and a node once."""

    def __init__(
        self, cluster: Any, nodes: list[Any], node: dict[str, Any], *, every_s: float
    ) -> None:
        self._cluster, self._nodes, self._node, self._every_s = cluster, nodes, node, every_s
        self._random = random.Random(1)
        self.workers = self.lost_nodes = 0

    def during(self, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was killed during a run, and how long it took."""
        with ThreadPoolExecutor(1) as pool:  # nodes are started in the main thread
            running = pool.submit(run)
            self._disturb(running)
            report = running.result()
        return {
            "killed_workers": self.workers,
            "killed_nodes": self.lost_nodes,
            "seconds": report["seconds"],
            "done": report["done"],
            "failed": report["failed"],
        }

    def _disturb(self, running: Future[dict[str, Any]]) -> None:
        while not wait([running], self._every_s).done:
            workers = [pid for node in self._nodes for pid in working(node)]
            if not workers:
                continue
            if self.workers >= 2 and not self.lost_nodes:
                self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)
                self._nodes.append(self._cluster.add_node(**self._node))
                self.lost_nodes += 1
                continue
            with suppress(ProcessLookupError):
                os.kill(self._random.choice(workers), signal.SIGKILL)
                self.workers += 1


def working(node: Any) -> list[int]:
    """The processes of a node that do films: children of its raylet."""
    raylet = node.all_processes["raylet"][0].process.pid
    pids = []
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and b"Worker.do" in (process / "cmdline").read_bytes():
                pids.append(int(process.name))
    return pids


def differences(out: Path, other: Path) -> list[str]:
    """The films whose rows differ between two runs, and the files; each film has one row."""
    pairs = (table(out), table(other)), (files(out), files(other))
    order = [] if [*pairs[0][0]] == [*pairs[0][1]] else ["the order of the rows"]
    return order + [
        str(name)
        for one, two in pairs
        for name in sorted(one.keys() | two.keys())
        if one.get(name) != two.get(name)
    ]


def table(out: Path) -> dict[str, Any]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    if len({row["film"] for row in rows}) != len(rows):
        raise SystemExit(f"{out} has several rows for a film")
    return {row["film"]: row for row in rows}


def files(out: Path) -> dict[str, bytes]:
    """The results; not what a killed worker was writing, which the next run into `out` removes."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("results.csv", "run.json")
        if not path.name.startswith(OWN_PREFIX)
    }


if __name__ == "__main__":
    raise SystemExit(main())
