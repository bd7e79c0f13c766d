"""Load a `pleura serve` on this machine with many clients, and check every answer.

    python -m benchmarks.service.load FILMS -o benchmarks/results/service/load.json
    python -m benchmarks.service.load FILMS --overflow -o benchmarks/results/service/overflow.json

Every mask must equal, byte for byte, the file that `pleura segment` writes for the same film, and
every verdict the one in its table. The result holds: films answered, wrong and lost; latency and
throughput of the service, of the engine alone and of the command line on the same films; the memory
of the service's process; CPU seconds a film, which other work on the machine changes less than it
changes rates. With `--overflow` the queue has 4 places and no client waits after a 503: every
answer must be 200 or 503.

FILMS is a folder of PNG films. The exit code is 1 if any answer was wrong. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pleura
from pleura.apps.cli.engines import open_engine
from pleura.core.frame import Frame, normalise
from pleura.io.read import read_radiograph
from pleura.runtime.threads import cpu_model

QUEUE_OF_OVERFLOW = 4
ENGINE_FILMS = 20  # enough for a rate that holds within a few percent
PLEURA = (sys.executable, "-m", "pleura")


@dataclass(frozen=True)
class Film:
    """A film to send, and the mask and verdict that must come back."""

    name: str
    content: bytes
    mask: bytes
    verdict: str


@dataclass(frozen=True)
class Answer:
    """What the service said of a film."""

    status: int
    retry_after: str | None
    verdict: str | None
    body: bytes


@dataclass
class Tally:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    without_retry_after: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, film: Film, answer: Answer, seconds: float) -> None:
        """Count one answer."""
        with self.lock:
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.seconds.append(seconds)
                if (answer.body, answer.verdict) != (film.mask, film.verdict):
                    self.wrong.append(film.name)
            elif answer.retry_after is None:
                self.without_retry_after += 1


def by_command_line(folder: Path, weights: list[str], threads: int) -> tuple[list[Film], float]:
    """The films with the masks that the command line writes, and its films a second."""
    with tempfile.TemporaryDirectory() as out:
        command = [*PLEURA, "segment", str(folder), "-o", out, "--no-progress", *weights]
        began = time.perf_counter()
        subprocess.run([*command, "--threads", str(threads)], check=True)
        seconds = time.perf_counter() - began
        with (Path(out) / "results.csv").open(newline="", encoding="utf-8") as table:
            verdicts = {row["film"]: row["verdict"] for row in csv.DictReader(table)}
        films = [
            Film(
                path.name,
                path.read_bytes(),
                (Path(out) / f"{path.stem}_mask.png").read_bytes(),
                verdicts[path.stem],
            )
            for path in sorted(folder.glob("*.png"))
        ]
    return films, len(films) / seconds


def engine_alone(films: list[Film], weights: Path | None, threads: int) -> tuple[float, float]:
    """The network by itself, decoding left out: films a second, and CPU seconds a film."""
    engine = open_engine(*([weights] if weights else []), threads=threads)
    squares = []
    for film in films[:ENGINE_FILMS]:
        radiograph = read_radiograph(film.content)
        frame = Frame(*radiograph.size, engine.card.side)
        squares.append(normalise(frame.fit(radiograph.pixels))[None])
    engine.predict(squares[0])
    began, worked = time.perf_counter(), time.process_time()
    for square in squares:
        engine.predict(square)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - worked
    return len(squares) / seconds, cpu_s / len(squares)


@contextlib.contextmanager
def serving(*options: str) -> Iterator[tuple[str, int]]:
    """A service on a free port: `host:port` and its process."""
    command = [*PLEURA, "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first_line = process.stderr.readline()
        address = re.search(r"http://(\S+)", first_line)
        if address is None:
            raise SystemExit(f"the service did not begin: {first_line}{process.stderr.read()}")
        try:
            yield address[1], process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def memory_mb(pid: int, what: str) -> float:
    """`VmRSS` now, or `VmHWM`, the most there ever was."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(rf"^{what}:\s+(\d+) kB", status, re.M)
    return round(int(match[1]) / 1024, 1) if match else 0.0


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(connection: http.client.HTTPConnection, film: Film) -> Answer:
    """Send one film."""
    connection.request("POST", "/v1/segmentations?format=mask", film.content)
    answer = connection.getresponse()
    header = answer.getheader
    return Answer(answer.status, header("Retry-After"), header("Pleura-Verdict"), answer.read())


