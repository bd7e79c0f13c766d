"""TIFF variants are read exactly, or refused with the right reason."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.read import read_radiograph

KINDS = {"u": 1, "i": 2, "f": 3, "c": 6}
NUMBERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]


@pytest.fixture
def film() -> np.ndarray:
    """(80, 48) values 0 to 120, every row different from the next, and left from right."""
    rows, columns = np.mgrid[0:80, 0:48]
    return rows + columns - 3 * (columns // 24)


class Written:
    """A TIFF file, page by page."""

    def __init__(self, order: str = "<", *, big: bool = False) -> None:
        self.order, self.big = order, big
        mark = b"II" if order == "<" else b"MM"
        head = struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0)
        self.data = bytearray(mark + head)
        self.link = 8 if big else 4  # where the place of the next page goes

    def put(self, content: bytes) -> int:
        """Add bytes; where they are."""
        self.data += bytes(len(self.data) % 2)
        self.data += content
        return len(self.data) - len(content)

    def page(self, tags: dict[int, Any], *, linked: bool = True) -> int:
        """Add a page of these tags (value or values); where it is."""
        form = "Q" if self.big else "I"
        entries = b""
        for tag, given in sorted(tags.items()):
            values = given if isinstance(given, Sequence) else [given]
            data = struct.pack(f"{self.order}{len(values)}{form}", *values)
            if len(values) > 1:
                data = struct.pack(self.order + form, self.put(data))
            kind = 16 if self.big else 4
            entries += struct.pack(self.order + "HH" + form, tag, kind, len(values)) + data
        count = struct.pack(self.order + ("Q" if self.big else "H"), len(tags))
        at = self.put(count + entries + bytes(8 if self.big else 4))
        if linked:
            struct.pack_into(self.order + form, self.data, self.link, at)
            self.link = at + len(count + entries)
        return at

    def picture(self, values: np.ndarray, **more: Any) -> int:
        """Add a page of (H, W) or (H, W, S) values in strips of 32 rows."""
        return self.page(
            self.tags(values, **{k: v for k, v in more.items() if k != "linked"}),
            linked=more.get("linked", True),
        )

    def tags(
        self,
        values: np.ndarray,
        *,
        photometric: int = 1,
        deflate: bool = False,
        predictor: int = 1,
        tile: int = 0,
        planar: bool = False,
        extra: dict[int, Any] | None = None,
    ) -> dict[int, Any]:
        """The page's pixels written, and the tags for them."""
        stack = values.reshape(*values.shape[:2], -1)
        height, width, samples = stack.shape
        planes = [stack[..., n : n + 1] for n in range(samples)] if planar else [stack]
        blocks = [block for plane in planes for block in cut(plane, tile)]
        size = values.dtype.itemsize
        packed = [differences(block, predictor, self.order) for block in blocks]
        packed = [zlib.compress(block) if deflate else block for block in packed]
        places = [self.put(block) for block in packed]
        lengths = [len(block) for block in packed]
        tags = {256: width, 257: height, 258: [8 * size] * samples, 259: 8 if deflate else 1}
        tags |= {262: photometric, 277: samples, 284: 2 if planar else 1, 317: predictor}
        tags |= {339: [KINDS[values.dtype.kind]] * samples}
        if tile:
            tags |= {322: tile, 323: tile, 324: places, 325: lengths}
        else:
            tags |= {273: places, 278: 32, 279: lengths}
        return tags | (extra or {})

    def __bytes__(self) -> bytes:
        return bytes(self.data)


def cut(plane: np.ndarray, tile: int) -> list[np.ndarray]:
    """(H, W, S) -> strips of 32 rows, or tiles filled up with zeros."""
    height, width, _ = plane.shape
    if not tile:
        return [plane[top : top + 32] for top in range(0, height, 32)]
    padded = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
    places = [(y, x) for y in range(0, height, tile) for x in range(0, width, tile)]
    return [padded[y : y + tile, x : x + tile] for y, x in places]


def differences(block: np.ndarray, predictor: int, order: str) -> bytes:
    """The bytes of a block, by TIFF 6 (predictor 2) and Adobe's Technical Note 3 (3)."""
    size = block.dtype.itemsize
    if predictor == 3:
        rows = np.ascontiguousarray(block.astype(block.dtype.newbyteorder(">")))
        apart = rows.view(np.uint8).reshape(len(block), -1, size)  # bytes of a number, high first
        together = np.swapaxes(apart, 1, 2).reshape(len(block), -1, block.shape[2])
        return np.diff(together, axis=1, prepend=np.uint8(0)).astype(np.uint8).tobytes()
    block = block.astype(block.dtype.newbyteorder("="))
    if predictor == 2:
        block = np.diff(block.view(f"u{size}"), axis=1, prepend=np.zeros((), f"u{size}"))
    return bytes(block.astype(block.dtype.newbyteorder(order)).tobytes())


