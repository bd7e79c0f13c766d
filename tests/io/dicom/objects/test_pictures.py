"""The DICOM pictures of a result: secondary capture and presentation state."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.io.dicom.objects.drawn import (
    COLUMNS,
    ROWS,
    as_bytes,
    ellipses,
    film,
    lines,
    result_of,
)

from pleura.core.errors import UnsuitableFilm
from pleura.core.masks.contours import fill_outlines
from pleura.io.dicom.objects.gsps import MAX_POINTS
from pleura.io.dicom.results import dicom_bytes, dicom_results
from pleura.io.images.write.overlay import marked_overlay, overlay_image
from pleura.io.read import read_radiograph


def test_the_picture_is_the_overlay() -> None:
    sc, segmentation = result_of("dicom-sc", PatientOrientation=["R", "F"])
    assert np.array_equal(sc.pixel_array, marked_overlay(segmentation))
    assert np.array_equal(sc.pixel_array[:ROWS], overlay_image(segmentation))
    assert (sc.Rows > ROWS, sc.Columns) == (True, COLUMNS)
    assert sc.PixelSpacing == [2, 2]  # the film's: rows are added, none is squeezed
    assert list(sc.PatientOrientation) == ["R", "F"]
    assert "BurnedInAnnotation" not in sc
    burnt, _ = result_of("dicom-sc", BurnedInAnnotation="YES")
    assert burnt.BurnedInAnnotation == "YES"
    with pytest.raises(UnsuitableFilm, match="a picture that Pleura made itself"):
        read_radiograph(dicom_bytes(sc))


def test_the_lines_enclose_the_masks() -> None:
    gsps, segmentation = result_of("dicom-gsps")
    drawn = {item.GraphicLayer: lines(item) for item in gsps.GraphicAnnotationSequence}
    assert segmentation.heart is not None
    masks = {
        "RIGHT LUNG": segmentation.right,
        "LEFT LUNG": segmentation.left,
        "HEART": segmentation.heart,
    }
    assert drawn.keys() == masks.keys()
    for layer, mask in masks.items():
        assert np.array_equal(fill_outlines(drawn[layer], *mask.shape), mask)
    colours = [item.GraphicLayerRecommendedDisplayCIELabValue for item in gsps.GraphicLayerSequence]
    assert len({tuple(colour) for colour in colours}) == 3


def test_a_long_line_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 8 * MAX_POINTS <= 65534  # bytes that explicit VR can tell
    monkeypatch.setattr("pleura.io.dicom.objects.gsps.MAX_POINTS", 10)
    gsps, segmentation = result_of("dicom-gsps")
    right = gsps.GraphicAnnotationSequence[0]
    assert len(right.GraphicObjectSequence) > 5
    assert max(item.NumberOfGraphicPoints for item in right.GraphicObjectSequence) == 10
    assert np.array_equal(fill_outlines(lines(right), ROWS, COLUMNS), segmentation.right)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_presentation_state_keeps_bone_white(photometric: str, tmp_path: Path) -> None:
    data = as_bytes(film(PhotometricInterpretation=photometric, PatientName="A^B"))
    (result,) = dicom_results(data, ellipses(data), ["dicom-gsps"])
    for name, content in {"film": data, "state": dicom_bytes(result)}.items():
        (tmp_path / name).write_bytes(content)
    command = ["dcmp2pgm", "-q", "-p", tmp_path / "state", tmp_path / "film", tmp_path / "pgm"]
    subprocess.run(command, check=True)
    shown = np.asarray(Image.open(tmp_path / "pgm"), float).ravel()
    assert np.corrcoef(shown, read_radiograph(data).pixels.ravel())[0, 1] > 0.99


def test_a_colour_film_has_a_picture_but_no_presentation_state() -> None:
    grey = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 250
    colour = film(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    colour.set_pixel_data(np.repeat(grey[..., None], 3, axis=2).astype("u1"), "RGB", 8)
    data = as_bytes(colour)
    segmentation = ellipses(data)
    assert len(dicom_results(data, segmentation, ["dicom-seg", "dicom-sc", "dicom-sr"])) == 3
    with pytest.raises(UnsuitableFilm, match="this one is in colour"):
        dicom_results(data, segmentation, ["dicom-gsps"])