def load(where: str, films: list[Film], *, clients: int, requests: int) -> tuple[Tally, float]:
    """Send films from many clients at once, each as fast as it is answered."""
    tally, numbers = Tally(), count()

    def client(_: int) -> None:
        connection = http.client.HTTPConnection(where, timeout=600)
        while (number := next(numbers)) < requests:
            film = films[number % len(films)]
            began = time.perf_counter()
            tally.add(film, ask(connection, film), time.perf_counter() - began)
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return tally, time.perf_counter() - began


def quantile(values: list[float], share: float) -> float | None:
    """The value below which that share lies; None of nothing."""
    if not values:
        return None
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))], 3)


def batch_mean(where: str) -> float | None:
    """Films that the network took at a time, on the average."""
    connection = http.client.HTTPConnection(where, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    total, calls = (
        float(re.findall(rf"^pleura_batch_films_{name} (\S+)$", text, re.M)[0])
        for name in ("sum", "count")
    )
    return round(total / calls, 2) if calls else None


def measured(asked: argparse.Namespace, films: list[Film]) -> dict[str, Any]:
    """Run the load; its figures."""
    options = ["--threads", str(asked.threads)]
    options += ["--weights", str(asked.weights)] if asked.weights else []
    if asked.overflow:
        options += ["--queue", str(QUEUE_OF_OVERFLOW), "--films", "1"]
    with serving(*options) as (where, pid):
        load(where, films, clients=1, requests=2)  # the first film pays for all
        alone, _ = load(where, films, clients=1, requests=min(20, asked.films))
        before, worked = memory_mb(pid, "VmRSS"), cpu_s(pid)
        tally, seconds = load(where, films, clients=asked.clients, requests=asked.films)
        worked = cpu_s(pid) - worked
        memory = {
            "before": before,
            "most": memory_mb(pid, "VmHWM"),
            "after": memory_mb(pid, "VmRSS"),
        }
        mean = batch_mean(where)
    return {
        "requests": asked.films,
        "statuses": {str(status): times for status, times in sorted(tally.statuses.items())},
        "wrong": len(tally.wrong),
        "lost": asked.films - sum(tally.statuses.values()),
        "refused_without_retry_after": tally.without_retry_after,
        "seconds": round(seconds, 1),
        "films_per_s": round(tally.statuses[200] / seconds, 2),
        "cpu_s_per_film": round(worked / max(1, tally.statuses[200]), 3),
        "latency_s": {f"p{p}": quantile(tally.seconds, p / 100) for p in (50, 95, 99)},
        "latency_of_one_client_s": {f"p{p}": quantile(alone.seconds, p / 100) for p in (50, 95)},
        "films_per_batch": mean,
        "memory_mb": memory,
    }


def main() -> int:
    """Measure and write; the exit code is 0 if all answers were right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FILMS")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--films", type=int, default=1000, help="requests in all")
    parser.add_argument("--different", type=int, default=50, help="of FILMS; then again")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--overflow", action="store_true")
    asked = parser.parse_args()
    weights = ["--weights", str(asked.weights)] if asked.weights else []
    with tempfile.TemporaryDirectory() as chosen:
        for path in sorted(asked.folder.glob("*.png"))[: asked.different]:
            (Path(chosen) / path.name).symlink_to(path.resolve())
        films, command_line = by_command_line(Path(chosen), weights, asked.threads)
    engine = open_engine(*([asked.weights] if asked.weights else []), threads=1)
    alone_per_s, alone_cpu_s = engine_alone(films, asked.weights, asked.threads)
    measurements = measured(asked, films)
    result = {
        "pleura": pleura.__version__,
        "weights": {"name": engine.card.name, "sha256": engine.weights_sha256},
        "engine": engine.name,
        "machine": {"processor": cpu_model(), "cpus": len(os.sched_getaffinity(0))},
        "films": {"different": len(films), "of": asked.folder.resolve().parent.name},
        "clients": asked.clients,
        "engine_alone_films_per_s": round(alone_per_s, 2),
        "engine_alone_cpu_s_per_film": round(alone_cpu_s, 3),
        "command_line_films_per_s": round(command_line, 2),
        **measurements,
        "share_of_engine_alone": round(measurements["films_per_s"] / alone_per_s, 2),
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    print(asked.out.read_text(), end="")
    return 0 if is_right(result, overflow=asked.overflow) else 1


def is_right(result: dict[str, Any], *, overflow: bool) -> bool:
    """Every film answered as the command line does; in an overflow, or is refused with 503."""
    allowed = {"200", "503"} if overflow else {"200"}
    faults = result["wrong"] + result["lost"] + result["refused_without_retry_after"]
    return set(result["statuses"]) == allowed and faults == 0


if __name__ == "__main__":
    sys.exit(main())