def typed(film: np.ndarray, kind: str) -> np.ndarray:
    """The film in a type, over much of its range; below zero where it can be."""
    if kind[0] == "f":
        return (film / 64 - 1).astype(kind)
    bits = 8 * int(kind[1])
    step = 2 ** max(0, bits - 8)
    return (film * 2 * step - (100 * step if kind[0] == "i" else 0)).astype(kind)


def exact(read: Any, values: np.ndarray) -> bool:
    return np.array_equal(read.pixels, values.astype(np.float32))


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
def test_every_kind_of_number_is_read_exactly(
    film: np.ndarray, kind: str, order: str, big: bool
) -> None:
    values = typed(film, kind)
    for options in (
        {},
        {"tile": 32},
        {"deflate": True},
        {"deflate": True, "tile": 16},
        {"deflate": True, "predictor": 2},
        {"deflate": True, "predictor": 2, "tile": 32},
    ):
        if kind[0] == "f" and "predictor" in options:
            options = options | {"predictor": 3}
        written = Written(order, big=big)
        written.picture(values, **options)
        read = read_radiograph(bytes(written))
        assert exact(read, values), options
        assert read.notes == ()


@pytest.mark.parametrize("kind", NUMBERS)
def test_white_is_zero_is_inverted_for_every_number_type(film: np.ndarray, kind: str) -> None:
    values = typed(film, kind)
    written = Written()
    written.picture(values, photometric=0)
    wide = values.astype(np.float64)
    top = 255 if kind == "u1" else wide.max() + wide.min()  # Pillow turns all of 8 bits
    assert np.allclose(read_radiograph(bytes(written)).pixels, top - wide, rtol=1e-6)


@pytest.mark.parametrize("bits", [4, 10, 12, 14])
@pytest.mark.parametrize("order", ["<", ">"])
def test_samples_without_gaps_between_them_are_read(
    film: np.ndarray, bits: int, order: str
) -> None:
    values = film >> 3 if bits == 4 else film * (2 ** (bits - 7))
    bits_of_values = [
        [(number >> bit) & 1 for bit in range(bits)[::-1]] for number in values.ravel()
    ]
    rows = np.packbits(np.array(bits_of_values).reshape(len(values), -1), axis=1)
    written = Written(order)
    tags = {256: 48, 257: 80, 258: bits, 259: 1, 262: 1, 277: 1, 278: 80, 279: rows.size}
    written.page(tags | {273: written.put(rows.tobytes())})
    read = read_radiograph(bytes(written)).pixels
    assert np.array_equal(read, values * 17 if bits == 4 else values)  # Pillow fills 8 bits


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f4"])
@pytest.mark.parametrize("deflate", [False, True])
def test_grey_films_in_colour(film: np.ndarray, planar: bool, kind: str, deflate: bool) -> None:
    values = typed(film, kind)
    written = Written()
    colours = np.repeat(values[..., None], 3, axis=2)
    written.picture(colours, photometric=2, planar=planar, deflate=deflate)
    assert np.allclose(read_radiograph(bytes(written)).pixels, values, rtol=1e-5, atol=1e-5)


def test_sixteen_bit_colour_photographs_are_refused(film: np.ndarray) -> None:
    hues = np.dstack([film, film.max() - film, np.roll(film, 20, axis=0)]).astype(np.uint16) * 500
    written = Written()
    written.picture(hues, photometric=2)
    with pytest.raises(UnsuitableFilm, match="colour photograph"):
        read_radiograph(bytes(written))
    forced = read_radiograph(bytes(written), photographs=True)
    assert np.allclose(forced.pixels, hues @ np.array([0.299, 0.587, 0.114]), rtol=1e-4)


