"""Results -> one page of tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.speed.measure import RESULTS
from pleura.io.files.atomic import atomic_write

Result = dict[str, Any]


def write_tables() -> Path:
    """Write `speed.md` from every result."""
    lines = ["# Speed, as measured", ""]
    for name, rows in TABLES.items():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            result = json.loads(path.read_text())
            lines += [f"## {name}", "", _where(result), "", *rows(result), ""]
    target = RESULTS / "speed.md"
    with atomic_write(target, "w") as file:
        file.write("\n".join(lines))
    return target


def _where(result: Result) -> str:
    facts = result["machine"]
    return (
        f"{facts['cpu']}, {facts['threads']} of {facts['cpus']} CPUs, "
        f"{', '.join(facts['features'])}; load {facts['load_before']} when it began."
    )


def _network(result: Result) -> Iterator[str]:
    table = result["table"]
    torch_ms = table["eager torch"]["min_ms"]
    monai = table.get("MONAI BasicUNetPlusPlus, eager torch", {}).get("min_ms")
    work, peaks = result["giga_multiply_adds"], result["peak_giga_multiply_adds_a_second"]
    yield "| variant | least ms | median ms | times eager torch | times MONAI eager | of the peak |"
    yield "|---|---|---|---|---|---|"
    for name, row in table.items():
        against = f"{monai / row['min_ms']:.1f}" if monai else "-"
        kind = next((kind for kind in ("int8", "bf16") if kind in name), "fp32")
        peak = max(value for peaked, value in peaks.items() if kind in peaked)
        whole = "MONAI" not in name and "--fast" not in name
        share = f"{work / (row['min_ms'] / 1e3) / peak:.0%}" if whole else "-"
        yield (
            f"| {name} | {row['min_ms']:.0f} | {row['p50_ms']:.0f} "
            f"| {torch_ms / row['min_ms']:.1f} | {against} | {share} |"
        )
    peak_list = ", ".join(f"{name} {value:.0f}" for name, value in peaks.items())
    yield ""
    yield f"The network is {work:.1f} G multiply-adds; peak measured, G a second: {peak_list}."


def _heads(result: Result) -> Iterator[str]:
    yield (
        "| weights | head | side | films | Dice, mean | worst | HD95, px, mean | ms "
        "| times as fast |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    whole = result["whole"]
    for row in result["table"]:
        yield (
            f"| {row['weights']} | {row['head']} | {row['side']} | {row['films']} "
            f"| {row['dice']:.4f} | {row['worst']:.4f} | {row['hd95_px']:.1f} "
            f"| {row['ms']:.0f} | {whole['ms'] / row['ms']:.1f} |"
        )


def _film(result: Result) -> Iterator[str]:
    yield f"{result['engine']}; from a PNG on disk to a mask on disk."
    yield ""
    yield "| film | p50 ms | p95 ms |"
    yield "|---|---|---|"
    for name, row in result["table"].items():
        yield f"| {name} | {row['p50_ms']:.0f} | {row['p95_ms']:.0f} |"


def _folder(result: Result) -> Iterator[str]:
    yield f"{result['films']} films of 512 px, up to {result['lanes']} side by side."
    yield "The network alone is timed before and after: a film at a time on all CPUs, or so."
    yield ""
    yield (
        "| | films a second | the network alone | side by side | share | share | CPU ms a film "
        "| of it the network |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name, row in result["table"].items():
        yield (
            f"| {name} | {row['films_a_second']:.2f} | {row['one_at_a_time']:.2f} "
            f"| {row['side_by_side']:.2f} | {row['of_one_at_a_time']:.0%} "
            f"| {row['of_side_by_side']:.0%} | {row['cpu_ms_a_film']:.0f} "
            f"| {row['network_share_of_cpu']:.0%} |"
        )


def _stages(result: Result) -> Iterator[str]:
    table = result["cpu_ms"]
    yield f"{result['engine']}, one thread; CPU ms, medians."
    yield ""
    yield f"| | {' | '.join(table)} |"
    yield "|---|" + "---|" * len(table)
    for step in next(iter(table.values())):
        form = ".0%" if "network" in step and step != "network" else ".1f"
        yield f"| {step} | {' | '.join(format(row[step], form) for row in table.values())} |"


def _resume(result: Result) -> Iterator[str]:
    seconds = result["seconds"]
    yield (
        f"`--resume` over {result['films']} finished films, less the same over one: "
        f"{seconds['wall_s']:.2f} s (median {seconds['median_wall_s']:.2f}), "
        f"{seconds['cpu_s']:.2f} s of CPU."
    )


def _start(result: Result) -> Iterator[str]:
    yield from _plain("seconds", "seconds", ".2f")(result)
    if "parts" in result:
        yield ""
        yield "A cold `pleura segment film.png` taken apart:"
        yield ""
        yield from _plain("parts", "seconds", ".2f")(result)


def _precision(result: Result) -> Iterator[str]:
    limit = f", {result['limit']} films of row set" if result["limit"] else ""
    yield f"Split `{result['split']}`{limit}; Dice of both lungs."
    yield ""
    yield "| graph | against | source | films | Dice | difference | 95 % interval | worst film |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in result["table"]:
        low, high = row["interval"] or (None, None)
        span = "-" if low is None else f"{low:+.5f} to {high:+.5f}"
        yield (
            f"| {row['graph']} | {row['against']} | {row['source']} | {row['films']} "
            f"| {row['dice']:.4f} | {row['difference']:+.5f} | {span} | {row['worst']:+.4f} |"
        )


def _plain(key: str, unit: str, form: str) -> Callable[[Result], Iterator[str]]:
    def rows(result: Result) -> Iterator[str]:
        yield f"| | {unit} |"
        yield "|---|---|"
        for name, value in result[key].items():
            yield f"| {name} | {format(value, form)} |"

    return rows


def _size(result: Result) -> Iterator[str]:
    more = result["onnxruntime_mb"]
    yield f"Base {result['base_mb']:.0f} MB; the extra `onnxruntime` {more:.0f} more."


def _training(result: Result) -> Iterator[str]:
    seconds = result["seconds"]
    squares = f"{result['batch']} squares of {result['side']} px"
    yield f"A batch of {squares}, {result['precision']}, loaded without workers."
    yield ""
    yield "| films a second | of the convolutions alone | loader's share | s a step | s a load |"
    yield "|---|---|---|---|---|"
    yield (
        f"| {result['films_a_second']:.2f} | {result['of_the_convolutions_alone']:.0%} "
        f"| {result['loader_share_without_workers']:.1%} "
        f"| {seconds['step']:.2f} | {seconds['load']:.3f} |"
    )


TABLES: dict[str, Callable[[Result], Iterator[str]]] = {
    "network": _network,
    "heads": _heads,
    "film": _film,
    "precision": _precision,
    "stages": _stages,
    "folder": _folder,
    "resume": _resume,
    "memory": _plain("peak_mb", "peak MB", ".0f"),
    "start": _start,
    "size": _size,
    "training": _training,
}
