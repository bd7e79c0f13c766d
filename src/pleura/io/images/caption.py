"""Drawing rows below a picture: a legend of its colours and bars, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from pleura.core.arrays import Verdict
from pleura.core.masks.overlay import BAR_GROUND, HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.core.types import Quality, Segmentation

__all__ = ["captioned"]

_SAYS: dict[Verdict, str] = {
    "review": "PLEURA: REVIEW BEFORE USE",
    "refused": "PLEURA: REFUSED, DO NOT USE",
}
_LINE_EDGE = (96, 96, 96)  # between film and caption: films end in black too
_GROUND = (20, 20, 20)
_FILLED = 0.5  # share of the colour inside a lung's mark, on a ground darker than a film
_INK = (255, 255, 255)
_WARNING = (0xF0, 0xE4, 0x42)  # yellow of Okabe and Ito 2008
_LETTERS_A_LINE = 90
_SMALLEST_PX = 12.0
_NARROWEST = 14  # letters a line of a film so narrow that the smallest ones would not fit
_LEAST_PX = 7.0

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class _Entry:
    """Words with a mark before them, or without."""

    words: str
    mark: Literal["", "lung", "heart", "bar"] = ""
    colour: tuple[int, int, int] = _INK


@dataclass(frozen=True, slots=True)
class _Placed:
    """A piece of a line: its left edge in px, the number of its line, what is written there."""

    left: float
    line: int
    entry: _Entry


def captioned(picture: Image.Image, found: Segmentation) -> Image.Image:
    """`picture` (RGB), which is `found` painted, with rows added below; nothing in it is covered.

    They name the colours of lungs and heart, give the cardiothoracic ratio where its widths are
    drawn, and verdict and doubts unless the verdict is `ok`.
    """
    size = _letter_px(*picture.size)
    font = ImageFont.load_default(size)
    placed = list(_placed(found, font, picture.width))
    step, edge = 1.4 * size, max(1, round(size / 10))
    rows = edge + round((placed[-1].line + 1) * step + 0.6 * size)
    taller = Image.new("RGB", (picture.width, picture.height + rows), _GROUND)
    taller.paste(picture, (0, 0))
    draw = ImageDraw.Draw(taller)
    draw.rectangle((0, picture.height, picture.width, picture.height + edge - 1), fill=_LINE_EDGE)
    for piece in placed:
        middle = picture.height + edge + 0.3 * size + (piece.line + 0.5) * step
        _draw(draw, piece, middle, font)
    return taller


def _letter_px(width: int, height: int) -> float:
    """Grows with the film, so that a caption looks alike on all; never too small to read."""
    wanted = max(_SMALLEST_PX, 2 * min(width, 1.5 * height) / _LETTERS_A_LINE)
    return max(_LEAST_PX, min(wanted, 2 * width / _NARROWEST))


def _legend(found: Segmentation) -> Iterator[_Entry]:
    """What is drawn, in the order of the picture."""
    yield _Entry("R", "lung", RIGHT_COLOUR)
    yield _Entry("L", "lung", LEFT_COLOUR)
    if found.heart is not None and found.heart.any():
        yield _Entry("heart", "heart", HEART_COLOUR)
    ratio = found.measurements.cardiothoracic_ratio
    if ratio is not None:
        yield _Entry(f"CTR {ratio:.2f}: width of heart / chest", "bar")
    elif not found.quality.gives_ratio:
        yield _Entry("CTR: not given")


def _warnings(quality: Quality) -> Iterator[_Entry]:
    """The verdict unless it is `ok`, the reasons for it, and those for which there is no ratio."""
    if quality.verdict != "ok":
        yield _Entry(_SAYS[quality.verdict], colour=_WARNING)
    heart = () if quality.heart is None else quality.heart.doubts
    for doubt in (*quality.doubts, *heart):
        yield _Entry(doubt.text)


def _placed(found: Segmentation, font: _Font, width: int) -> Iterator[_Placed]:
    """The legend's entries side by side as they fit, then the verdict's lines."""
    size = _px(font)
    edge, room = 0.6 * size, width - 1.2 * size
    left, line = 0.0, 0
    for entry in _legend(found):
        if left and left + _mark_px(entry, size) + font.getlength(entry.words) > room:
            left, line = 0.0, line + 1
        for number, words in enumerate(_wrapped(entry, font, room)):
            line += number > 0
            piece = _Entry(words, "" if number else entry.mark, entry.colour)
            yield _Placed(edge + left, line, piece)
            taken = _mark_px(piece, size) + font.getlength(words)
        left += taken + 1.2 * size
    for text in _warnings(found.quality):
        for words in _wrapped(text, font, room):
            line += 1
            yield _Placed(edge, line, _Entry(words, colour=text.colour))


def _wrapped(entry: _Entry, font: _Font, room: float) -> Iterator[str]:
    """Lines of the words that fit into `room` px beside the mark; a longer word is cut."""
    first = room - _mark_px(entry, _px(font))
    line = ""
    for word in entry.words.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= first:
            line = longer
            continue
        if line:
            yield line
            first = room
        *whole, line = _cut(word, font, first)
        yield from whole
    yield line


def _cut(word: str, font: _Font, room: float) -> Iterator[str]:
    """The word in pieces that fit, of a letter at least."""
    piece = ""
    for letter in word:
        if piece and font.getlength(piece + letter) > room:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _px(font: _Font) -> float:
    return float(getattr(font, "size", _SMALLEST_PX))


def _mark_px(entry: _Entry, size: float) -> float:
    """Width of the mark with the gap behind it."""
    return {"": 0.0, "lung": 1.3 * size, "heart": 1.3 * size, "bar": 2.6 * size}[entry.mark]


def _draw(draw: ImageDraw.ImageDraw, piece: _Placed, middle: float, font: _Font) -> None:
    """A piece of a line around the row `middle`."""
    size, entry = _px(font), piece.entry
    beside = _mark_px(entry, size)
    ink = _INK if entry.mark else entry.colour
    draw.text((piece.left + beside, middle), entry.words, fill=ink, font=font, anchor="lm")
    if entry.mark == "bar":
        _draw_bar(draw, (piece.left, middle), 2.2 * size, max(1, round(size / 16)))
    elif entry.mark:
        half = 0.4 * size
        box = (piece.left, middle - half, piece.left + 2 * half, middle + half)
        inside = tuple(
            round(ground + _FILLED * (value - ground))
            for ground, value in zip(_GROUND, entry.colour, strict=True)
        )
        fill = inside if entry.mark == "lung" else None
        draw.rectangle(box, fill=fill, outline=entry.colour, width=max(1, round(size / 8)))


def _draw_bar(
    draw: ImageDraw.ImageDraw, start: tuple[float, float], length: float, by: int
) -> None:
    """A bar as on the film: white dashes, 4 thick and 3 apart, and a tick at each end."""
    left, top = round(start[0]), round(start[1] - by / 2)
    right = left + round(length)
    draw.rectangle((left, top, right - 1, top + by - 1), fill=BAR_GROUND)
    for dash in range(left, right, 7 * by):
        draw.rectangle((dash, top, min(dash + 4 * by, right) - 1, top + by - 1), fill=_INK)
    for end in (left, right - by):
        draw.rectangle((end, top - 3 * by, end + by - 1, top + 4 * by - 1), fill=_INK)
