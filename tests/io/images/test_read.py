from __future__ import annotations

import struct
import tracemalloc
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io import film_checks as suitable
from pleura.io.read import read_radiograph

GLOBAL = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.fixture(autouse=True)
def pillow_is_left_alone() -> Any:
    yield
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == GLOBAL


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of_size(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG whose header claims a size, whatever its data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def tiff(values: np.ndarray, *, photometric: int, order: str = "<") -> bytes:
    """A one-strip grey TIFF, written by the book; sample format 1 uint, 2 int, 3 float."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = [
        (256, width),
        (257, height),
        (258, values.dtype.itemsize * 8),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(data)),
        (339, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]),
    ]
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    return start + data + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_lossless_formats_give_the_same_grey_values(film: np.ndarray, kind: str, mode: str) -> None:
    read = read_radiograph(encoded(Image.fromarray(film).convert(mode), kind))
    assert read.pixels.dtype == np.float32
    assert np.array_equal(read.pixels, film)
    assert read.notes == ()
    assert read.spacing is None
    assert read.view is None


def test_lossy_formats_stay_close(film: np.ndarray) -> None:
    for kind, options in (("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})):
        for mode in ("L", "RGB"):
            image = Image.fromarray(film).convert(mode)
            pixels = read_radiograph(encoded(image, kind, **options)).pixels
            assert np.abs(pixels - film).max() <= 12, (kind, mode)
    exact = encoded(Image.fromarray(film), "WEBP", lossless=True)
    assert np.array_equal(read_radiograph(exact).pixels, film)


def test_cmyk_jpeg_is_read_as_grey(film: np.ndarray) -> None:
    data = encoded(Image.fromarray(film).convert("RGB").convert("CMYK"), "JPEG", quality=95)
    assert np.abs(read_radiograph(data).pixels - film).max() <= 12


def test_the_suffix_does_not_decide_the_format(film: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(encoded(Image.fromarray(film), "PNG"))
    assert np.array_equal(read_radiograph(path).pixels, film)
    assert np.array_equal(read_radiograph(str(path)).pixels, film)


def test_16_bit_keeps_its_values(film: np.ndarray) -> None:
    deep = film.astype(np.uint16) * 250 + 7
    image = Image.fromarray(deep)
    for data in (
        encoded(image, "PNG"),
        encoded(image, "TIFF"),
        tiff(deep, photometric=1, order=">"),
    ):
        assert np.array_equal(read_radiograph(data).pixels, deep)


def test_32_bit_tiff_keeps_its_values(film: np.ndarray) -> None:
    complete = film.astype(np.int32) * 100_000
    assert np.array_equal(read_radiograph(tiff(complete, photometric=1)).pixels, complete)
    fraction = film.astype(np.float32) / 64 - 1
    assert np.array_equal(read_radiograph(tiff(fraction, photometric=1)).pixels, fraction)


def test_white_is_zero_tiff_is_inverted(film: np.ndarray) -> None:
    # 8 bit: Pillow turns it, v -> 255 - v. 16 bit: ours, v -> lowest + highest - v.
    assert np.array_equal(read_radiograph(tiff(film, photometric=0)).pixels, 255 - film)
    deep = film.astype(np.uint16) * 10 + 3  # 3 .. 2363
    assert np.array_equal(read_radiograph(tiff(deep, photometric=0)).pixels, 2366 - deep)


def test_not_a_number_becomes_black_with_a_note(film: np.ndarray) -> None:
    values = film.astype(np.float32) + 5
    values[3, 4], values[5, 6] = np.nan, np.inf
    read = read_radiograph(tiff(values, photometric=1))
    assert read.pixels[3, 4] == read.pixels[5, 6] == 5
    assert any("2 pixels were not finite numbers" in note for note in read.notes)
    with pytest.raises(UnsuitableFilm, match="no pixel"):
        read_radiograph(tiff(np.full_like(values, np.nan), photometric=1))


def test_alpha_is_laid_over_black(film: np.ndarray) -> None:
    alpha = np.full_like(film, 255)
    opaque = Image.merge("LA", (Image.fromarray(film), Image.fromarray(alpha)))
    read = read_radiograph(encoded(opaque, "PNG"))
    assert np.array_equal(read.pixels, film)
    assert read.notes == ()
    alpha[:, :10] = 0
    for mode in ("LA", "RGBA"):
        see_through = Image.merge("LA", (Image.fromarray(film), Image.fromarray(alpha)))
        read = read_radiograph(encoded(see_through.convert(mode), "PNG"))
        assert np.array_equal(read.pixels, np.where(alpha, film, 0))
        assert any("over black" in note for note in read.notes)


def test_transparent_palette(film: np.ndarray) -> None:
    image = Image.fromarray(film // 2).convert("P")
    image.putpalette([level for grey in range(128) for level in (grey, grey, grey)])
    read = read_radiograph(encoded(image, "PNG", transparency=100))
    expected = np.where(film // 2 == 100, 0, film // 2)
    assert np.array_equal(read.pixels, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(film: np.ndarray, kind: str, orientation: int) -> None:
    # By the EXIF standard: what the stored rows and columns are, undone.
    turned = {
        1: film,
        2: film[:, ::-1],
        3: film[::-1, ::-1],
        4: film[::-1],
        5: film.T,
        6: film[::-1].T,
        7: film[::-1, ::-1].T,
        8: film[:, ::-1].T,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} | ({"quality": 100} if kind == "JPEG" else {})
    read = read_radiograph(encoded(Image.fromarray(film), kind, **options))
    assert read.size == turned.shape
    assert np.abs(read.pixels - turned).max() <= (3 if kind == "JPEG" else 0)
    assert any("EXIF orientation" in note for note in read.notes) == (orientation != 1)


def test_of_several_pages_the_first_is_read(film: np.ndarray) -> None:
    pages = [Image.fromarray(film), Image.fromarray(255 - film), Image.fromarray(film[::-1])]
    for kind in ("TIFF", "PNG"):
        data = encoded(pages[0], kind, save_all=True, append_images=pages[1:])
        read = read_radiograph(data)
        assert np.array_equal(read.pixels, film), kind
        assert read.notes == ("the file holds 3 pages; the first was read",)


def test_sixteen_bit_colour_is_noted(film: np.ndarray) -> None:
    deep = np.repeat(film.astype(">u2")[..., None] * 257, 3, axis=2)
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    data = png_of_size(48, 64, rows)
    colour = data[:24] + bytes([16, 2]) + data[26:29]
    data = colour + struct.pack(">I", zlib.crc32(colour[12:29])) + data[33:]
    read = read_radiograph(data)
    assert np.array_equal(read.pixels, film)
    assert read.notes == ("16-bit colour was read with 8 bits",)


def test_a_colour_photograph_is_refused_and_a_tint_is_not(film: np.ndarray) -> None:
    hue = np.broadcast_to(np.linspace(0, 255, 48).astype(np.uint8), film.shape)
    full = np.full_like(film, 200)
    photo = Image.fromarray(np.dstack([hue, full, film + 15])).convert("RGB")
    hsv = Image.merge("HSV", [Image.fromarray(item) for item in (np.array(hue), full, film)])
    for image in (photo, hsv.convert("RGB")):
        for kind in ("PNG", "JPEG", "BMP"):
            with pytest.raises(UnsuitableFilm, match=r"colour photograph: .* give the film"):
                read_radiograph(encoded(image, kind))
    blue = Image.merge("RGB", [Image.fromarray(film // 2)] * 2 + [Image.fromarray(film)])
    read = read_radiograph(encoded(blue, "PNG"))
    assert "tinted" in read.notes[0]
    # Rec. 601 luma: 0.299 R + 0.587 G + 0.114 B
    expected = 0.886 * (film // 2) + 0.114 * film
    assert np.abs(read.pixels - expected).max() <= 1


def test_a_coloured_mark_does_not_make_a_photograph(film: np.ndarray) -> None:
    rgb = np.repeat(film[..., None], 3, axis=2)
    rgb[:4, :24] = (255, 0, 0)  # 96 of 3072 pixels, 3 %
    rgb[:4, 24:] = (0, 255, 0)
    assert read_radiograph(encoded(Image.fromarray(rgb), "PNG")).notes == ()


def test_one_bit_and_masks_are_refused(film: np.ndarray) -> None:
    mask = Image.fromarray(((film > 100) * 255).astype(np.uint8))
    for kind in ("PNG", "TIFF", "BMP"):
        with pytest.raises(UnsuitableFilm, match="1 bit a pixel"):
            read_radiograph(encoded(mask.convert("1"), kind))
    with pytest.raises(UnsuitableFilm, match="holds 2 grey values"):
        read_radiograph(encoded(mask, "PNG"))


@pytest.mark.parametrize("eighth", [True, False])
def test_eight_grey_values_are_enough_however_rare_one_is(eighth: bool) -> None:
    """The eighth is in one pixel of 8,000, where a look at every so many would miss it."""
    levels = (np.arange(8000).reshape(100, 80) % 7 * 30).astype(np.uint8)
    levels[50, 33] = 100 if eighth else levels[50, 33]
    data = encoded(Image.fromarray(levels), "PNG")
    if eighth:
        assert read_radiograph(data).pixels[50, 33] == 100
        return
    with pytest.raises(UnsuitableFilm, match="holds 7 grey values"):
        read_radiograph(data)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_flat_film_has_no_contrast(level: int) -> None:
    flat = np.full((80, 64), level, np.uint8)
    flat[:2, :5] = 128  # a burnt-in mark of 0.2 %
    with pytest.raises(UnsuitableFilm, match=f"no contrast: nearly every pixel .* {level}"):
        read_radiograph(encoded(Image.fromarray(flat), "PNG"))


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (400, 31)])
def test_a_tiny_image_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UnsuitableFilm, match=f"{size[0]} x {size[1]} pixels, too small"):
        read_radiograph(encoded(Image.new("L", size), "PNG"))


def test_a_strip_is_refused() -> None:
    with pytest.raises(UnsuitableFilm, match="longer than 4 to 1"):
        read_radiograph(encoded(Image.new("L", (401, 100)), "PNG"))


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnsuitableFilm, match="60000 x 60000 pixels, 3600 megapixels"):
            read_radiograph(png_of_size(60_000, 60_000))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_lets_7700_x_7700_through() -> None:
    assert suitable.MAX_PIXELS >= 7_700 * 7_700
    row = np.arange(7_700, dtype=np.uint16) // 33  # 0 .. 233
    rows = (b"\0" + row.astype(np.uint8).tobytes()) * 7_700
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's DecompressionBombWarning must not come out
        read = read_radiograph(png_of_size(7_700, 7_700, rows))
    assert read.size == (7_700, 7_700)
    assert np.array_equal(read.pixels[0], row)
    assert np.array_equal(read.pixels[-1], row)


def test_damaged_files_are_unreadable(film: np.ndarray) -> None:
    image = Image.fromarray(np.tile(film, (4, 4)))
    for kind in ("JPEG", "PNG", "TIFF", "BMP", "WEBP"):
        data = encoded(image, kind)
        for share in (0.1, 0.5, 0.9):
            with pytest.raises(UnreadableFilm, match="damaged or cut short"):
                read_radiograph(data[: int(len(data) * share)])
    data = encoded(image, "PNG")
    with pytest.raises(UnreadableFilm, match="PNG file is damaged"):
        read_radiograph(data[:60] + b"\xff\xff\xff\xff" + data[64:])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"Patient has no pneumothorax.\n" * 40, "a text file"),
        ("Größe\n".encode(), "a text file"),
        (b"GIF89a" + bytes(60), "a GIF picture"),
        (b"%PDF-1.7\n" + bytes(60), "a PDF document"),
        (b"PK\x03\x04" + bytes(60), "a ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(60), "a gzip archive"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "a HEIC or AVIF"),
        (bytes(range(7, 200)), "no known image format"),
        (bytes(1000), "no known image format"),
    ],
)
def test_a_file_that_is_not_an_image_is_described(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(data)
    with pytest.raises(UnreadableFilm, match=message):
        read_radiograph(path)


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFilm, match=r"cannot open .*none\.png: No such file"):
        read_radiograph(tmp_path / "none.png")
    with pytest.raises(UnreadableFilm, match="is a folder"):
        read_radiograph(tmp_path)


def test_warnings_of_decoders_do_not_reach_the_host(film: np.ndarray) -> None:
    data = encoded(Image.fromarray(film), "PNG")
    control = b"acTL" + bytes(8)  # an animation of no frames: Pillow warns
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    data = data[:33] + chunk + data[33:]
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(BytesIO(data))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        read_radiograph(data)
        assert warnings.filters == before
    assert caught == []
