"""The example client and the commands of the how-to page, run against a service."""

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
from zipfile import ZipFile

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
def folder(films: Path, tmp_path: Path) -> Path:
    """A folder with the films that the commands of the how-to page name."""
    for place in ("film.png", "films/ward-a/film.png", "films/ward-b/film.png"):
        (tmp_path / "work" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(films / "b.png", tmp_path / "work" / place)
    write_dicom(np.asarray(Image.open(films / "b.png")), tmp_path / "work" / "film.dcm")
    return tmp_path / "work"


def write_dicom(grey: NDArray[np.uint8], path: Path) -> None:
    """Write a DICOM film as from an archive, of no patient."""
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


def test_the_commands_of_the_how_to_page_run(
    client: httpx.Client, folder: Path, tiny_weights: Path, run: Callable[..., Any]
) -> None:
    blocks = re.findall(
        r"test_examples\.py starts one and runs it -->\n```bash\n(.*?)```", PAGE.read_text(), re.S
    )
    assert len(blocks) == 4
    for block in blocks:
        lines = block.replace("http://127.0.0.1:8017", str(client.base_url).rstrip("/"))
        subprocess.run(["bash", "-euo", "pipefail", "-c", lines], cwd=folder, check=True)
    assert (folder / "film_mask.png").read_bytes() == mask_of(
        folder / "film.png", tiny_weights, run
    )
    assert json.loads((folder / "film.json").read_text())["lungs"]["field"]["rle"]["right"]
    seg = pydicom.dcmread(folder / "film_seg.dcm")
    assert seg.SOPClassUID.name == "Segmentation Storage"
    both = np.asarray(Image.open(folder / "film_mask.png")) > 0
    assert np.array_equal(seg.pixel_array.any(axis=0), both)
    assert len(json.loads((folder / "films.json").read_text())["results"]) == 2
    with (folder / "results.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "done"]
    with ZipFile(folder / "results.zip") as archive:
        assert archive.read("film_png_mask.png") == (folder / "film_mask.png").read_bytes()
        assert "film_dcm_labels.nii.gz" in archive.namelist()


def test_the_example_client_saves_the_mask_of_the_command_line(
    client: httpx.Client, folder: Path, tiny_weights: Path, run: Callable[..., Any]
) -> None:
    (folder / "broken.png").write_text("not a film")
    example = CHECKOUT / "examples" / "client.py"
    done = subprocess.run(
        [sys.executable, example, "film.png", "broken.png"],
        cwd=folder,
        env={**os.environ, "PLEURA_URL": str(client.base_url).rstrip("/")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "film_mask.png: ok." in done.stdout
    assert "broken.png: this is a text file" in done.stdout
    assert (folder / "film_mask.png").read_bytes() == mask_of(
        folder / "film.png", tiny_weights, run
    )


EXAMPLES = CHECKOUT / "examples" / "serve"


def options_in(text: str) -> list[str]:
    """The options of a command, a Dockerfile's list or a manifest's list."""
    return [word for word in re.split(r'[\s\[\]",]+', text) if word]


def test_the_options_of_the_examples_start_a_service(serve: Callable[..., Any]) -> None:
    """Those of the unit, the image and the manifest together, and those of the proxy."""
    unit = (EXAMPLES / "pleura.service").read_text()
    image = (EXAMPLES / "Dockerfile").read_text()
    manifest = (EXAMPLES / "kubernetes.yaml").read_text()
    proxy = (EXAMPLES / "nginx.conf").read_text()
    commands = {
        "unit": re.findall(r"^ExecStart=\S+ serve (.*)$", unit, re.M),
        "image": re.findall(r'^CMD \["serve", (.*)\]$', image, re.M),
        "manifest": re.findall(r"args: \[serve, (.*)\]", manifest),
        "proxy": re.findall(r"pleura serve (--allow-host.*)$", proxy, re.M),
    }
    for name, command in commands.items():
        assert len(command) == 1, name
    options = [word for command in commands.values() for word in options_in(command[0])]
    hosts = ("--host", "127.0.0.1", "--host", "0.0.0.0", "--host", "0.0.0.0")
    for fixed in (*hosts, "--port", "8017", "--port", "8017", "--log"):
        options.remove(fixed)
    server = serve(*options)
    for host in ("films.example", "pleura", "127.0.0.1"):
        for path in ("/healthz", "/pleura/healthz"):
            answer = httpx.get(f"{server.address}{path}", headers={"Host": host})
            assert answer.status_code == 200
    assert "route" in server.stop()[1]


def test_the_probes_of_the_examples_are_addresses_of_the_service(client: httpx.Client) -> None:
    manifest = (EXAMPLES / "kubernetes.yaml").read_text()
    image = (EXAMPLES / "Dockerfile").read_text()
    paths = re.findall(r"httpGet: {path: (\S+),", manifest) + re.findall(r":8017(/\w+)'", image)
    assert len(paths) == 3
    for path in paths:
        assert client.get(path).status_code == 200
