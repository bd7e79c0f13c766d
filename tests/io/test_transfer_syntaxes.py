"""One film in every transfer syntax of films: each is read, and gives the same lungs.

dcmtk writes them, as a clinic's machines do; JPEG 2000 is Pillow's.
"""

from __future__ import annotations

import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

import pleura
from pleura.io.read import read_radiograph
from pleura.phantom.film import draw

LOSSLESS = {
    ImplicitVRLittleEndian: ["dcmconv", "+ti"],
    ExplicitVRLittleEndian: ["dcmconv", "+te"],
    ExplicitVRBigEndian: ["dcmconv", "+tb"],
    DeflatedExplicitVRLittleEndian: ["dcmconv", "+td"],
    RLELossless: ["dcmcrle"],
    JPEGLossless: ["dcmcjpeg", "+el"],
    JPEGLosslessSV1: ["dcmcjpeg", "+e1"],
    JPEGLSLossless: ["dcmcjpls"],
}
LOSSY = {
    JPEGBaseline8Bit: ["dcmcjpeg", "+eb", "+q", "95"],
    JPEGExtended12Bit: ["dcmcjpeg", "+ee", "+bt", "+q", "95"],
    JPEGLSNearLossless: ["dcmcjpls", "+en", "+md", "2"],
}
BITS = 12


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn chest as a CR film of 12 bits, little endian."""
    pixels = draw(448, 392, seed=3).radiograph.pixels
    values = np.rint(pixels * (2**BITS - 1)).astype("<u2")
    path = tmp_path_factory.mktemp("film") / "plain.dcm"
    cr_film(values).save_as(path, enforce_file_format=True)
    return path


def cr_film(values: np.ndarray) -> Dataset:
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3.4"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    film.PatientID = film.PatientName = film.StudyDate = film.StudyTime = ""
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.Rows, film.Columns = values.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, BITS, BITS - 1
    film.PixelRepresentation = 0
    film.set_pixel_data(values, "MONOCHROME2", BITS)
    return film


@pytest.fixture(scope="module")
def expected(plain: Path) -> pleura.Segmentation:
    segmentation = pleura.segment(plain)
    assert segmentation.measurements.lungs_share > 0.15, "no lungs, so that nothing is compared"
    return segmentation


def written(plain: Path, command: list[str], out: Path) -> bytes:
    """What a tool of dcmtk makes of the film."""
    subprocess.run([command[0], "-q", *command[1:], plain, out], check=True)
    return out.read_bytes()


def assert_is(data: bytes, syntax: str) -> None:
    """The tool did what it was asked to."""
    assert dcmread(BytesIO(data), stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: UID(uid).keyword)
def test_lossless(syntax: str, plain: Path, expected: pleura.Segmentation, tmp_path: Path) -> None:
    data = written(plain, LOSSLESS[syntax], tmp_path / "film.dcm")
    assert_is(data, syntax)
    segmentation = pleura.segment(data)
    assert np.array_equal(segmentation.radiograph.pixels, expected.radiograph.pixels)
    assert np.array_equal(segmentation.mask, expected.mask)


@pytest.mark.parametrize("syntax", LOSSY, ids=lambda uid: UID(uid).keyword)
def test_lossy(syntax: str, plain: Path, expected: pleura.Segmentation, tmp_path: Path) -> None:
    data = written(plain, LOSSY[syntax], tmp_path / "film.dcm")
    assert_is(data, syntax)
    assert_same_lungs(pleura.segment(data), expected)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEG2000], ids=lambda uid: UID(uid).keyword)
def test_jpeg_2000(syntax: str, plain: Path, expected: pleura.Segmentation) -> None:
    film = dcmread(plain)
    values, codestream = pixel_array(film), BytesIO()
    lossy = {"quality_mode": "rates", "quality_layers": [8]} if syntax == JPEG2000 else {}
    Image.fromarray(values).save(
        codestream, "JPEG2000", irreversible=bool(lossy), no_jp2=True, **lossy
    )
    film.file_meta.TransferSyntaxUID = UID(syntax)
    film.BitsStored, film.HighBit = 16, 15  # as Pillow writes the codestream
    film.PixelData = encapsulate([codestream.getvalue()])
    film["PixelData"].is_undefined_length = True
    file = BytesIO()
    dcmwrite(file, film, enforce_file_format=True)
    segmentation = pleura.segment(file.getvalue())
    if syntax == JPEG2000Lossless:
        assert np.array_equal(segmentation.mask, expected.mask)
    assert_same_lungs(segmentation, expected)


def assert_same_lungs(segmentation: pleura.Segmentation, expected: pleura.Segmentation) -> None:
    """Dice over 0.995: a row of pixels more or less along the whole edge would be under it."""
    common = np.count_nonzero(segmentation.mask & expected.mask)
    assert 2 * common / (segmentation.mask.sum() + expected.mask.sum()) > 0.995


@pytest.mark.parametrize("syntax", ["+ti", "+te", "+tb"])
def test_without_preamble_and_meta(
    syntax: str, plain: Path, expected: pleura.Segmentation, tmp_path: Path
) -> None:
    data = written(plain, ["dcmconv", "-F", syntax], tmp_path / "film.dcm")
    assert data[128:132] != b"DICM"
    assert np.array_equal(read_radiograph(data).pixels, expected.radiograph.pixels)


def test_only_tested_syntaxes_are_offered() -> None:
    """The reference names those that are tested here, and no others."""
    page = (Path(__file__).parents[2] / "docs/reference/dicom.md").read_text()
    tested = {*LOSSLESS, *LOSSY, JPEG2000Lossless, JPEG2000}
    assert sorted(syntax for syntax in tested if f"`{syntax}`" not in page) == []
