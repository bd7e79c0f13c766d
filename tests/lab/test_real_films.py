"""The shipped weights on real films, judged as anyone would judge them."""

from __future__ import annotations

from pathlib import Path

from pleura.lab.evaluate import evaluate
from pleura.lab.evaluation import Trial, read_rows
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.weights import shipped


def test_shipped_weights_on_films_that_they_never_saw(films_root: Path, tmp_path: Path) -> None:
    """Four films each of JSRT, whose masks tell the sides, and of Shenzhen and Montgomery."""
    engine = OnnxEngine(shipped(), threads=1)
    found = {}
    for name in ("jsrt", "shenzhen_montgomery"):
        out = tmp_path / name
        trial = Trial(data=(films_root / name,), split="test", limit=4, seed=1)
        found[name] = evaluate(trial, engine, out)
        table = read_rows(out / "scores.csv")
        assert sum(row.structure == "lungs" for row in table) == 4
        assert {row.split for row in table} == {"test"}
        assert (out / "report.html").read_text(encoding="utf-8").count('class="film"') == 8
    for name, summary in found.items():
        overall = summary["overall"]
        assert summary["films"]["failed"] == 0
        assert overall["lungs"]["dice"]["mean"] > 0.93, name
        assert overall["lungs"]["hd95_px"]["n_undefined"] == 0
        assert abs(overall["lungs"]["area_error"]["mean"]) < 0.10, name
        assert min(overall[side]["dice"]["min"] for side in ("right", "left")) > 0.8, name
    sides = {row.sides for row in read_rows(tmp_path / "jsrt" / "scores.csv")}
    assert "labelled" in sides
