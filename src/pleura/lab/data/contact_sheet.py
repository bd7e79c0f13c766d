"""Contact sheets: one picture with many small films and the outlines of their masks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from pleura.core.arrays import Mask, Pixels
from pleura.core.errors import DataError, FilmError
from pleura.core.frame import normalise
from pleura.lab.data.film import IGNORE, Film, evenly

__all__ = ["COLOURS", "Tile", "choose", "contact_sheet", "film_tiles", "resize_mask", "resize_to"]

COLOURS = {
    "right_field": "#0072B2",
    "left_field": "#D55E00",
    "right_whole": "#56B4E9",
    "left_whole": "#E69F00",
    "field": "#009E73",
    "whole": "#009E73",
    "heart": "#CC79A7",
    IGNORE: "#F0E442",
}
"""Channel -> colour of the outline, from Okabe and Ito's colours for colour-blind readers."""

FLAG = "#E41A1C"
CAPTION_PX = 14


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One small picture of a sheet."""

    grey: NDArray[np.uint8]
    """(h, w) uint8, drawn with these greys."""

    masks: Mapping[str, Mask]
    """Channel -> (h, w) bool, outlined in the channel's colour."""

    caption: str
    flagged: bool = False
    """Whether it has a red frame."""


def contact_sheet(tiles: Sequence[Tile], *, columns: int = 8, side: int = 200) -> Image.Image:
    """Draw tiles in rows, each in a square of `side` px with its caption below.

    Raises `DataError` if there is no tile.
    """
    if not tiles:
        raise DataError("no film to draw on the sheet")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * side, rows * (side + CAPTION_PX)), "black")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for index, tile in enumerate(tiles):
        left, top = index % columns * side, index // columns * (side + CAPTION_PX)
        picture = _outlined(tile)
        sheet.paste(picture, (left + (side - picture.width) // 2, top))
        caption = _shortened(tile.caption, lambda text: pen.textlength(text, font=font), side - 4)
        pen.text((left + 2, top + side), caption, fill=FLAG if tile.flagged else "white", font=font)
        if tile.flagged:
            pen.rectangle((left, top, left + side - 1, top + side - 1), outline=FLAG, width=2)
    return sheet


def choose(films: Sequence[Film], count: int, *, first: Collection[str] = ()) -> list[Film]:
    """Choose up to `count` films: those with an id in `first`, then others evenly from every split.

    At most half of them are from `first`, if there are enough others.
    """
    marked = [film for film in films if film.id in first]
    others = [film for film in films if film.id not in first]
    others.sort(key=lambda film: (film.source, film.split or "", film.id))
    most_marked = max(count - len(others), (count + 1) // 2)
    chosen = evenly(marked, most_marked)
    return chosen + evenly(others, count - len(chosen))


def film_tiles(
    films: Sequence[Film],
    *,
    side: int = 200,
    flagged: Collection[str] = (),
    on_film: Callable[[], None] = lambda: None,
) -> Iterator[Tile]:
    """A tile for each film, in its own aspect ratio; a film that cannot be read is black."""
    for film in films:
        caption = f"{film.id} {film.split or ''}".strip()
        try:
            grey = resize_to(_grey(film.read_image().pixels), side)
        except (FilmError, OSError):
            grey = np.zeros((side, side), np.uint8)
        masks: dict[str, Mask] = {}
        try:
            masks = _masks(film) if film.channels else {}
        except DataError:
            caption = f"mask? {caption}"
        resized = {name: resize_mask(mask, grey.shape) for name, mask in masks.items()}
        yield Tile(grey, resized, caption, film.id in flagged)
        on_film()


def _masks(film: Film) -> dict[str, Mask]:
    labels = film.read_labels()
    masks = dict(labels.targets)
    if labels.ignore is not None:
        masks[IGNORE] = labels.ignore
    return masks


def _grey(pixels: Pixels) -> NDArray[np.uint8]:
    return np.rint(normalise(pixels) * 255).astype(np.uint8)


def resize_to(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize (H, W) uint8 to a longer side of `side` px, with the same aspect ratio."""
    height, width = grey.shape
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def resize_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Resize a mask (H, W) to `shape`; a pixel belongs to it if at least half of it is covered."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    height, width = shape
    small: Mask = np.asarray(picture.resize((width, height), Image.Resampling.BOX)) >= 128
    return small


def _outlined(tile: Tile) -> Image.Image:
    picture = np.repeat(tile.grey[:, :, None], 3, axis=2)
    for channel, mask in tile.masks.items():
        outline = mask & ~binary_erosion(mask)
        picture[outline] = tuple(bytes.fromhex(COLOURS[channel][1:]))
    return Image.fromarray(picture)


def _shortened(text: str, width: Callable[[str], float], most: float) -> str:
    """The text, or three dots and its end if it is too long for the tile."""
    if width(text) <= most:
        return text
    while text and width("..." + text) > most:
        text = text[1:]
    return "..." + text
