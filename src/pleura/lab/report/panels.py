"""Films for the eye: each as it is, with its truth, and with what was right, added and missed.

A panel is SVG: the film once as a picture, the outlines as paths over it, so that they stay
sharp at any size.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.arrays import Mask
from pleura.core.masks.contours import outlines
from pleura.core.masks.overlay import display
from pleura.lab.evaluate.case import Examined, Row

__all__ = ["ADDED", "MISSED", "TRUE", "Choice", "Panel", "choose_films", "draw_panel"]

TRUE, ADDED, MISSED = "#35D6F5", "#F59E00", "#E0218A"
"""Outline of the truth and of what both masks hold; fill of what only the prediction holds, and
only the truth. Light against a film's greys, and apart in every kind of colour blindness."""

LONGEST_PX = 640
"""Of a picture in the report; the film's own pixels where it is smaller."""

RANDOM, BEST, MEDIAN, WORST = 6, 2, 2, 10
"""How many films the report shows of each kind."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which films the report shows under one heading."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A film's three views, as SVG text, with the aspect they share."""

    film: str
    truth: str
    prediction: str


def choose_films(rows: Sequence[Row], *, seed: int) -> list[Choice]:
    """Of the lungs' rows: some at random, the worst by Dice, those about the median, the best.

    A film that is among the worst is not shown again as the median or the best of a small set.
    Where Dice is undefined (nothing to find, nothing found) a film can be drawn at random only.
    """
    lungs = [row for row in rows if row.structure == "lungs"]
    drawn = np.random.default_rng(seed).permutation(len(lungs))[:RANDOM]
    known = [row for row in lungs if row.scores.dice is not None]
    ordered = sorted(known, key=lambda row: (row.scores.dice or 0.0, row.source, row.id))
    middle = max((len(ordered) - MEDIAN + 1) // 2, WORST)
    best = max(len(ordered) - BEST, middle + MEDIAN)
    kinds = {
        "random": tuple(lungs[index] for index in sorted(drawn)),
        "worst": tuple(ordered[:WORST]),
        "median": tuple(ordered[middle : middle + MEDIAN]),
        "best": tuple(reversed(ordered[best:])),
    }
    return [Choice(name, chosen) for name, chosen in kinds.items() if chosen]


def draw_panel(examined: Examined, *, name: str) -> Panel:
    """The three views of a film's lungs; `name` must be unique on the page."""
    pair = next(each for each in examined.pairs if each.structure == "lungs")
    size = pair.truth.shape
    picture = _picture(display(examined.radiograph.pixels), size)
    height, width = size
    stroke = max(size) / 150  # user units: pixels of the mask
    film = f'<image id="{name}" width="{width}" height="{height}" href="{picture}"/>'
    again = f'<use href="#{name}"/>'
    truth = _line(pair.truth, TRUE, stroke)
    added, missed = pair.predicted & ~pair.truth, pair.truth & ~pair.predicted
    wrong = f'<image width="{width}" height="{height}" href="{_fills(added, missed)}"/>'
    both = _line(pair.predicted & pair.truth, TRUE, stroke)
    return Panel(
        film=_svg(film, size, "the film"),
        truth=_svg(again + truth, size, "the film with the true outline of the lungs"),
        prediction=_svg(again + wrong + both, size, "the film with what was right, added, missed"),
    )


def _svg(content: str, size: tuple[int, ...], label: str) -> str:
    box = f"0 0 {size[1]} {size[0]}"
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{content}</svg>'


def _line(mask: Mask, colour: str, stroke: float) -> str:
    """The outline of a mask as one path."""
    path = "".join(f"M{_points(line)}Z" for line in outlines(mask))
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{stroke:.2f}" '
        'stroke-linejoin="round"/>'
    )


def _points(line: NDArray[np.floating]) -> str:
    return "L".join(f"{x:g} {y:g}" for x, y in np.round(line, 1).tolist())


def _picture(grey: NDArray[np.uint8], size: tuple[int, ...]) -> str:
    """A film as a JPEG inside a URL, at most `LONGEST_PX` long, in the masks' aspect."""
    image = Image.fromarray(grey)
    image = image.resize(_fitted(size), Image.Resampling.LANCZOS)
    return _inline(image, "jpeg", quality=88)


def _fills(added: Mask, missed: Mask) -> str:
    """Pixels of one mask only, as a palette PNG inside a URL; the rest is clear."""
    values = np.zeros(added.shape, np.uint8)
    values[added], values[missed] = 1, 2
    image = Image.fromarray(values)
    image = image.resize(_fitted(added.shape), Image.Resampling.NEAREST)
    palette = [0, 0, 0, *bytes.fromhex(ADDED[1:]), *bytes.fromhex(MISSED[1:])]
    image.putpalette(palette)
    return _inline(image, "png", transparency=bytes([0, 150, 150]), optimize=True)


def _fitted(size: tuple[int, ...]) -> tuple[int, int]:
    """(width, height) of a picture of masks of `size` (H, W)."""
    scale = min(1.0, LONGEST_PX / max(size))
    return max(round(size[1] * scale), 1), max(round(size[0] * scale), 1)


def _inline(image: Image.Image, kind: str, **options: object) -> str:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
