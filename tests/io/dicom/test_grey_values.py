"""The grey values of DICOM films: rescale, look-up tables, windows and padding."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)
from tests.io.dicom.films import ramp, read, written

from pleura.core.errors import UnsuitableFilm
from pleura.io.read import read_radiograph


def lut(first: int, depth: int, data: list[int]) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(data) % 2**16, first, depth]
    item.LUTData = data
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def test_rescale() -> None:
    film = read(ramp(), RescaleSlope="0.5", RescaleIntercept="-100")
    assert np.allclose(film.pixels, ramp() * 0.5 - 100)
    assert np.array_equal(read(ramp(), RescaleSlope="2").pixels, ramp() * 2)


def test_a_rescale_to_infinite_values_is_refused() -> None:
    with pytest.raises(UnsuitableFilm, match="not finite numbers"):
        read(ramp(), RescaleSlope="1E+38", RescaleIntercept="0")


def test_modality_lut() -> None:
    # 1001 entries from stored value 500 on: v -> 2 (v - 500), ends held
    table = lut(500, 16, list(range(0, 2002, 2)))
    film = read(ramp(), ModalityLUTSequence=[table])
    assert np.array_equal(film.pixels, np.clip(2 * (ramp() - 500), 0, 2000))


@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_voi_lut_is_applied(vr: str, syntax: str) -> None:
    squares = [min(65535, n * n // 200) for n in range(4096)]
    table = lut(0, 16, squares)
    if vr == "OW":
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        table.add_new("LUTData", "OW", np.array(squares, f"{order}u2").tobytes())
    film = read(ramp(), syntax=syntax, VOILUTSequence=[table], WindowCenter="5", WindowWidth="2")
    assert np.array_equal(film.pixels, ramp() ** 2 // 200)


def test_8_bit_lut_data_packed_in_bytes() -> None:
    table = lut(0, 8, [0])
    table.LUTDescriptor = [256, 0, 8]
    table.add_new("LUTData", "OW", bytes(range(255, -1, -1)))
    grey = ramp() // 13  # 0 .. 236
    film = read(grey, VOILUTSequence=[table])
    assert np.array_equal(film.pixels, 255 - grey)


def test_voi_lut_after_a_rescale_into_negative_values() -> None:
    # Rescaled to -1024 .. 2047; the LUT begins at -1024, which US can only say as 64512.
    table = lut(2**16 - 1024, 16, list(range(5, 5 + 4096)))
    film = read(ramp(), RescaleSlope="1", RescaleIntercept="-1024", VOILUTSequence=[table])
    assert np.array_equal(film.pixels, ramp() + 5)


def test_a_linear_window_only_clips() -> None:
    # PS3.3 C.11.2.1.2: centre 1500, width 2001 -> 1499.5 -+ 1000
    film = read(ramp(), WindowCenter="1500", WindowWidth="2001")
    assert np.array_equal(film.pixels, np.clip(ramp(), 499.5, 2499.5).astype(np.float32))
    assert film.notes == ()
    exact = read(ramp(), WindowCenter="1500", WindowWidth="2000", VOILUTFunction="LINEAR_EXACT")
    assert np.array_equal(exact.pixels, np.clip(ramp(), 500, 2500))
    several = read(ramp(), WindowCenter=["1500", "7"], WindowWidth=["2001", "3"])
    assert np.array_equal(several.pixels, film.pixels)


def test_a_window_that_cuts_the_anatomy_is_ignored_with_a_note() -> None:
    film = read(ramp(), WindowCenter="40", WindowWidth="80")
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == ("the file's window would cut 97% of the pixels; it was ignored",)


def test_a_sigmoid_window_is_applied() -> None:
    film = read(ramp(), WindowCenter="1500", WindowWidth="1000", VOILUTFunction="SIGMOID")
    # PS3.3 C.11.2.1.3.1: 1 / (1 + exp(-4 (v - c) / w)); half at the centre, 0.8808 at c + w / 2
    assert film.pixels.ravel()[1500] == pytest.approx(0.5)
    assert film.pixels.ravel()[2000] == pytest.approx(1 / (1 + np.exp(-2)))


def test_a_lut_that_keeps_no_detail_is_ignored_with_a_note() -> None:
    film = read(ramp(), VOILUTSequence=[lut(5000, 16, [7, 7])])
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == ("VOILUTSequence leaves nothing to see; it was ignored",)


@pytest.mark.parametrize("window", [("x", "100"), ("100", "0"), ("100", "-5")])
def test_an_invalid_window_is_ignored(window: tuple[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = written(ramp())
        made = dcmread(BytesIO(data))
        made.add_new("WindowCenter", "LO", window[0])  # the wrong VR, to get it written
        made.add_new("WindowWidth", "LO", window[1])
        file = BytesIO()
        dcmwrite(file, made)
    assert np.array_equal(read_radiograph(file.getvalue()).pixels, ramp())


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_black_for_both_photometric_interpretations(photometric: str) -> None:
    values = ramp(low=100)  # 100 .. 3171
    values[:, :12] = 0 if photometric == "MONOCHROME1" else 4095
    value = int(values[0, 0])
    film = read(values, PhotometricInterpretation=photometric, PixelPaddingValue=value)
    inside = film.pixels[:, 12:]
    assert (film.pixels[:, :12] == inside.min()).all()
    assert film.notes == ("padding, 25% of the pixels, was made black",)


def test_padding_range() -> None:
    values = ramp()
    film = read(values, PixelPaddingValue=3000, PixelPaddingRangeLimit=3071)
    padded = values >= 3000
    assert (film.pixels[padded] == 0).all()
    assert np.array_equal(film.pixels[~padded], values[~padded])