@pytest.mark.parametrize("planar", [False, True])
def test_grey_and_alpha_of_16_bits(film: np.ndarray, planar: bool) -> None:
    values = typed(film, "u2")
    alpha = np.full_like(values, 65535)
    alpha[:, :10] = 0
    written = Written()
    written.picture(np.dstack([values, alpha]), planar=planar, extra={338: 2})
    read = read_radiograph(bytes(written))
    assert exact(read, np.where(alpha, values, 0))
    assert read.notes == ("transparent parts were laid over black",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_numbers_that_pillow_does_not_read(
    film: np.ndarray, orientation: int
) -> None:
    values = typed(film, "f2")
    written, plain = Written(), BytesIO()
    written.picture(values, extra={274: orientation})
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(film.astype(np.uint8)).save(plain, "PNG", exif=exif)
    shown = read_radiograph(plain.getvalue()).pixels
    read = read_radiograph(bytes(written))
    assert np.allclose((read.pixels + 1) * 64, shown)
    assert any("EXIF orientation" in note for note in read.notes) == (orientation != 1)


@pytest.mark.parametrize("flags", [{254: 1}, {254: 4}, {255: 2}, {}])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2", "f2"])
def test_the_film_is_read_and_not_a_small_copy_before_it(
    film: np.ndarray, flags: dict[int, int], big: bool, kind: str
) -> None:
    values = typed(np.kron(film, np.ones((2, 2), int)), kind)
    for below in (False, True):
        written = Written(big=big)
        small = typed(film, "u1") // 2
        if below:
            inside = written.picture(values, linked=False)
            written.picture(small, extra={**flags, 330: inside})
        else:
            written.picture(small, extra=flags)
            written.picture(values)
        read = read_radiograph(bytes(written))
        assert exact(read, values)
        assert "its picture of 96 x 160 pixels was read" in read.notes[0]


def test_the_film_is_read_and_not_small_copies_after_it(film: np.ndarray) -> None:
    values = typed(np.kron(film, np.ones((2, 2), int)), "u2")
    written = Written()
    inside = written.picture(values[::2, ::2], extra={254: 1}, linked=False)
    written.picture(values, extra={330: inside})
    written.picture(values[::2, ::2], extra={254: 1})
    read = read_radiograph(bytes(written))
    assert exact(read, values)
    assert read.notes == ()


def test_of_two_films_the_first_is_read(film: np.ndarray) -> None:
    written = Written()
    written.picture(typed(film, "i1"))
    written.picture(typed(film[::-1], "i1"))
    read = read_radiograph(bytes(written))
    assert exact(read, typed(film, "i1"))
    assert read.notes == ("the file holds 2 pages; the first was read",)


def test_the_first_page_is_read_if_the_second_is_damaged(film: np.ndarray) -> None:
    for place in (99_999, 9, None):  # beyond the end, inside the pixels, a ring
        written = Written()
        at = written.picture(typed(film, "u2"))
        struct.pack_into("<I", written.data, written.link, at if place is None else place)
        assert exact(read_radiograph(bytes(written)), typed(film, "u2"))


def test_a_small_copy_of_a_damaged_film_is_refused(film: np.ndarray) -> None:
    written = Written()
    written.picture(typed(film, "u1"), extra={254: 1})
    struct.pack_into("<I", written.data, written.link, 99_999)
    with pytest.raises(UnreadableFilm, match="a small copy of its picture, and the picture itself"):
        read_radiograph(bytes(written))


@pytest.mark.parametrize(
    ("kind", "tags"),
    [
        ("u2", {259: 34712}),  # JPEG 2000
        ("u1", {259: 50002}),  # JPEG XL
        ("f4", {259: 34887}),  # LERC
        ("c8", {}),
        ("u2", {262: 32803}),  # a sensor's mosaic
    ],
)
def test_a_variant_that_is_not_read_is_not_called_damaged(
    film: np.ndarray, kind: str, tags: dict[int, int]
) -> None:
    written = Written()
    written.picture(film.astype(kind), extra=tags)
    with pytest.raises(
        UnreadableFilm, match=r"of a variant that is not read: .*export it"
    ) as error:
        read_radiograph(bytes(written))
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("kind", ["u2", "f2"])
def test_a_page_that_is_cut_short_is_called_damaged(film: np.ndarray, kind: str) -> None:
    written = Written()
    tags = written.tags(typed(film, kind))
    tags[273] = [place + 10**6 for place in tags[273]]
    written.page(tags)
    with pytest.raises(UnreadableFilm, match="damaged or cut short"):
        read_radiograph(bytes(written))


def test_tiles_that_are_far_too_large_are_called_damaged(film: np.ndarray) -> None:
    for size in (0, 2**30):
        written = Written()
        written.page(written.tags(typed(film, "f2"), tile=16) | {322: size, 323: size})
        with pytest.raises(UnreadableFilm, match="damaged or cut short"):
            read_radiograph(bytes(written))


def test_the_lightness_of_cie_lab_is_read(film: np.ndarray) -> None:
    grey = Image.fromarray((film * 2).astype(np.uint8)).convert("RGB")
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.applyTransform(grey, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    file = BytesIO()
    lab.save(file, "TIFF")
    assert np.array_equal(read_radiograph(file.getvalue()).pixels, np.asarray(lab.getchannel("L")))
