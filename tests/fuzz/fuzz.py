"""Reads damaged films without end, and counts what must never happen.

    python tests/fuzz/fuzz.py --inputs 50000 --seed 1
    python tests/fuzz/fuzz.py --inputs 50000 --seed 1 --kind dicom-jpeg-ls
    python tests/fuzz/fuzz.py --show 1:dicom-rle:17 > damaged.dcm

The same seed gives the same inputs. Each input is read as every door of Pleura reads a film, in a
process that this program watches. It prints a table, and exits with 1 if any input ended the
process, took over 20 s of processor time or 2 GB, raised an error outside Pleura's own, or
printed anything.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Timer

from mutations import damaged
from seeds import seeds

MAX_S, MAX_BYTES = 20.0, 2_000_000_000
HANG_S = 120.0  # then the reading process is ended
FAULTS = ("ended", "over 20 s", "over 2 GB", "foreign error", "printed")


def main() -> int:
    options = _parser().parse_args()
    if options.show:
        seed, kind, number = options.show.split(":")
        sys.stdout.buffer.write(_input(seeds()[kind], int(seed), kind, int(number)))
        return 0
    if options.read:
        _read_all(Path(options.read))
        return 0
    kinds = options.kind or sorted(seeds())
    counts = {kind: Counter() for kind in kinds}
    with TemporaryDirectory() as folder:
        for kind, film in seeds().items():
            Path(folder, kind).write_bytes(film)
        inputs_of_kind = -(-options.inputs // len(kinds))
        for result in _results(
            Path(folder), [(kind, n) for n in range(inputs_of_kind) for kind in kinds], options.seed
        ):
            _count(counts, result, options.seed)
    _print(counts)
    return int(any(count[fault] for count in counts.values() for fault in FAULTS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=50_000, help="how many damaged films")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other films")
    parser.add_argument("--kind", action="append", help="only films of this format; repeatable")
    parser.add_argument("--show", metavar="SEED:KIND:NUMBER", help="write one input to stdout")
    parser.add_argument("--read", metavar="FOLDER", help=argparse.SUPPRESS)
    return parser


def _input(film: bytes, seed: int, kind: str, number: int) -> bytes:
    return damaged(kind, film, Random(f"{seed}:{kind}:{number}"))


def _results(folder: Path, inputs: list[tuple[str, int]], seed: int) -> Iterator[dict[str, object]]:
    """What became of each input; the reading process is started again where it ended."""
    left = inputs
    while left:
        done = 0
        with Path(folder, "stderr").open("w+b") as stderr:
            reader = subprocess.Popen(
                [sys.executable, __file__, "--read", folder, "--seed", str(seed)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
            )  # fmt: skip
            for kind, number in left:
                timer = Timer(HANG_S, reader.kill)
                timer.start()
                try:
                    print(json.dumps([seed, kind, number]), file=reader.stdin, flush=True)
                    line = reader.stdout.readline()
                except BrokenPipeError:
                    line = ""
                timer.cancel()
                result = json.loads(line) if line.startswith("{") else {"faults": ["ended"]}
                if stderr.seek(0, os.SEEK_END) or (line and not line.startswith("{")):
                    result["faults"].append("printed")
                    stderr.truncate(0)
                yield {"kind": kind, "number": number, **result}
                done += 1
                if not line:
                    break
            reader.stdin.close()
            reader.wait()
        left = left[done:]


def _read_all(folder: Path) -> None:
    """Read the inputs that standard input names; a line of JSON about each."""
    from pleura.core.errors import FilmError
    from pleura.io.decoder_process import stop_decoders
    from pleura.io.read import read_radiograph

    films = {path.name: path.read_bytes() for path in folder.iterdir()}
    for line in sys.stdin:
        seed, kind, number = json.loads(line)
        data, faults, outcome = _input(films[kind], seed, kind, number), [], "read"
        start = _processor_s()
        try:
            read_radiograph(data)
        except FilmError as error:
            outcome = "rejected"
            if "decoder" in str(error) and ("crashed" in str(error) or "stopped" in str(error)):
                outcome = "decoder ended"
        except Exception as error:
            faults.append("foreign error")
            outcome = f"{type(error).__name__}: {error}"[:200]
        if _processor_s() - start > MAX_S:
            faults.append("over 20 s")
        if number % 50 == 49:  # the memory of a decoder process is known when it has ended
            stop_decoders()
        if _peak_bytes() > MAX_BYTES:
            faults.append("over 2 GB")
        print(json.dumps({"faults": faults, "outcome": outcome}), flush=True)


def _processor_s() -> float:
    """Processor time of this process and its ended children; a busy machine does not add to it."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _peak_bytes() -> int:
    """The most memory that this process has taken, or that one of its ended children had."""
    own, children = (
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own + children


def _count(counts: dict[str, Counter[str]], result: dict[str, object], seed: int) -> None:
    count = counts[str(result["kind"])]
    count["inputs"] += 1
    count[str(result.get("outcome", ""))] += 1
    for fault in result["faults"]:
        count[fault] += 1
        print(
            f"{fault}: {seed}:{result['kind']}:{result['number']} {result.get('outcome', '')}",
            file=sys.stderr,
        )
    total = sum(count["inputs"] for count in counts.values())
    if total % 1000 == 0:
        print(f"{total} inputs", file=sys.stderr, flush=True)


def _print(counts: dict[str, Counter[str]]) -> None:
    columns = ("inputs", "read", "rejected", "decoder ended", *FAULTS)
    print("| film | " + " | ".join(columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    total: Counter[str] = Counter()
    for kind, count in counts.items():
        total.update(count)
        print(f"| {kind} | " + " | ".join(str(count[column]) for column in columns) + " |")
    print("| all | " + " | ".join(str(total[column]) for column in columns) + " |")


if __name__ == "__main__":
    sys.exit(main())
