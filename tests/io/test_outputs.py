from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from pleura.core.errors import UnsuitableFilm, UsageError
from pleura.core.masks.contours import fill_outlines, mask_from_rle
from pleura.core.masks.measure import measure, transverse_widths
from pleura.core.types import Box, LungMasks, Radiograph, Segmentation
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.images.write.overlay import CROP_MARGIN
from pleura.io.outputs import FORMATS, check_formats, output_paths, write_outputs
from pleura.io.read import read_radiograph


def without_lungs(segmentation: Segmentation) -> Segmentation:
    none = np.zeros_like(segmentation.right)
    return replace(segmentation, lungs=LungMasks(none, none), measurements=measure(none, none))


def opened(path: Path) -> Any:
    with Image.open(path) as image:
        image.load()
        return image


@pytest.fixture
def source(film: np.ndarray) -> bytes:
    """The film as DICOM, which DICOM formats refer to."""
    made = Dataset()
    made.SOPClassUID, made.StudyInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    made.SeriesInstanceUID, made.Modality = "1.2.3.4", "CR"
    made.set_pixel_data(film, "MONOCHROME2", 8)
    file = BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_every_format_writes_its_files(
    segmentation: Segmentation, tmp_path: Path, source: bytes
) -> None:
    stem = tmp_path / "sub" / "film.v1"
    written = write_outputs(segmentation, stem, FORMATS, film=source)
    assert written == output_paths(stem, FORMATS)
    assert sorted(written) == sorted(stem.parent.iterdir())  # nothing else, no leftovers
    assert {path.name.removeprefix("film.v1") for path in written} == {
        "_mask.png",
        "_overlay.png",
        "_overlay.jpg",
        "_right.png",
        "_left.png",
        "_labels.png",
        "_labels.npy",
        "_labels.nii.gz",
        "_coco.json",
        "_crop.png",
        "_probabilities.npz",
        "_seg.dcm",
        "_seg_fractional.dcm",
        "_seg_labelmap.dcm",
        "_sr.dcm",
        "_sc.dcm",
        "_gsps.dcm",
        "_kos.dcm",
    }


def test_dicom_formats_need_a_dicom_film(segmentation: Segmentation, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"dicom-seg refers to the DICOM film .* give it as `film`"
    ):
        write_outputs(segmentation, tmp_path / "film", ["mask", "dicom-seg"])
    with pytest.raises(UnsuitableFilm, match="this film is not DICOM"):
        write_outputs(segmentation, tmp_path / "film", ["mask", "dicom-seg"], film=b"no DICOM")
    assert list(tmp_path.iterdir()) == []


def test_every_format_writes_the_same_bytes_again(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    repeatable = [  # a zip holds the time, and so does DICOM
        name for name in FORMATS if name != "probabilities" and name not in DICOM_FORMATS
    ]
    first = write_outputs(segmentation, tmp_path / "a" / "film", repeatable)
    again = write_outputs(segmentation, tmp_path / "b" / "film", repeatable)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_every_format_writes_a_film_without_lungs(
    segmentation: Segmentation, tmp_path: Path, source: bytes
) -> None:
    bare = without_lungs(segmentation)
    written = write_outputs(bare, tmp_path / "film", FORMATS, film=source)
    missing = set(output_paths(tmp_path / "film", FORMATS)) - set(written)
    assert [path.name for path in missing] == ["film_crop.png"]
    assert not np.asarray(opened(tmp_path / "film_mask.png")).any()
    assert json.loads((tmp_path / "film_coco.json").read_text())["annotations"] == []


def test_the_mask_is_0_and_255_at_the_film_s_size(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film")
    image = opened(path)
    assert (image.mode, image.size) == ("L", (48, 64))
    values = np.asarray(image)
    assert set(np.unique(values)) == {0, 255}
    assert np.array_equal(values == 255, segmentation.mask)


def test_split(segmentation: Segmentation, tmp_path: Path) -> None:
    right, left = write_outputs(segmentation, tmp_path / "film", ["split"])
    assert np.array_equal(np.asarray(opened(right)) == 255, segmentation.right)
    assert np.array_equal(np.asarray(opened(left)) == 255, segmentation.left)


def labels_by_hand() -> np.ndarray:
    """The fixture's masks: the heart loses the columns 14 and 30, 31 where lungs are."""
    labels = np.zeros((64, 48), np.uint8)
    labels[25:40, 14:32] = 3
    labels[10:30, 5:15] = 1
    labels[12:36, 30:38] = 2
    return labels


def test_labels_keep_their_values_and_show_colours(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film", ["labels"])
    image = opened(path)
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), labels_by_hand())
    colours = np.asarray(image.convert("RGB"))
    assert tuple(colours[0, 0]) == (0, 0, 0)
    assert tuple(colours[10, 5]) == (0x00, 0x72, 0xB2)  # the right lung
    assert tuple(colours[12, 37]) == (0xD5, 0x5E, 0x00)  # the left


def test_npy(segmentation: Segmentation, tmp_path: Path) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film", ["npy"])
    labels = np.load(path, allow_pickle=False)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, labels_by_hand())


