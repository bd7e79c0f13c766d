"""What Pleura writes for a film is read as the same masks, in every format that holds masks."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

import pleura
from pleura.core.arrays import Mask
from pleura.core.masks.contours import outlines, rle
from pleura.io.images.write.coco import merge_coco
from pleura.io.outputs import FORMATS
from pleura.lab.data.film import Film, Labels
from pleura.lab.data.labels import target_for
from pleura.lab.data.layouts import read_films
from pleura.phantom.film import draw

NO_MASK = {
    *("overlay", "overlay-jpeg", "crop", "probabilities"),
    *("dicom-sr", "dicom-sc", "dicom-gsps", "dicom-kos"),
}
"""Formats that are pictures, reports, outlines for a viewer, or the network's maps."""

HOLDS_A_MASK = sorted(set(FORMATS) - NO_MASK)

HEIGHT, WIDTH = 120, 100


@pytest.fixture(scope="module")
def result() -> pleura.Segmentation:
    return pleura.segment(draw(HEIGHT, WIDTH, seed=3).radiograph.pixels)


def dicom_film(pixels: np.ndarray) -> bytes:
    grey = (255 * (pixels - pixels.min()) / np.ptp(pixels)).astype(np.uint8)
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.SOPInstanceUID = generate_uid()
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.set_pixel_data(grey, "MONOCHROME2", 8)
    file = BytesIO()
    dcmwrite(file, film, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture
def data(tmp_path: Path, result: pleura.Segmentation) -> Path:
    """`images/a.dcm` and an empty `masks/`."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    (tmp_path / "images" / "a.dcm").write_bytes(dicom_film(result.radiograph.pixels))
    return tmp_path


def written(data: Path, result: pleura.Segmentation, name: str) -> Film:
    """The film, with the masks that `pleura segment --format name` writes."""
    film = data / "images" / "a.dcm"
    result.save(data / "masks" / "a", formats=[name], film=film)
    (read,) = read_films(data)
    return read


def lungs(labels: Labels) -> Mask:
    mask = target_for(labels, "field")
    assert mask is not None
    return mask


@pytest.mark.parametrize("name", HOLDS_A_MASK)
def test_both_lungs(data: Path, result: pleura.Segmentation, name: str) -> None:
    labels = written(data, result, name).read_labels()
    if name == "dicom-seg-fractional":  # holds the maps before clean-up
        right, left = (result.probabilities[index] >= 0.5 for index in (0, 1))
        assert np.mean(lungs(labels) != (right | left)) < 0.002  # steps of 1/255
    else:
        assert np.array_equal(lungs(labels), result.mask)


@pytest.mark.parametrize("name", sorted({*HOLDS_A_MASK} - {"mask", "dicom-seg-fractional"}))
def test_right_left_and_heart(data: Path, result: pleura.Segmentation, name: str) -> None:
    targets = written(data, result, name).read_labels().targets
    assert np.array_equal(targets["right_field"], result.right)
    assert np.array_equal(targets["left_field"], result.left)
    assert result.heart is not None
    if name in ("coco", "dicom-seg"):  # their structures may overlap
        assert np.array_equal(targets["heart"], result.heart)
    elif name != "split":
        assert np.array_equal(targets["heart"], result.heart & ~result.mask)


def test_the_merged_coco_file_of_a_run(tmp_path: Path) -> None:
    """A folder that was segmented is a data set: its films, and coco.json."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    results = {}
    for seed, stem in enumerate(("a", "b")):
        path = tmp_path / "images" / f"{stem}.dcm"
        path.write_bytes(dicom_film(draw(HEIGHT, WIDTH, seed=seed).radiograph.pixels))
        results[stem] = pleura.segment(path)
        results[stem].save(tmp_path / "annotations" / stem, formats=["coco"])
    films = [(stem, f"{stem}.dcm") for stem in results]
    merge_coco(tmp_path / "annotations", films, version="test")
    for stem in results:
        (tmp_path / "annotations" / f"{stem}_coco.json").unlink()
    for film in read_films(tmp_path):
        assert np.array_equal(lungs(film.read_labels()), results[film.id].mask)


def test_a_segmentation_by_whole_labels_whole_lungs(
    data: Path, result: pleura.Segmentation
) -> None:
    film = data / "images" / "a.dcm"
    whole = pleura.segment(film, lungs="whole")
    whole.save(data / "masks" / "a", formats=["dicom-seg"], film=film)
    (read,) = read_films(data)
    assert read.channels == {"right_whole", "left_whole", "heart"}
    assert np.array_equal(read.read_labels().targets["right_whole"], whole.right)


@st.composite
def pairs_of_rectangles(draw_value: st.DrawFn) -> tuple[Mask, Mask]:
    masks = []
    for half in (0, 1):
        mask = np.zeros((40, 40), np.bool_)
        top, left = draw_value(st.integers(0, 30)), draw_value(st.integers(0, 15)) + 20 * half
        mask[top : top + draw_value(st.integers(1, 10)), left : left + 4] = True
        masks.append(mask)
    return masks[0], masks[1]


@given(masks=pairs_of_rectangles())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_outline_in_coco_labelme_and_run_lengths(
    tmp_path: Path, masks: tuple[Mask, Mask]
) -> None:
    names = ("right lung", "left lung")
    polygons = {name: outlines(mask) for name, mask in zip(names, masks, strict=True)}
    (tmp_path / "images").mkdir(exist_ok=True)
    for stem in ("a", "b", "c"):
        Image.fromarray(np.arange(1600, dtype=np.uint8).reshape(40, 40)).save(
            tmp_path / "images" / f"{stem}.png"
        )
    (tmp_path / "images" / "a.json").write_text(
        json.dumps(
            {
                **{"imagePath": "a.png", "imageHeight": 40, "imageWidth": 40},
                "shapes": [
                    {"label": name, "shape_type": "polygon", "points": polygon.tolist()}
                    for name, parts in polygons.items()
                    for polygon in parts
                ],
            }
        )
    )
    images = [
        {"id": n, "file_name": f"{stem}.png", "height": 40, "width": 40}
        for n, stem in enumerate("bc")
    ]
    entries = [
        {"image_id": image, "category_id": names.index(name), "segmentation": segmentation}
        for name, mask in zip(names, masks, strict=True)
        for image, segmentation in enumerate(
            (
                [polygon.ravel().tolist() for polygon in polygons[name]],
                {"size": [40, 40], "counts": rle(mask)},
            )
        )
    ]
    categories = [{"id": index, "name": name} for index, name in enumerate(names)]
    (tmp_path / "instances.json").write_text(
        json.dumps({"images": images, "annotations": entries, "categories": categories})
    )
    for film in read_films(tmp_path):
        targets = film.read_labels().targets
        assert np.array_equal(targets["right_field"], masks[0])
        assert np.array_equal(targets["left_field"], masks[1])
