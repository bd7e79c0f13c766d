"""The napari plugin: its manifest, and the layers that its functions give."""

from __future__ import annotations

import importlib
import tomllib
from importlib import resources
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

import pleura
from pleura.core.errors import PleuraError, UnsuitableFilm, UsageError
from pleura.phantom.film import draw

CHECKOUT = Path(__file__).resolve().parents[3]
FILM = draw(256, 224, seed=1)


Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """The file that `pyproject.toml` names to napari as `package:file`."""
    entry = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["entry-points"]
    value = entry["napari.manifest"]["pleura"]
    named = EntryPoint("pleura", value, "napari.manifest")  # refuses a path with folders
    return yaml.safe_load((resources.files(named.module) / named.attr).read_text())


def layer(pixels: Any, **given: Any) -> Any:
    """What the widget reads of a layer."""
    plain = {"name": "film", "metadata": {}, "scale": (1.0, 1.0), "translate": (0.0, 0.0)}
    return SimpleNamespace(data=pixels, **(plain | given))


def run(manifest: Manifest, name: str) -> Any:
    """The function of a command, found as napari finds it."""
    (command,) = [each for each in manifest["contributions"]["commands"] if each["id"] == name]
    module, _, function = command["python_name"].partition(":")
    return getattr(importlib.import_module(module), function)


def test_the_manifest_names_what_is_there(manifest: Manifest) -> None:
    """`npe2 validate` accepts it; it is not run here, as its pytest plugin warns."""
    given = manifest["contributions"]
    names = {each["id"] for each in given["commands"]}
    assert manifest["name"] == "pleura"
    assert {each["command"] for each in given["readers"] + given["widgets"]} == names
    assert all(callable(run(manifest, name)) for name in names)


def test_a_dicom_film_is_opened_upright_with_its_spacing(
    manifest: Manifest, tmp_path: Path
) -> None:
    """MONOCHROME1 has air bright: napari must show it inverted, 0.2 mm a row and 0.1 a column."""
    stored = np.linspace(100, 900, 1000 * 1600).reshape(1000, 1600).astype(np.uint16)
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(film, keyword, generate_uid(entropy_srcs=[keyword]))
    film.Modality, film.PhotometricInterpretation, film.SamplesPerPixel = "CR", "MONOCHROME1", 1
    film.Rows, film.Columns = stored.shape
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.ImagerPixelSpacing = [0.2, 0.1]
    film.PixelData = stored.tobytes()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    read = run(manifest, "pleura.read")(str(tmp_path / "film.dcm"))
    ((pixels, given, kind),) = read([str(tmp_path / "film.dcm")])
    assert kind == "image"
    assert pixels.shape == (1000, 1600)
    assert pixels[0, 0] > pixels[-1, 0]
    assert given["scale"] == (0.2, 0.1)
    assert given["units"] == "mm"
    assert given["name"] == "film"


def test_the_lungs_are_a_labels_layer_over_the_film(manifest: Manifest) -> None:
    spacing = (0.5, 0.25)
    film = layer(FILM.radiograph.pixels, metadata={"pleura_spacing_mm": spacing}, scale=spacing)
    ((labels, given, kind),) = run(manifest, "pleura.segment")(film)
    assert kind == "labels"
    assert given["scale"] == spacing
    expected = pleura.segment(FILM.radiograph.pixels, spacing=spacing)
    assert given["name"] == f"film: lungs ({expected.quality.verdict})"
    assert np.array_equal(labels == 1, expected.right)
    assert np.array_equal(labels == 2, expected.left)
    overlap = 2 * ((labels == 1) & FILM.right).sum() / ((labels == 1).sum() + FILM.right.sum())
    assert overlap > 0.8, "label 1 is the patient's right lung"
    table = given["features"]
    assert table["index"] == [1, 2, 3]
    assert table["structure"] == ["right lung", "left lung", "heart"]
    assert table["area_px"][0] == (labels == 1).sum()
    # A pixel has 0.5 x 0.25 mm2, and a cm2 has 100 mm2.
    assert table["area_cm2"][0] == pytest.approx((labels == 1).sum() * 0.125 / 100)
    assert given["colormap"][1] == "#0072B2"
    assert given["metadata"]["verdict"] == expected.quality.verdict


def test_a_picture_in_colour_has_no_spacing(manifest: Manifest) -> None:
    grey = (255 * (FILM.radiograph.pixels / FILM.radiograph.pixels.max())).astype(np.uint8)
    film = layer(np.asarray(Image.fromarray(grey).convert("RGB")))
    ((labels, given, _),) = run(manifest, "pleura.segment")(film, lungs="whole", fast=True)
    assert labels.shape == grey.shape
    assert given["features"]["area_cm2"] == [None, None, None]


@pytest.mark.parametrize(
    ("film", "error", "message"),
    [
        (None, UsageError, "choose the layer of a chest film first"),
        (layer(np.zeros((64, 64), np.float32)), UnsuitableFilm, "no contrast"),
        (layer(np.zeros((4, 64, 64), np.float32)), PleuraError, "4"),
    ],
    ids=["none", "flat", "stack"],
)
def test_what_cannot_be_segmented_is_an_error(
    manifest: Manifest, film: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(manifest, "pleura.segment")(film)