def test_nifti_is_x_y_with_spacing_and_itk_s_affine(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film", ["nifti"])
    image = nibabel.load(path)
    assert image.shape == (48, 64, 1)
    values = np.asarray(image.dataobj)
    assert values.dtype == np.uint8
    assert np.array_equal(values[..., 0].T, labels_by_hand())
    assert image.header.get_zooms() == (0.25, 0.5, 1.0)  # columns first
    assert image.header.get_xyzt_units()[0] == "mm"
    # Indices (x, y) = (4, 2) lie 1 mm to the patient's left and 1 mm down.
    assert image.affine @ [4, 2, 0, 1] == pytest.approx([-1, -1, 0, 1])
    assert nibabel.aff2axcodes(image.affine)[:2] == ("L", "P")


def test_a_written_nifti_reads_back_upright(
    segmentation: Segmentation, film: np.ndarray, tmp_path: Path
) -> None:
    """Both ways share one convention: a film written like our labels comes back as it was."""
    (path,) = write_outputs(segmentation, tmp_path / "film", ["nifti"])
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(film.T[..., None], image.affine), tmp_path / "film.nii")
    assert np.array_equal(read_radiograph(tmp_path / "film.nii").pixels, film)


def test_nifti_without_spacing_has_1_mm(segmentation: Segmentation, tmp_path: Path) -> None:
    bare = replace(segmentation, radiograph=replace(segmentation.radiograph, spacing=None))
    (path,) = write_outputs(bare, tmp_path / "film", ["nifti"])
    assert nibabel.load(path).header.get_zooms() == (1.0, 1.0, 1.0)


def test_coco(segmentation: Segmentation, tmp_path: Path) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film", ["coco"])
    coco = json.loads(path.read_text())
    assert coco["images"] == [{"id": 1, "file_name": "film", "width": 48, "height": 64}]
    assert [category["name"] for category in coco["categories"]] == [
        "right lung",
        "left lung",
        "heart",
    ]
    right, left, heart = coco["annotations"]
    assert [item["category_id"] for item in (right, left, heart)] == [1, 2, 3]
    assert right["bbox"] == [5, 10, 10, 20]  # x, y, width, height
    assert right["area"] == 200
    # A rectangle's corners, along the edges of its pixels: x 5 .. 15, y 10 .. 30.
    (polygon,) = right["segmentation"]
    corners = set(zip(polygon[::2], polygon[1::2], strict=True))
    assert corners == {(5, 10), (15, 10), (15, 30), (5, 30)}


