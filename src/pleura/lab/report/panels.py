"""Pictures of films for the report: the film, its label outline, and the errors of the prediction.

A panel is SVG: the film is a picture, and the outlines are paths, which are sharp at any size.
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
"""Colours: the outline of the label and of pixels in both masks; the fill of pixels in the
prediction only; the fill of pixels in the label only. They are lighter than a film's greys, and
distinct in every kind of colour blindness."""

LONGEST_PX = 640
"""The longest side of a picture in the report; a smaller film keeps its size."""

RANDOM, BEST, MEDIAN, WORST = 6, 2, 2, 10
"""The numbers of films that the report shows."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The films that the report shows under one heading."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """The three views of a film, as SVG text."""

    film: str
    truth: str
    prediction: str


def choose_films(rows: Sequence[Row], *, seed: int) -> list[Choice]:
    """Choose films by the Dice of the lungs: random ones, the worst, the median ones, the best.

    One of the worst films is not shown again as median or best film of a small set. Films with
    undefined Dice (both masks empty) can be among the random ones only.
    """
    lungs = [row for row in rows if row.structure == "lungs"]
    drawn = np.random.default_rng(seed).permutation(len(lungs))[:RANDOM]
    known = [row for row in lungs if row.scores.dice is not None]
    ordered = sorted(known, key=lambda row: (row.scores.dice or 0.0, row.source, row.id))
    middle = max((len(ordered) - MEDIAN + 1) // 2, WORST)
    best = max(len(ordered) - BEST, middle + MEDIAN)
    choices = {
        "random": tuple(lungs[index] for index in sorted(drawn)),
        "worst": tuple(ordered[:WORST]),
        "median": tuple(ordered[middle : middle + MEDIAN]),
        "best": tuple(reversed(ordered[best:])),
    }
    return [Choice(name, films) for name, films in choices.items() if films]


def draw_panel(examined: Examined, *, name: str) -> Panel:
    """The three views of a film's lungs; `name` must be unique on the page."""
    pair = next(pair for pair in examined.pairs if pair.structure == "lungs")
    size = pair.truth.shape
    picture = _picture(display(examined.radiograph.pixels), size)
    height, width = size
    stroke = max(size) / 150  # user units: pixels of the mask
    film = f'<image id="{name}" width="{width}" height="{height}" href="{picture}"/>'
    film_again = f'<use href="#{name}"/>'
    truth = _line(pair.truth, TRUE, stroke)
    added, missed = pair.predicted & ~pair.truth, pair.truth & ~pair.predicted
    errors = f'<image width="{width}" height="{height}" href="{_fills(added, missed)}"/>'
    both = _line(pair.predicted & pair.truth, TRUE, stroke)
    return Panel(
        film=_svg(film, size, "the film"),
        truth=_svg(film_again + truth, size, "the film with the label outline of the lungs"),
        prediction=_svg(
            film_again + errors + both, size, "the film with right, added and missed pixels"
        ),
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
    """A film as a JPEG in a data URL, at most `LONGEST_PX` long, with the aspect of the masks."""
    image = Image.fromarray(grey)
    image = image.resize(_picture_size(size), Image.Resampling.LANCZOS)
    return _inline(image, "jpeg", quality=88)


def _fills(added: Mask, missed: Mask) -> str:
    """The pixels of one mask only, as a palette PNG in a data URL; the rest is transparent."""
    values = np.zeros(added.shape, np.uint8)
    values[added], values[missed] = 1, 2
    image = Image.fromarray(values)
    image = image.resize(_picture_size(added.shape), Image.Resampling.NEAREST)
    palette = [0, 0, 0, *bytes.fromhex(ADDED[1:]), *bytes.fromhex(MISSED[1:])]
    image.putpalette(palette)
    return _inline(image, "png", transparency=bytes([0, 150, 150]), optimize=True)


def _picture_size(size: tuple[int, ...]) -> tuple[int, int]:
    """The (width, height) of a picture of masks of `size` (H, W)."""
    scale = min(1.0, LONGEST_PX / max(size))
    return max(round(size[1] * scale), 1), max(round(size[0] * scale), 1)


def _inline(image: Image.Image, kind: str, **options: object) -> str:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
