"""Finding the pages of a TIFF file, and the page that is the film.

Pillow reads the first page. Scanners and raw converters may put a small copy there, and the film on
a later page or in a sub-page (SubIFD). A later page may be damaged although the first is not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import IO

__all__ = ["Page", "at_page", "choose_page", "read_pages"]

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, COUNTS = 273, 274, 277, 278, 279
PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 284, 317, 322, 323, 324, 325
SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT = 330, 338, 339
_NEW_SUBFILE, _SUBFILE = 254, 255
_WANTED = frozenset(
    {WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, OFFSETS, ORIENTATION, SAMPLES}
    | {ROWS_PER_STRIP, COUNTS, PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS}
    | {TILE_COUNTS, SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, _NEW_SUBFILE, _SUBFILE}
)
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

MAX_PAGES = 256
"""The most pages that are looked at; further ones are ignored."""

MAX_VALUES = 2**20
"""The most values of a tag."""

_ASPECT = 0.05  # the aspect of a page and of its copy differ by at most this share
_COPY = 1.5  # a page this many times as wide as its copy is the film


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a TIFF file: its tags."""

    tags: dict[int, tuple[int, ...]]
    at: int
    """The offset of its tags in the file, bytes."""

    order: str
    """Byte order: `<` little endian, `>` big endian."""

    big: bool
    """Whether the file is a BigTIFF."""

    def value(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        values = self.tags.get(tag)
        return values[0] if values else default

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.value(LENGTH, 0), self.value(WIDTH, 0)

    @property
    def is_film(self) -> bool:
        """Whether the file marks it as neither a smaller copy nor a mask."""
        return not self.value(_NEW_SUBFILE, 0) & 0b101 and self.value(_SUBFILE, 1) != 2


def read_pages(stream: IO[bytes]) -> tuple[list[list[Page]], bool]:
    """The pages of an open file, each followed by its sub-pages, and whether all could be read.

    The list ends before the first damaged page. The stream is set back to its beginning.
    """
    pages: list[list[Page]] = []
    is_complete = False
    with suppress(struct.error, ValueError, OverflowError, OSError):
        for page in _chain(stream):
            pages.append([page, *_sub_pages(stream, page)])  # noqa: PERF401 - an error keeps the rest
        is_complete = all(len(group) > len(group[0].tags.get(SUB_IFDS, ())) for group in pages)
    stream.seek(0)
    return pages, is_complete


def choose_page(pages: list[list[Page]]) -> tuple[Page, list[str]]:
    """The page that is the film, and notes; `pages` must not be empty."""
    first, every = pages[0][0], [page for group in pages for page in group]
    tops = [group[0] for group in pages]
    wanted = next((page for page in (*tops, *every) if page.is_film), first)
    copies = [page for page in every if _is_larger(page, wanted)]
    chosen = max(copies, key=lambda page: page.size[1]) if copies else wanted
    if chosen is not first:
        height, width = chosen.size
        return chosen, [
            f"the file's first page is a small copy or a mask; its picture of {width} x {height} "
            "pixels was read"
        ]
    films = [page for page in tops if page.is_film]
    if len(films) > 1:
        return chosen, [f"the file holds {len(tops)} pages; the first was read"]
    return chosen, []


def at_page(stream: IO[bytes], page: Page) -> IO[bytes]:
    """A copy of the file whose first page is `page`."""
    content = bytearray(stream.read())
    where, form = (8, "Q") if page.big else (4, "I")
    struct.pack_into(page.order + form, content, where, page.at)
    return BytesIO(bytes(content))


def _is_larger(page: Page, other: Page) -> bool:
    """Whether `page` is `other` at a larger size: the same aspect, and wider."""
    (height, width), (low, narrow) = page.size, other.size
    if not (low and narrow and width >= _COPY * narrow):
        return False
    return abs(height * narrow / (width * low) - 1) <= _ASPECT


def _chain(stream: IO[bytes]) -> Iterator[Page]:
    """The pages in the order of the file, without sub-pages."""
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    at = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
    seen: set[int] = set()
    while at and at not in seen and len(seen) < MAX_PAGES:
        seen.add(at)
        page, at = _page(stream, at, order=order, big=big)
        yield page


def _sub_pages(stream: IO[bytes], page: Page) -> list[Page]:
    places = page.tags.get(SUB_IFDS, ())[:MAX_PAGES]
    sub_pages = []
    with suppress(struct.error, ValueError, OverflowError):
        for at in places:
            sub_page, _ = _page(stream, at, order=page.order, big=page.big)
            sub_pages.append(sub_page)
    return sub_pages


def _page(stream: IO[bytes], at: int, *, order: str, big: bool) -> tuple[Page, int]:
    """The page whose tags are at offset `at`, and the next page's; `struct.error` if damaged."""
    number, size, inside = ("Q", 20, 8) if big else ("I", 12, 4)
    stream.seek(at)
    count = struct.unpack(order + ("Q" if big else "H"), stream.read(8 if big else 2))[0]
    if count > 4096:
        raise ValueError(count)
    table = stream.read(count * size)
    following = stream.read(inside)
    tags = {}
    for start in range(0, count * size, size):
        tag, kind, length = struct.unpack_from(order + "HH" + number, table, start)
        if tag in _WANTED and kind in _TYPES and length <= MAX_VALUES:
            form = f"{order}{length}{_TYPES[kind]}"
            data = table[start + size - inside : start + size]
            if struct.calcsize(form) > inside:
                stream.seek(struct.unpack(order + number, data)[0])
                data = stream.read(struct.calcsize(form))
            tags[tag] = struct.unpack_from(form, data)
    after = struct.unpack(order + number, following)[0] if len(following) == inside else 0
    return Page(tags, at, order, big), after
