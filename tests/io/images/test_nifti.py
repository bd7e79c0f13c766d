from __future__ import annotations

import gzip
from typing import Any

import nibabel
import numpy as np
import pytest

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.read import read_radiograph


def nifti(values: np.ndarray, *, kind: Any = nibabel.Nifti1Image, **header: Any) -> bytes:
    """A NIfTI file of `values`, indexed (x, y)."""
    image = kind(values, np.eye(4))
    if "zooms" in header:
        image.header.set_zooms(header["zooms"])
    if "unit" in header:
        image.header.set_xyzt_units(header["unit"])
    if "slope" in header:
        image.header.set_slope_inter(*header["slope"])
    return image.to_bytes()


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("packed", [False, True])
def test_the_array_is_indexed_x_y(film: np.ndarray, kind: Any, packed: bool) -> None:
    data = nifti(film.T, kind=kind)
    read = read_radiograph(gzip.compress(data) if packed else data)
    assert np.array_equal(read.pixels, film)
    assert read.pixels.flags.c_contiguous
    assert read.spacing is None  # 1 x 1 mm is what nobody has set
    assert read.notes == ()


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32", "float64", ">i2"])
def test_all_number_types_are_read(film: np.ndarray, dtype: str) -> None:
    assert np.array_equal(read_radiograph(nifti(film.T.astype(dtype))).pixels, film)


def test_single_slices_are_films(film: np.ndarray) -> None:
    for shape in ((48, 64, 1), (48, 64, 1, 1)):
        values = film.T.reshape(shape)
        assert np.array_equal(read_radiograph(nifti(values)).pixels, film)


@pytest.mark.parametrize("shape", [(48, 64, 2), (48, 64, 1, 3), (64,)])
def test_volumes_and_series_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsuitableFilm, match=" x ".join(map(str, shape))):
        read_radiograph(nifti(np.zeros(shape, np.uint8)))


def test_colour_is_refused(film: np.ndarray) -> None:
    rgb = np.zeros(film.T.shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    with pytest.raises(UnsuitableFilm, match="expected grey"):
        read_radiograph(nifti(rgb))


def test_spacing_is_pixdim_x_then_y(film: np.ndarray) -> None:
    spacing = read_radiograph(nifti(film.T, zooms=(2.0, 3.0))).spacing
    assert spacing is not None
    assert (spacing.col_mm, spacing.row_mm, spacing.source) == (2.0, 3.0, "pixdim")
    spacing = read_radiograph(nifti(film.T, zooms=(2000.0, 3000.0), unit="micron")).spacing
    assert spacing is not None
    assert (spacing.col_mm, spacing.row_mm) == pytest.approx((2.0, 3.0))
    odd = read_radiograph(nifti(film.T, zooms=(0.01, 0.01)))
    assert odd.spacing is None
    assert "is implausible for a chest film" in odd.notes[0]


def test_slope_and_intercept(film: np.ndarray) -> None:
    data = nifti(film.T, slope=(0.5, -10.0))
    assert np.array_equal(read_radiograph(data).pixels, film * 0.5 - 10)


def test_damaged_files_are_unreadable(film: np.ndarray) -> None:
    data = nifti(film.T)
    with pytest.raises(UnreadableFilm, match="cut short: 2972 of 3072 bytes"):
        read_radiograph(data[:-100])
    with pytest.raises(UnreadableFilm, match="damaged or cut short"):
        read_radiograph(gzip.compress(data)[:-60])


def test_values_that_are_not_numbers_become_black_with_a_note(film: np.ndarray) -> None:
    values = film.T.astype(np.float32) + 5
    values[3, 4] = np.nan
    read = read_radiograph(nifti(values))
    assert read.pixels[4, 3] == 5
    assert read.notes == ("1 pixels were not finite numbers; they were made black",)


def test_an_offset_of_0_means_right_after_the_header(film: np.ndarray) -> None:
    data = bytearray(nifti(film.T))
    data[108:112] = bytes(4)  # vox_offset
    assert np.array_equal(read_radiograph(bytes(data)).pixels, film)


def test_a_decompression_bomb_is_refused_by_its_header(film: np.ndarray) -> None:
    data = bytearray(nifti(film.T))
    data[42:46] = (30_000).to_bytes(2, "little") * 2  # dim[1], dim[2]
    with pytest.raises(UnsuitableFilm, match="900 megapixels"):
        read_radiograph(gzip.compress(bytes(data)))


def test_the_header_of_a_pair_is_refused_with_the_remedy(film: np.ndarray) -> None:
    header = nibabel.Nifti1Pair(film.T, np.eye(4)).header
    with pytest.raises(UnreadableFilm, match="convert it to a single"):
        read_radiograph(header.binaryblock + bytes(4))
