"""A MONAI Label app with Pleura as its model: the server's viewers ask for the lungs of a film.

pip install monailabel pleura
monailabel start_server --app examples/monailabel --studies FOLDER
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

import pleura

LABELS = {"right lung": 1, "left lung": 2, "heart": 3}
"""The values in the label image that Pleura writes; sides are the patient's."""


class Lungs(InferTask):
    """Segments one film: a label image in NIfTI, and the verdict and areas as parameters."""

    def __init__(self) -> None:
        super().__init__(
            InferType.SEGMENTATION,
            labels=LABELS,
            dimension=2,
            description="Lungs and heart in a frontal chest film (Pleura)",
            config={"lungs": ["field", "whole"]},
        )

    def is_valid(self) -> bool:
        """The weights come with the package."""
        return True

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The path of the label image, which the server sends and removes, and its parameters."""
        lungs = request.get("lungs", "field")
        result = pleura.segment(
            film(Path(request["image"])), lungs=lungs if isinstance(lungs, str) else lungs[0]
        )
        folder = Path(tempfile.mkdtemp(prefix="pleura-"))
        (written,) = result.save(folder / "film", formats=["nifti"])
        quality, areas = result.quality, result.measurements
        return str(written), {
            "label_names": LABELS,
            "verdict": quality.verdict,
            "doubts": [doubt.text for doubt in quality.doubts],
            "right_area_px": areas.right_area_px,
            "left_area_px": areas.left_area_px,
        }


def film(path: Path) -> Path:
    """The film's file; an archive gives a folder of DICOM files, in which there must be one."""
    if not path.is_dir():
        return path
    files = [each for each in sorted(path.rglob("*")) if each.is_file()]
    if len(files) != 1:
        raise pleura.UsageError(f"{path} has {len(files)} files, expected one film")
    return files[0]


class Pleura(MONAILabelApp):
    """The app that `monailabel start_server` looks for: it has one model, `pleura`."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        super().__init__(
            app_dir,
            studies,
            conf,
            name="Pleura",
            description="Lungs in frontal chest films",
            labels=LABELS,
        )

    def init_infers(self) -> dict[str, InferTask]:
        """The models by their names."""
        return {"pleura": Lungs()}
