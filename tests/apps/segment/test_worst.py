"""`pleura results worst`: the films in the order of the network's uncertainty."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.faults.weights import dark_is_lung
from PIL import Image

from pleura.io.run.row import Row
from pleura.io.run.table import Table, read_rows

Run = Callable[..., Any]

GREYS = {"sure": 40, "doubtful": 115, "unsure": 125}
"""The grey of the lower half of the lungs; the upper half has 40, the ground 200 to 215. It becomes
about 0.02, 0.44 and 0.50, and the probability by p = sigmoid(20 (0.5 - x)) 1.00, 0.77 and 0.52."""


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """Films on which the tiny weights are more and more uncertain, and a damaged one."""
    folder = tmp_path / "graded"
    folder.mkdir()
    for name, grey in GREYS.items():
        film = np.tile((200 + np.arange(128) // 8).astype(np.uint8), (160, 1))
        for columns in (slice(16, 48), slice(80, 112)):
            film[40:80, columns], film[80:120, columns] = 40, grey
        Image.fromarray(film).save(folder / f"{name}.png")
    (folder / "damaged.png").write_bytes(b"no film")
    return folder


def names(printed: str) -> list[str]:
    return [Path(line).stem for line in printed.splitlines()]


def test_films_of_own_weights_and_of_ensembles_are_ranked(
    run: Run, graded: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.onnx"
    second.write_bytes(dark_is_lung(level=0.49))
    for number, weights in enumerate([[tiny_weights], [tiny_weights, second]]):
        out = tmp_path / str(number)
        given = [word for path in weights for word in ("--weights", path)]
        assert run("segment", graded, "-o", out, *given, "-q").code == 3
        rows = {row.film: row for row in read_rows(out / "results.csv")}
        assert all(row.estimated_dice is None for row in rows.values())
        assert rows["damaged"].uncertainty is None
        worst = run("results", "worst", out, "--count", 2)
        assert (worst.code, names(worst.out)) == (0, ["unsure", "doubtful"])
        assert worst.out.splitlines()[0] == rows["unsure"].path
        assert "1 of 4 films are left out: they failed" in worst.err
        assert names(run("results", "worst", out).out) == ["unsure", "doubtful", "sure"]


def test_films_without_lungs_come_first(
    run: Run, graded: Path, blind_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("segment", graded, "-o", out, "--weights", blind_weights, "-q").code == 3
    assert names(run("results", "worst", out).out) == ["doubtful", "sure", "unsure"]
    with Table(out, resume=True) as table:
        table.add(Row(film="z", path="/z.png", status="done", verdict="ok", uncertainty=0.9))
        table.add(Row(film="y", path="/y.png", status="done", verdict="ok", uncertainty=1.0))
        doubts = "not_a_chest_film; unusual_shape"
        table.add(Row(film="x", path="/x.png", status="done", doubts=doubts, uncertainty=0.95))
    ended = run("results", "worst", out)
    assert names(ended.out) == ["doubtful", "sure", "unsure", "y", "z"]
    assert "2 of 7 films are left out" in ended.err


def test_nothing_to_rank_is_an_error(run: Run, tmp_path: Path) -> None:
    with Table(tmp_path / "out") as table:
        table.add(Row(film="a", path="/a.png", status="failed", error="cut short"))
    ended = run("results", "worst", tmp_path / "out")
    assert (ended.code, ended.out) == (2, "")
    assert "holds no chest film that was segmented" in ended.err
    none = run("results", "worst", tmp_path)
    assert none.code == 2
    assert "give the --out of a run" in none.err


def test_a_table_of_an_earlier_version_is_refused(
    run: Run, graded: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    """Its table has no column `uncertainty`: neither ranked, nor merged, nor continued."""
    out = tmp_path / "out"
    shard = ("segment", graded, "-o", out, "--weights", tiny_weights, "-q", "--shard", "1/1")
    assert run(*shard).code == 3
    path = out / "shards/1-of-1/results.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    at = rows[0].index("uncertainty")
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(row[:at] + row[at + 1 :] for row in rows)
    before = path.read_bytes()
    for command in (
        ("results", "worst", path.parent),
        ("results", "parquet", path.parent),
        ("results", "merge", out),
        (*shard, "--resume"),
    ):
        ended = run(*command)
        assert ended.code == 2, command
        assert "has other columns than this version writes" in ended.err
        assert path.read_bytes() == before
    assert not (out / "results.csv").exists()
    assert run(*shard, "--overwrite").code == 3
    assert run("results", "merge", out).code == 3
