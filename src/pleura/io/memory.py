"""Results as bytes, for doors that write no file: the same bytes that the files would hold."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from io import BytesIO, StringIO
from typing import Any

from PIL import Image

from pleura.core.arrays import Mask
from pleura.core.masks.contours import rle
from pleura.core.masks.overlay import display
from pleura.core.types import Radiograph, Segmentation
from pleura.io.masks import labels_png, mask_png
from pleura.io.pictures import marked_overlay, overlay_options
from pleura.io.row import COLUMNS, Row

__all__ = ["PICTURES", "film_png", "run_lengths", "table_csv"]


def film_png(film: Radiograph) -> bytes:
    """The film as people see it, 8-bit grey, of its native size."""
    return _png(Image.fromarray(display(film.pixels)))


PICTURES: dict[str, Callable[[Segmentation], bytes]] = {
    "mask": lambda found: mask_png(found.mask),
    "labels": labels_png,
    "overlay": lambda found: _png(marked_overlay(found), **overlay_options(found)),
    "film": lambda found: film_png(found.radiograph),
}
"""By name: the PNG of a result; `mask`, `labels` and `overlay` as in `io.outputs.FORMATS`."""


def run_lengths(mask: Mask) -> dict[str, Any]:
    """COCO's uncompressed RLE of a mask: `size` (H, W), and `counts` by columns, zeros first."""
    return {"size": [int(side) for side in mask.shape], "counts": rle(mask)}


def table_csv(rows: Iterable[Row]) -> str:
    """What `results.csv` would hold of these rows, in the order given."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return text.getvalue()


def _png(image: Image.Image, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()
