"""The example client and the lines of the how-to, run against a service."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

CHECKOUT = Path(__file__).resolve().parents[3]
PAGE = CHECKOUT / "docs" / "how-to" / "serve.md"


@pytest.fixture
def desk(films: Path, tmp_path: Path) -> Path:
    """A folder with film.png, film.dcm and films/ward-a, ward-b, as the how-to's lines expect."""
    for place in ("film.png", "films/ward-a/film.png", "films/ward-b/film.png"):
        (tmp_path / "desk" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(films / "b.png", tmp_path / "desk" / place)
    write_dicom(np.asarray(Image.open(films / "b.png")), tmp_path / "desk" / "film.dcm")
    return tmp_path / "desk"


def write_dicom(grey: NDArray[np.uint8], path: Path) -> None:
    """A film as an archive would have it, of nobody."""
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(film, keyword, generate_uid(entropy_srcs=[keyword]))
    film.Modality, film.PhotometricInterpretation, film.SamplesPerPixel = "CR", "MONOCHROME2", 1
    film.Rows, film.Columns = grey.shape
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 8, 8, 7, 0
    film.PixelData = grey.tobytes()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as(path, enforce_file_format=True)


def mask_of(film: Path, weights: Path, run: Callable[..., Any]) -> bytes:
    out = film.parent / "written"
    assert run("segment", film, "-o", out, "--weights", weights, "--no-progress").code == 0
    return (out / f"{film.stem}_mask.png").read_bytes()


def test_the_lines_of_the_how_to_run(
    client: httpx.Client, desk: Path, tiny_weights: Path, run: Callable[..., Any]
) -> None:
    blocks = re.findall(
        r"test_examples\.py starts one and runs it -->\n```bash\n(.*?)```", PAGE.read_text(), re.S
    )
    assert len(blocks) == 3
    for block in blocks:
        lines = block.replace("http://127.0.0.1:8017", str(client.base_url).rstrip("/"))
        subprocess.run(["bash", "-euo", "pipefail", "-c", lines], cwd=desk, check=True)
    assert (desk / "film_mask.png").read_bytes() == mask_of(desk / "film.png", tiny_weights, run)
    assert json.loads((desk / "film.json").read_text())["lungs"]["field"]["rle"]["right"]
    seg = pydicom.dcmread(desk / "film_seg.dcm")
    assert seg.SOPClassUID.name == "Segmentation Storage"
    both = np.asarray(Image.open(desk / "film_mask.png")) > 0
    assert np.array_equal(seg.pixel_array.any(axis=0), both)
    assert len(json.loads((desk / "films.json").read_text())["results"]) == 2
    with (desk / "results.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "done"]


def test_the_example_client_keeps_the_mask_of_the_command_line(
    client: httpx.Client, desk: Path, tiny_weights: Path, run: Callable[..., Any]
) -> None:
    (desk / "broken.png").write_text("not a film")
    example = CHECKOUT / "examples" / "client.py"
    done = subprocess.run(
        [sys.executable, example, "film.png", "broken.png"],
        cwd=desk,
        env={**os.environ, "PLEURA_URL": str(client.base_url).rstrip("/")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "film_mask.png: ok." in done.stdout
    assert "broken.png: this is a text file" in done.stdout
    assert (desk / "film_mask.png").read_bytes() == mask_of(desk / "film.png", tiny_weights, run)
