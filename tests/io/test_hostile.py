"""Any bytes give a film or a `FilmError` of one line, and no other error."""

from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from pleura.core.errors import FilmError, PleuraError, UnreadableFilm
from pleura.core.types import Radiograph
from pleura.io.decoding import decoding
from pleura.io.read import read_radiograph

STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"II+\0",
    b"BM",
    b"RIFF\xff\0\0\0WEBP",
    b"\x1f\x8b\x08\0",
    b"\x08\0\x05\0CS",
    b"\x02\0\0\0UL\x04\0",
    bytes(128) + b"DICM",
    bytes(344) + b"n+1\0",
    b"\x1c\x02\0\0n+2\0",
)


@cache
def films() -> dict[str, bytes]:
    """A sound film of each kind."""
    grey = np.add.outer(np.arange(40) * 4, np.arange(36)).astype(np.uint8)
    made = {}
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        file = BytesIO()
        Image.fromarray(grey).save(file, kind)
        made[kind] = file.getvalue()
    made["NIfTI"] = nibabel.Nifti1Image(grey.T, np.eye(4)).to_bytes()
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2"
    film.Modality, film.ViewPosition, film.PixelSpacing = "CR", "PA", [5, 5]
    film.Rows, film.Columns, film.SamplesPerPixel = 40, 36, 1
    film.PhotometricInterpretation, film.PixelRepresentation = "MONOCHROME2", 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.WindowCenter, film.WindowWidth = 100, 300
    film.PixelData = grey.tobytes()
    file = BytesIO()
    dcmwrite(file, film, enforce_file_format=True)
    made["DICOM"] = file.getvalue()
    return made


def read_or_refuse(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            film = read_radiograph(data)
        except FilmError as refusal:
            message = str(refusal)
            assert 20 < len(message) < 400
            assert "\n" not in message
        else:
            assert isinstance(film, Radiograph)
            assert np.isfinite(film.pixels).all()


@given(st.sampled_from(STARTS), st.binary(max_size=400))
def test_any_bytes_after_any_magic_bytes(start: bytes, rest: bytes) -> None:
    read_or_refuse(start + rest)


@pytest.mark.parametrize("kind", list(films()))
@given(changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8))
@settings(max_examples=60)
def test_a_film_with_bytes_altered(kind: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(films()[kind])
    for place, value in changes:
        data[int(place * len(data))] = value
    read_or_refuse(bytes(data))


@pytest.mark.parametrize("kind", list(films()))
@given(share=st.floats(0, 1))
@settings(max_examples=30)
def test_a_film_that_is_cut_anywhere(kind: str, share: float) -> None:
    data = films()[kind]
    read_or_refuse(data[: int(share * len(data))])


def test_many_threads_leave_the_host_s_warning_filters_alone() -> None:
    data = films()["PNG"]
    control = b"acTL" + bytes(8)  # Pillow warns of an animation of no frames
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    noisy = data[:33] + chunk + data[33:]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(read_radiograph, [noisy, data] * 40))
        assert warnings.filters == before
    assert caught == []
    assert all(np.array_equal(film.pixels, read[0].pixels) for film in read)


def test_errors_of_any_class_become_one_line() -> None:
    with (
        pytest.raises(UnreadableFilm, match=r"^this X file is damaged or cut short \(a b\); copy"),
        decoding("X"),
    ):
        raise RecursionError("a\n  b")
    with (
        pytest.raises(UnreadableFilm, match=r"^this X file is damaged or cut short; copy"),
        decoding("X", quote=False),
    ):
        raise ValueError("Secretname")
    with pytest.raises(UnreadableFilm, match="more memory"), decoding("X"):
        raise MemoryError
    with pytest.raises(PleuraError, match=r"^ours$"), decoding("X"):
        raise PleuraError("ours")
    with pytest.raises(KeyboardInterrupt), decoding("X"):
        raise KeyboardInterrupt
    with decoding("X") as state:
        warnings.warn("one", stacklevel=1)
    assert state.warned == 1
