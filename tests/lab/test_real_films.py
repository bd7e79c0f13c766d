"""The Dice of the shipped weights on real films."""

from __future__ import annotations

from pathlib import Path

from pleura.lab.evaluate.evaluation import EvaluationSettings, read_rows
from pleura.lab.report.evaluation import evaluate
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.open import shipped

FLOORS = {"shenzhen_montgomery": 0.93, "jsrt": 0.80}
"""The smallest mean Dice of the lungs. JSRT's films have 224 px here, and the seed recipe was not
trained on any: below this floor the weights do not generalise."""


def test_shipped_weights_on_test_films(films_root: Path, tmp_path: Path) -> None:
    """Three films of Shenzhen and Montgomery, and three of JSRT, whose masks label the sides."""
    engine = OnnxEngine(shipped(), threads=1)
    dice = {}
    for name in FLOORS:
        out = tmp_path / name
        settings = EvaluationSettings(data=(films_root / name,), split="test", limit=3, seed=1)
        summary = evaluate(settings, engine, out)
        table = read_rows(out / "scores.csv")
        assert [row.split for row in table if row.structure == "lungs"] == ["test"] * 3
        assert (out / "report.html").read_text(encoding="utf-8").count('class="film"') == 6
        assert summary["films"]["failed"] == 0
        assert summary["overall"]["lungs"]["hd95_px"]["n_undefined"] == 0
        dice[name] = summary["overall"]["lungs"]["dice"]["mean"]
    assert {row.sides for row in table if row.structure == "right"} == {"labelled"}  # JSRT's
    assert all(dice[name] > floor for name, floor in FLOORS.items()), dice
