"""`pleura results parquet`: the rows of results.csv, with types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from pleura.apps.segment.tables import parquet
from pleura.io.run.table import RESULTS, read_rows

Run = Callable[..., Any]


def test_the_rows_are_those_of_the_table(
    run: Run, films: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_PART", 3)
    (films / "damaged.png").write_bytes(b"no film")
    out = tmp_path / "out"
    assert run("segment", films, "-o", out, "--weights", tiny_weights, "--threads", 1).code == 3
    for _ in range(2):  # the second time replaces the first
        ended = run("results", "parquet", out)
        assert ended.code == 0, ended.err
    assert "4 films in 2 files" in ended.err
    parts = sorted((out / parquet.PARQUET).iterdir())
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet"]
    written = pyarrow.parquet.read_table(out / parquet.PARQUET).to_pylist()
    assert written == [asdict(row) for row in read_rows(out / RESULTS)]
    assert [name for name in (p.name for p in out.iterdir()) if name.startswith(".")] == []
    again = run("segment", films, "-o", out, "--weights", tiny_weights, "--resume")
    assert again.code == 3


def test_a_folder_without_a_table(run: Run, tmp_path: Path) -> None:
    ended = run("results", "parquet", tmp_path)
    assert ended.code == 2
    assert "give the --out of a run" in ended.err
