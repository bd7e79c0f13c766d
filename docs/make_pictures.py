"""Draws the README's picture: our own drawn film, and what the shipped weights find in it.

`make pictures` runs it. Draw it anew when the weights or the drawn film change.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

import pleura
from pleura.core.masks.overlay import display
from pleura.phantom.film import draw

PICTURE = Path(__file__).resolve().parent / "images" / "overlay.png"
HEIGHT, WIDTH, GAP = 640, 560, 12
"""px of each film; it is drawn, and segmented, at twice the size."""

film = draw(2 * HEIGHT, 2 * WIDTH).radiograph.pixels
found = pleura.segment(film)
overlay = found.overlay()
rows = round(overlay.height / 2)  # with those of the legend
sheet = Image.new("RGB", (2 * WIDTH + GAP, rows), "white")
for place, picture in enumerate((Image.fromarray(display(film)), overlay)):
    size = WIDTH, round(picture.height / 2)
    small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    sheet.paste(small, (place * (WIDTH + GAP), 0))
PICTURE.parent.mkdir(exist_ok=True)
sheet.save(PICTURE, optimize=True)
