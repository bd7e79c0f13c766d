"""Folders: films a second against the network alone, memory, going on with a finished run."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from benchmarks.speed.command import drawn, many, run, threads_of
from pleura.io.run.table import Table, read_rows
from pleura.runtime.engine import Engine
from pleura.runtime.open import Choice, open_weights
from pleura.runtime.threads import lanes, usable_cpus

CALLS = 24
"""Of the network alone, before and after each run."""

WARM = 10
"""Films of a short run, which is taken off a long one: what is left is the films' own time."""

FEW, MANY = 100, 1000
FINISHED = 10_000
LARGE = (5000, 4000)
"""Rows and columns of a film of 20 megapixels."""


def folder(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Films a second of `pleura segment` on films of 512 px, against the network alone.

    The network is timed as one film on all CPUs, and as the run has it: films side by side. The
    time of a run is that of `run.json`: without the start of the command and of its processes. The
    CPU time holds on a machine that is not quiet, too.
    """
    films, few = many(folder / "films", options.films), many(folder / "few", WARM)
    cpus = options.threads or usable_cpus()
    alone = _Alone(cpus)
    before, table = alone.rates(), {}
    cases = {
        "one process": threads_of(options),
        "one process, batches of 4": ["--batch-size", "4", *threads_of(options)],
        f"{cpus} processes": ["--workers", str(cpus), "--threads", "1"],
    }
    for number, (name, words) in enumerate(cases.items()):
        more = ["-q", *words]
        short = run(["segment", str(few), "-o", str(folder / f"few{number}"), *more])
        out = folder / f"out{number}"
        long = run(["segment", str(films), "-o", str(out), *more])
        after = alone.rates()
        network = {key: (before[key] + after[key]) / 2 for key in after}
        rate = options.films / json.loads((out / "run.json").read_text())["seconds"]
        cpu_ms = 1e3 * (long.cpu_s - short.cpu_s) / (options.films - WARM)
        table[name] = {
            "films_a_second": rate,
            **network,
            "of_one_at_a_time": rate / network["one_at_a_time"],
            "of_side_by_side": rate / network["side_by_side"],
            "cpu_ms_a_film": cpu_ms,
            "network_share_of_cpu": network["cpu_ms"] / cpu_ms,
        }
        before = after
    return {"films": options.films, "lanes": alone.lanes, "table": table}


class _Alone:
    """The network by itself: the mean of some calls, as it is in a run and not at its best."""

    def __init__(self, cpus: int) -> None:
        self.lanes = lanes(cpus)
        self.whole = open_weights(choice=Choice(threads=cpus))
        self.part = open_weights(choice=Choice(threads=cpus, streams=self.lanes))
        side = self.whole.card.side
        self.square = np.random.default_rng(0).random((1, 1, side, side), dtype=np.float32)

    def rates(self) -> dict[str, float]:
        """Films a second either way, and the CPU ms of a film side by side."""
        one, _ = _timed(lambda: [self._call(self.whole) for _ in range(CALLS)])
        with ThreadPoolExecutor(self.lanes) as pool:
            beside, cpu = _timed(lambda: list(pool.map(self._call, [self.part] * CALLS)))
        return {
            "one_at_a_time": CALLS / one,
            "side_by_side": CALLS / beside,
            "cpu_ms": 1e3 * cpu / CALLS,
        }

    def _call(self, engine: Engine) -> object:
        return engine.predict(self.square)


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Peak resident memory of `pleura segment`, MB; the long folders with `--fast`."""
    large = drawn(folder / "large.png", LARGE)
    given: dict[str, tuple[Path, list[str]]] = {
        "one film of 20 megapixels": (large, []),
        f"{FEW} films of 512 px": (many(folder / "some", FEW), []),
        f"{FEW} films of 512 px, --fast": (folder / "some", ["--fast"]),
        f"{MANY} films of 512 px, --fast": (many(folder / "many", MANY), ["--fast"]),
    }
    table = {}
    for name, (films, more) in given.items():
        words = ["segment", str(films), "-o", str(folder / name), "-q", *more]
        table[name] = run([*words, *threads_of(options)]).peak_mb
    return {"peak_mb": table}


def resume(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """`--resume` over finished films, less the same over one: what looking at them takes."""
    table = {}
    for count in (1, FINISHED):
        films, out = _finished(folder / str(count), count)
        words = ["segment", str(films), "-o", str(out), "-q", "--resume", *threads_of(options)]
        taken = [run(words) for _ in range(5)]
        table[count] = {
            "wall_s": min(timing.wall_s for timing in taken),
            "cpu_s": min(timing.cpu_s for timing in taken),
            "median_wall_s": statistics.median(timing.wall_s for timing in taken),
            "skipped": json.loads((out / "run.json").read_text())["skipped"],
        }
    one, all_ = table[1], table[FINISHED]
    return {
        "films": FINISHED,
        "seconds": {key: all_[key] - one[key] for key in ("wall_s", "cpu_s", "median_wall_s")},
        "whole_commands": table,
    }


def _finished(folder: Path, count: int) -> tuple[Path, Path]:
    """A folder of films and the results of a run over them, as after a real one of one film."""
    films, out = folder / "films", folder / "out"
    first = drawn(films / "00000.png", (64, 64))
    run(["segment", str(films), "-o", str(out), "-q"])
    row = read_rows(out / "results.csv")[0]
    mask = out / "00000_mask.png"
    with Table(out, resume=True) as table:
        for number in range(1, count):
            name = f"{number:05}"
            (films / f"{name}.png").hardlink_to(first)
            (out / f"{name}_mask.png").hardlink_to(mask)
            path, made = str(films / f"{name}.png"), PurePath(f"{name}_mask.png").as_posix()
            table.rows[name] = replace(row, film=name, path=path, mask=made)
        table.add(table.rows[row.film])
    return films, out
