"""Drawing a caption below the overlay: the legend of its colours, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from pleura.core.arrays import Verdict
from pleura.core.masks.overlay import BAR_BACKGROUND, HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.core.types import Quality, Segmentation

__all__ = ["captioned"]

_VERDICT_LINES: dict[Verdict, str] = {
    "review": "PLEURA: REVIEW BEFORE USE",
    "refused": "PLEURA: REFUSED, DO NOT USE",
}
_LINE_EDGE = (96, 96, 96)  # a line between film and caption, as a film may end in black
_BACKGROUND = (20, 20, 20)
_FILL_SHARE = 0.5  # share of the colour inside a lung's mark; the background has the rest
_TEXT_COLOUR = (255, 255, 255)
_WARNING_COLOUR = (0xF0, 0xE4, 0x42)  # yellow of Okabe and Ito 2008
_LETTERS_A_LINE = 90
_USUAL_PX = 12.0
_MIN_LETTERS = 14  # letters a line on a film too narrow for letters of `_USUAL_PX`
_MIN_PX = 7.0

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class _Entry:
    """Text, with a mark before it or without."""

    text: str
    mark: Literal["", "lung", "heart", "bar"] = ""
    colour: tuple[int, int, int] = _TEXT_COLOUR


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a line: its left edge in px, the number of its line, and its text."""

    left: float
    line: int
    entry: _Entry


def captioned(picture: Image.Image, segmentation: Segmentation) -> Image.Image:
    """Add rows with a caption below `picture` (RGB), the overlay; the picture itself is unchanged.

    The caption names the colours of lungs and heart, gives the cardiothoracic ratio if its widths
    are drawn, and the verdict and doubts unless the verdict is `ok`.
    """
    size = _letter_px(*picture.size)
    font = ImageFont.load_default(size)
    pieces = list(_pieces(segmentation, font, picture.width))
    step, edge = 1.4 * size, max(1, round(size / 10))
    rows = edge + round((pieces[-1].line + 1) * step + 0.6 * size)
    taller = Image.new("RGB", (picture.width, picture.height + rows), _BACKGROUND)
    taller.paste(picture, (0, 0))
    draw = ImageDraw.Draw(taller)
    draw.rectangle((0, picture.height, picture.width, picture.height + edge - 1), fill=_LINE_EDGE)
    for piece in pieces:
        middle = picture.height + edge + 0.3 * size + (piece.line + 0.5) * step
        _draw(draw, piece, middle, font)
    return taller


def _letter_px(width: int, height: int) -> float:
    """The size of letters in px: it grows with the film, and stays large enough to read."""
    wanted = max(_USUAL_PX, 2 * min(width, 1.5 * height) / _LETTERS_A_LINE)
    return max(_MIN_PX, min(wanted, 2 * width / _MIN_LETTERS))


def _legend(segmentation: Segmentation) -> Iterator[_Entry]:
    """The legend's entries: lungs, heart, cardiothoracic ratio."""
    yield _Entry("R", "lung", RIGHT_COLOUR)
    yield _Entry("L", "lung", LEFT_COLOUR)
    if segmentation.heart is not None and segmentation.heart.any():
        yield _Entry("heart", "heart", HEART_COLOUR)
    ratio = segmentation.measurements.cardiothoracic_ratio
    if ratio is not None:
        yield _Entry(f"CTR {ratio:.2f}: width of heart / chest", "bar")
    elif not segmentation.quality.gives_ratio:
        yield _Entry("CTR: not given")


def _warnings(quality: Quality) -> Iterator[_Entry]:
    """The verdict unless it is `ok`, its doubts, and the doubts for which no ratio is given."""
    if quality.verdict != "ok":
        yield _Entry(_VERDICT_LINES[quality.verdict], colour=_WARNING_COLOUR)
    heart = () if quality.heart is None else quality.heart.doubts
    for doubt in (*quality.doubts, *heart):
        yield _Entry(doubt.text)


def _pieces(segmentation: Segmentation, font: _Font, width: int) -> Iterator[_Piece]:
    """The legend's entries, as many in a line as fit, then the lines of the verdict."""
    size = _px(font)
    edge, room = 0.6 * size, width - 1.2 * size
    left, line = 0.0, 0
    for entry in _legend(segmentation):
        if left and left + _mark_px(entry, size) + font.getlength(entry.text) > room:
            left, line = 0.0, line + 1
        for number, words in enumerate(_wrapped(entry, font, room)):
            line += number > 0
            piece = _Entry(words, "" if number else entry.mark, entry.colour)
            yield _Piece(edge + left, line, piece)
            taken = _mark_px(piece, size) + font.getlength(words)
        left += taken + 1.2 * size
    for entry in _warnings(segmentation.quality):
        for words in _wrapped(entry, font, room):
            line += 1
            yield _Piece(edge, line, _Entry(words, colour=entry.colour))


def _wrapped(entry: _Entry, font: _Font, room: float) -> Iterator[str]:
    """Break the text into lines of `room` px, the mark included; a longer word is cut."""
    first = room - _mark_px(entry, _px(font))
    line = ""
    for word in entry.text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= first:
            line = longer
            continue
        if line:
            yield line
            first = room
        *full_lines, line = _cut(word, font, first)
        yield from full_lines
    yield line


def _cut(word: str, font: _Font, room: float) -> Iterator[str]:
    """Cut a word into parts that fit into `room` px, each of at least one letter."""
    piece = ""
    for letter in word:
        if piece and font.getlength(piece + letter) > room:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _px(font: _Font) -> float:
    return float(getattr(font, "size", _USUAL_PX))


def _mark_px(entry: _Entry, size: float) -> float:
    """Width of the mark and of the gap after it, px."""
    return {"": 0.0, "lung": 1.3 * size, "heart": 1.3 * size, "bar": 2.6 * size}[entry.mark]


def _draw(draw: ImageDraw.ImageDraw, piece: _Piece, middle: float, font: _Font) -> None:
    """Draw a part of a line, centred on the row `middle`."""
    size, entry = _px(font), piece.entry
    mark_width = _mark_px(entry, size)
    colour = _TEXT_COLOUR if entry.mark else entry.colour
    draw.text((piece.left + mark_width, middle), entry.text, fill=colour, font=font, anchor="lm")
    if entry.mark == "bar":
        _draw_bar(draw, (piece.left, middle), 2.2 * size, max(1, round(size / 16)))
    elif entry.mark:
        half = 0.4 * size
        box = (piece.left, middle - half, piece.left + 2 * half, middle + half)
        inside = tuple(
            round(ground + _FILL_SHARE * (value - ground))
            for ground, value in zip(_BACKGROUND, entry.colour, strict=True)
        )
        fill = inside if entry.mark == "lung" else None
        draw.rectangle(box, fill=fill, outline=entry.colour, width=max(1, round(size / 8)))


def _draw_bar(
    draw: ImageDraw.ImageDraw, start: tuple[float, float], length: float, by: int
) -> None:
    """Draw the bar as on the film: white dashes and a tick at each end, `by` px thick."""
    left, top = round(start[0]), round(start[1] - by / 2)
    right = left + round(length)
    draw.rectangle((left, top, right - 1, top + by - 1), fill=BAR_BACKGROUND)
    for dash in range(left, right, 7 * by):
        draw.rectangle((dash, top, min(dash + 4 * by, right) - 1, top + by - 1), fill=_TEXT_COLOUR)
    for end in (left, right - by):
        draw.rectangle((end, top - 3 * by, end + by - 1, top + 4 * by - 1), fill=_TEXT_COLOUR)
