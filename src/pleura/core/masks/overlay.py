"""Drawing a film and its masks as pictures for people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask, Pixels
from pleura.core.frame import DARK_PERCENTILE, LIGHT_PERCENTILE
from pleura.core.masks.components import bounding_box, window
from pleura.core.masks.measure import TransverseWidth, transverse_widths
from pleura.core.pixels.burnt_in import without_burnt_in

__all__ = [
    "BAR_BACKGROUND",
    "HEART_COLOUR",
    "LEFT_COLOUR",
    "RIGHT_COLOUR",
    "display",
    "display_range",
    "outline_width",
    "paint",
]

RIGHT_COLOUR = (0x00, 0x72, 0xB2)
LEFT_COLOUR = (0xD5, 0x5E, 0x00)
HEART_COLOUR = (0xCC, 0x79, 0xA7)
"""Blue, vermillion and purple of Okabe and Ito 2008, which colour-blind readers distinguish too."""

FILL = 0.22
"""The opacity of the colour inside a lung; the film stays visible below it."""

OUTLINE_SHARE = 0.003
"""Width of an outline over the film's shorter side."""

BAR_BACKGROUND = (0x10, 0x17, 0x1D)
"""The colour between the dashes of a bar."""

_BAND = 1_000_000  # pixels converted at a time, so that no second film is in memory

SAMPLES = 1_000_000
"""Pixels of a large film from which the percentiles are computed."""


def display(pixels: Pixels) -> NDArray[np.uint8]:
    """(H, W) of any finite range -> (H, W) uint8 grey; a flat film becomes black.

    Greys are scaled between the same two percentiles as the network's input, so that a burnt-in
    letter does not darken the film.
    """
    pixels = without_burnt_in(pixels)
    dark, light = _percentiles(pixels)
    if light <= dark:
        return np.zeros(pixels.shape, dtype=np.uint8)
    shown = np.empty(pixels.shape, dtype=np.uint8)
    rows = max(1, _BAND // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        grey = np.subtract(pixels[top : top + rows], dark, dtype=np.float32)
        grey *= 255 / (light - dark)
        np.clip(grey, 0, 255, out=grey)
        shown[top : top + rows] = np.rint(grey, out=grey)
    return shown


def display_range(pixels: Pixels) -> tuple[float, float]:
    """The values of a film, (H, W), that `display` shows as black and as white."""
    return _percentiles(without_burnt_in(pixels))


def _percentiles(pixels: Pixels) -> tuple[float, float]:
    step = max(1, int((pixels.size / SAMPLES) ** 0.5))
    sample = pixels[::step, ::step]
    dark, light = (float(x) for x in np.percentile(sample, (DARK_PERCENTILE, LIGHT_PERCENTILE)))
    return dark, light


def paint(
    pixels: Pixels,
    right: Mask,
    left: Mask,
    *,
    heart: Mask | None = None,
    widths: bool = True,
) -> NDArray[np.uint8]:
    """(H, W) film and masks -> (H, W, 3) uint8 RGB: lungs outlined and lightly filled.

    The heart has an outline without a fill, because lung lies behind it by the definition `whole`.
    Outlines lie inside their mask and are `outline_width` pixels wide. With a heart and `widths`,
    the two widths of the cardiothoracic ratio are drawn as dashed bars.
    """
    picture = np.repeat(display(pixels)[:, :, None], 3, axis=2)
    width = outline_width(*pixels.shape)
    for mask, colour, fill in (
        (right, RIGHT_COLOUR, FILL),
        (left, LEFT_COLOUR, FILL),
        (heart, HEART_COLOUR, 0.0),
    ):
        box = None if mask is None else bounding_box(mask)
        if mask is not None and box is not None:
            _draw(picture[window(box)], mask[window(box)], colour, (fill, width))
    for bar in (transverse_widths(right, left, heart) if widths else None) or ():
        _draw_bar(picture, bar, width)
    return picture


def outline_width(height: int, width: int) -> int:
    """The width of outlines, px; it grows with the film, so that outlines look alike."""
    return max(1, round(OUTLINE_SHARE * min(height, width)))


def _draw(
    picture: NDArray[np.uint8], mask: Mask, colour: tuple[int, int, int], how: tuple[float, int]
) -> None:
    """Fill and outline `mask` in `picture`, (h, w, 3), in place."""
    fill, width = how
    edge = mask & ~_eroded(mask, width)
    levels = np.arange(256)
    for channel, value in enumerate(colour):
        layer = picture[:, :, channel]
        if fill:
            mixed = np.rint(levels + fill * (value - levels)).astype(np.uint8)
            np.copyto(layer, mixed[layer], where=mask)
        layer[edge] = value


def _draw_bar(picture: NDArray[np.uint8], bar: TransverseWidth, by: int) -> None:
    """A dashed line, white and dark, with a tick at each end: visible on light and dark films."""
    top = max(0, bar.row - by // 2)
    picture[top : top + by, bar.left : bar.right] = BAR_BACKGROUND
    for start in range(bar.left, bar.right, 7 * by):
        picture[top : top + by, start : min(start + 4 * by, bar.right)] = 255
    for start in (bar.left, bar.right - by):
        picture[max(0, top - 3 * by) : top + 4 * by, max(0, start) : start + by] = 255


def _eroded(mask: Mask, by: int) -> Mask:
    """Erosion by `by` pixels, by a diamond and a square in turn: together nearly a disc."""
    inner = np.pad(mask, 1)
    for step in range(by):
        flat = inner.copy()
        flat[:, 1:] &= inner[:, :-1]
        flat[:, :-1] &= inner[:, 1:]
        across = flat if step % 2 else inner
        tall = flat.copy()
        tall[1:] &= across[:-1]
        tall[:-1] &= across[1:]
        inner = tall
    return inner[1:-1, 1:-1]