def test_coco_gives_the_masks_back_with_their_holes(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    right = segmentation.right.copy()
    right[15:20, 8:11] = False  # a hole
    right[40:44, 2:6] = True  # an island
    holed = replace(segmentation, lungs=replace(segmentation.lungs, right=right))
    (path,) = write_outputs(holed, tmp_path / "film", ["coco"])
    for annotation, mask in zip(
        json.loads(path.read_text())["annotations"],
        (right, segmentation.left, segmentation.heart),
        strict=True,
    ):
        height, width = annotation["rle"]["size"]
        counts = annotation["rle"]["counts"]
        assert np.array_equal(mask_from_rle(counts, height, width), mask)
        polygons = [np.reshape(polygon, (-1, 2)) for polygon in annotation["segmentation"]]
        assert np.array_equal(fill_outlines(polygons, 64, 48), mask)
        assert annotation["area"] == mask.sum()
        assert annotation["iscrowd"] == 0


def test_the_overlay_is_in_colour_and_states_the_rows_of_the_film(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film", ["overlay"])
    image = opened(path)
    assert (image.mode, image.width) == ("RGB", 48)
    assert image.info["pleura:film"] == "64,48"
    assert image.height > 64
    values = np.asarray(image).astype(int)[:64]
    assert tuple(values[10, 10]) == (0x00, 0x72, 0xB2)  # on the right lung's outline
    grey = ~(segmentation.mask | segmentation.heart)
    for bar in transverse_widths(segmentation.right, segmentation.left, segmentation.heart):
        grey[max(0, bar.row - 3) : bar.row + 4, bar.left : bar.right] = False  # its bars
    assert (np.ptp(values, axis=2)[grey] == 0).all()


def test_the_overlay_as_jpeg_is_the_same_picture(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    png, jpeg = write_outputs(segmentation, tmp_path / "film", ["overlay-jpeg", "overlay"])
    image = opened(jpeg)
    assert (image.format, image.info["comment"]) == ("JPEG", b"pleura:film 64,48")
    exact, near = (np.asarray(opened(path)).astype(int) for path in (png, jpeg))
    assert near.shape == exact.shape
    assert np.abs(near - exact).mean() < 8  # outlines are sharp edges of colour, two pixels wide


def test_the_crop_has_the_margin_it_states(segmentation: Segmentation, tmp_path: Path) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film", ["crop"])
    # Lungs: rows 10 .. 36, columns 5 .. 38; the longer side 33, 5 % of it 2 pixels.
    assert round(CROP_MARGIN * 33) == 2
    box = Box(8, 3, 38, 40)
    image = opened(path)
    assert image.info["pleura:box"] == "8,3,38,40"
    assert image.size == (box.width, box.height)


@pytest.mark.parametrize(
    ("scale", "offset", "mode"),
    [(1, 0, "L"), (10, 0, "I;16"), (250, 1000, "I;16"), (0.25, 0, "I;16"), (1, -100, "I;16")],
)
def test_the_crop_keeps_the_depth_of_the_film(
    segmentation: Segmentation, tmp_path: Path, scale: float, offset: float, mode: str
) -> None:
    pixels = segmentation.radiograph.pixels * np.float32(scale) + np.float32(offset)
    film = replace(segmentation, radiograph=Radiograph(pixels))
    (path,) = write_outputs(film, tmp_path / "film", ["crop"])
    image = opened(path)
    assert image.mode == mode
    values = np.asarray(image).astype(np.float64)
    cut = pixels[8:38, 3:40].astype(np.float64)
    if scale >= 1 and offset >= 0:
        assert np.array_equal(values, cut)
    else:  # stretched: 0 .. 236 of the film became 0 .. 65535
        low, high = pixels.min(), pixels.max()
        assert np.abs(values - (cut - low) / (high - low) * 65535).max() <= 0.51


def test_a_crop_at_the_edge_stays_inside(segmentation: Segmentation, tmp_path: Path) -> None:
    right = np.zeros_like(segmentation.right)
    right[0:40, 0:20] = True
    left = np.zeros_like(right)
    left[0:64, 30:48] = True
    film = replace(
        segmentation,
        lungs=replace(segmentation.lungs, right=right, left=left),
        measurements=measure(right, left),
    )
    (path,) = write_outputs(film, tmp_path / "film", ["crop"])
    assert opened(path).info["pleura:box"] == "0,0,64,48"


def test_probabilities(segmentation: Segmentation, tmp_path: Path) -> None:
    (path,) = write_outputs(segmentation, tmp_path / "film", ["probabilities"])
    with np.load(path, allow_pickle=False) as stored:
        assert tuple(stored["channels"]) == segmentation.channels
        assert np.array_equal(stored["probabilities"], segmentation.probabilities)


def test_an_unknown_format_is_refused_before_anything_is_written(
    segmentation: Segmentation, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no format 'nifty'; did you mean 'nifti'"):
        write_outputs(segmentation, tmp_path / "film", ["mask", "nifty"])
    assert list(tmp_path.iterdir()) == []
    assert check_formats(["split", "mask", "split"]) == ("mask", "split")
    with pytest.raises(UsageError, match="no format 'xyzzy'; known are mask, overlay"):
        check_formats(["xyzzy"])
