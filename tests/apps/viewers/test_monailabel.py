"""The example app for MONAI Label, beside stand-ins for its two base classes.

MONAI Label itself needs a torch of its own version, so it is not installed for the tests.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np
import pytest

import pleura
from pleura.apps.cli.main import main
from pleura.io.images.write.masks import label_map

CHECKOUT = Path(__file__).resolve().parents[3]


class App:
    """As `MONAILabelApp`: it asks for the models when it is made."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str], **about: Any) -> None:
        self.about = about
        self.infers = self.init_infers()

    def init_infers(self) -> dict[str, Any]:
        return {}


class Task:
    """As `InferTask`."""

    def __init__(self, kind: str, **about: Any) -> None:
        self.kind, self.labels, self.dimension = kind, about["labels"], about["dimension"]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    types = type("InferType", (), {"SEGMENTATION": "segmentation"})
    for name, members in {
        "monailabel": {},
        "monailabel.interfaces": {},
        "monailabel.interfaces.app": {"MONAILabelApp": App},
        "monailabel.interfaces.tasks": {},
        "monailabel.interfaces.tasks.infer_v2": {"InferTask": Task, "InferType": types},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)
    program = runpy.run_path(str(CHECKOUT / "examples" / "monailabel" / "main.py"))
    return program["Pleura"]("examples/monailabel", "films", {})


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "study" / "film.png"
    path.parent.mkdir()
    with pytest.raises(SystemExit, match="0"):
        sys.exit(main(["phantom", "-o", str(path), "--size", "256"]))
    return path


@pytest.mark.parametrize("lungs", ["field", ["whole", "field"]])
def test_the_model_answers_with_the_label_image_of_the_film(
    app: Any, film: Path, lungs: Any
) -> None:
    """A viewer sends one value, or the whole list of the configuration."""
    task = app.infers["pleura"]
    assert (task.kind, task.dimension, task.is_valid()) == ("segmentation", 2, True)
    written, told = task({"image": str(film), "lungs": lungs})
    expected = pleura.segment(film, lungs="field" if lungs == "field" else "whole")
    image = nibabel.load(written)
    # NIfTI has columns first, then rows, and one slice.
    labels = np.asarray(image.dataobj).squeeze().T
    assert np.array_equal(labels, label_map(expected))
    assert told["verdict"] == expected.quality.verdict
    assert told["right_area_px"] == (labels == task.labels["right lung"]).sum()


def test_a_folder_of_one_film_is_taken(app: Any, film: Path) -> None:
    task = app.infers["pleura"]
    written, _ = task({"image": str(film.parent)})
    assert Path(written).is_file()
    film.with_name("other.png").write_bytes(film.read_bytes())
    with pytest.raises(pleura.UsageError, match="has 2 files, expected one film"):
        task({"image": str(film.parent)})
