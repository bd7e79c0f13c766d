"""Look-up tables, windows and padding that depart from the DICOM standard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from tests.io.dicom.variants.films import as_bytes, made, ramp, read

from pleura.io.read import read_radiograph


def item(described: Any, data: Any, *, vr: str = "OW") -> Dataset:
    lut = Dataset()
    lut.add_new("LUTDescriptor", "SS" if min(described or [0]) < 0 else "US", described)
    lut.add_new("LUTData", vr, data)
    return lut


def words(numbers: Any) -> bytes:
    return np.asarray(numbers, "<u2").tobytes()


EMPTY = [Dataset(), item(None, None), item([4096, 0, 16], None), item([4096, 0, 16], b"")]


@pytest.mark.parametrize("lut", [*EMPTY, item(None, words(range(4096)))])
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_lut_without_a_table_is_ignored_with_a_note(keyword: str, lut: Dataset) -> None:
    film = read(ramp(), **{keyword: [lut]})
    assert np.array_equal(film.pixels, ramp())
    assert f"{keyword} holds no table; it was ignored" in film.notes


def test_other_attributes_are_used_beside_an_empty_lut() -> None:
    empty = item(None, None)
    film = read(ramp(), VOILUTSequence=[empty], WindowCenter="1500", WindowWidth="2001")
    assert np.array_equal(film.pixels, np.clip(ramp(), 499.5, 2499.5).astype(np.float32))
    film = read(ramp(), ModalityLUTSequence=[empty], RescaleSlope="2", RescaleIntercept="1")
    assert np.array_equal(film.pixels, 2 * ramp() + 1)
    second = item([4096, 0, 16], words(np.arange(4096) + 3))
    film = read(ramp(), VOILUTSequence=[empty, second])
    assert np.array_equal(film.pixels, ramp() + 3)


@pytest.mark.parametrize(
    ("described", "entries"),
    [
        ([4096, 0, 16], 4095),  # one short
        ([4096, 0, 16], 3072),
        ([0, 0, 16], 4096),  # said to hold 65536
        ([4095, 0, 16], 4096),  # one more than said
        ([4096, 0, 8], 4096),  # 16 bits said to be 8
        ([4096, 0, 99], 4096),
        ([4096, 0], 4096),
    ],
)
def test_a_lut_with_a_wrong_descriptor_is_used(described: list[int], entries: int) -> None:
    table = item(described, words(np.arange(entries) + 7))
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        assert np.array_equal(read(ramp(), **{keyword: [table]}).pixels, ramp() + 7)


@pytest.mark.parametrize("low", [0, 40_000])
def test_the_first_input_of_a_lut_has_either_sign(low: int) -> None:
    # Stored values 40000 .. 43071; as SS the descriptor can only say 40000 - 65536 = -25536.
    first = low - 65536 if low else 0
    table = item([4096, first, 16], words(np.arange(4096)))
    film = read(ramp() + low, VOILUTSequence=[table], BitsStored=16, HighBit=15)
    assert np.array_equal(film.pixels, ramp())


STEP = np.where(np.arange(4096) < 2900, 0, np.arange(4096))  # 172 of 3072 values are told apart


@pytest.mark.parametrize(
    "tags",
    [
        {"VOILUTSequence": [item([4096, 0, 16], words(STEP))]},
        {"VOILUTSequence": [item([4096, 0, 16], words(np.arange(4096) // 1024))]},  # 3 greys
        {"VOILUTSequence": [item([256, 20_000, 16], words(range(256)))]},
        {"ModalityLUTSequence": [item([4096, 0, 16], words(STEP))]},
        {"ModalityLUTSequence": [item([2, 9, 16], words([5, 6]))]},
    ],
)
def test_a_lut_that_keeps_almost_no_detail_is_ignored(tags: dict[str, Any]) -> None:
    film = read(ramp(), **tags)
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == (f"{next(iter(tags))} leaves nothing to see; it was ignored",)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID", "CURVE", "LUT"])
@pytest.mark.parametrize(("centre", "width"), [("10", "5"), ("9000", "10"), ("1500", "1")])
def test_a_window_of_any_kind_that_keeps_no_detail_is_ignored(
    function: str | None, centre: str, width: str
) -> None:
    tags = {"VOILUTFunction": function} if function else {}
    film = read(ramp(), WindowCenter=centre, WindowWidth=width, **tags)
    assert np.array_equal(film.pixels, ramp())
    assert any(note.startswith("the file's window ") for note in film.notes)


@pytest.mark.parametrize(
    ("values", "stated", "vr"),
    [(-2000, 63536, "US"), (63536, -2000, "SS"), (-2000, -2000, "SS"), (63536, 63536, "US")],
)
def test_padding_stated_with_the_other_sign(values: int, stated: int, vr: str) -> None:
    pixels = ramp() - (1500 if values < 0 else 0)
    pixels[:, :12] = values
    film = made(pixels, BitsStored=16, HighBit=15)
    if values > 0:
        film.PixelData = pixels.astype("<u2").tobytes()
    film.add_new("PixelPaddingValue", vr, stated)
    pixels_read = read_radiograph(as_bytes(film))
    assert (pixels_read.pixels[:, :12] == pixels[:, 12:].min()).all()
    assert np.array_equal(pixels_read.pixels[:, 12:], pixels[:, 12:])


def test_padding_that_would_hide_the_film_is_ignored() -> None:
    film = read(ramp(), PixelPaddingValue=0, PixelPaddingRangeLimit=3000)
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == ("PixelPaddingValue would leave nothing to see; it was ignored",)
