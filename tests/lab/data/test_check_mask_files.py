"""Checking mask files of unusual colours, palettes and orientation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tests.lab.data.drawn_set import DataSet, film, lungs


def inverted(data: DataSet) -> None:
    data.write("f0", mask=255 - lungs())


def full(data: DataSet) -> None:
    data.write("f0", mask=np.full_like(lungs(), 255))


def nearly_full(data: DataSet) -> None:
    data.write("f0", mask=np.where(lungs() > 0, 255, 1).astype(np.uint8))


def alpha_alone(data: DataSet) -> None:
    white = np.full_like(lungs(), 255)
    Image.fromarray(np.dstack([white, lungs()])).save(data.mask("f0"))


def opaque_alpha(data: DataSet) -> None:
    Image.fromarray(np.dstack([lungs(), np.full_like(lungs(), 255)])).save(data.mask("f0"))


def grey_and_alpha(data: DataSet) -> None:
    """White opaque lungs on a white transparent ground."""
    grey = np.where(lungs() > 0, 250, 255).astype(np.uint8)
    Image.fromarray(np.dstack([grey, lungs()])).save(data.mask("f0"))


def palette(data: DataSet, colours: list[int], values: NDArray[np.uint8]) -> None:
    image = Image.fromarray(values).convert("P")
    image.putdata(values.ravel().tolist())
    image.putpalette(colours)
    image.save(data.mask("f0"))


def grey_palette_exchanged(data: DataSet) -> None:
    """Index 0 is white and means lung, as `quantize` writes it: the greys count."""
    palette(data, [255, 255, 255, 0, 0, 0], (lungs() == 0).astype(np.uint8))


def coloured_palette_exchanged(data: DataSet) -> None:
    """Index 0 is red and means lung; index 1 is black."""
    palette(data, [255, 200, 200, 0, 0, 0], (lungs() == 0).astype(np.uint8))


def coloured_palette(data: DataSet) -> None:
    palette(data, [0, 0, 0, 255, 0, 0], (lungs() > 0).astype(np.uint8))


def grey_edges(data: DataSet) -> None:
    drawn = lungs()
    drawn[20, 10:30] = 128
    data.write("f0", mask=drawn)


def blurred_edges(data: DataSet) -> None:
    """Ellipses drawn at eight times the size and reduced, as an editor smooths edges."""
    large = Image.new("L", (8 * 80, 8 * 96))
    for left, right in ((10, 30), (50, 70)):
        ImageDraw.Draw(large).ellipse((8 * left, 8 * 20, 8 * right, 8 * 80), fill=255)
    large.resize((80, 96), Image.Resampling.BOX).save(data.mask("f0"))


def two_pages(data: DataSet) -> None:
    """A page for each lung, of which Pillow shows the first."""
    right, left = lungs().copy(), lungs().copy()
    right[:, 40:] = left[:, :40] = 0
    pages = [Image.fromarray(page) for page in (right, left)]
    pages[0].save(data.mask("f0"), "TIFF", save_all=True, append_images=pages[1:])


def jpeg_called_png(data: DataSet) -> None:
    Image.fromarray(lungs()).save(data.mask("f0"), "JPEG", quality=100)


def turned_film(data: DataSet) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(film(0)).save(data.image("f0"), exif=exif)


def turned_film_and_mask(data: DataSet) -> None:
    turned_film(data)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(lungs()).save(data.mask("f0"), exif=exif)


@pytest.mark.parametrize(
    ("damage", "kinds", "sound"),
    [
        (inverted, {"inverted-mask"}, False),
        (full, {"full-mask"}, False),
        (nearly_full, {"full-mask", "several-values"}, False),
        (alpha_alone, {"unreadable-mask"}, False),
        (opaque_alpha, set(), True),
        (grey_and_alpha, set(), True),
        (grey_palette_exchanged, set(), True),
        (coloured_palette_exchanged, {"bright-ground", "inverted-mask"}, False),
        (coloured_palette, set(), True),
        (grey_edges, {"undeclared-values"}, True),
        (blurred_edges, {"blurred-mask"}, False),
        (two_pages, {"unreadable-mask"}, False),
        (jpeg_called_png, {"lossy-mask"}, False),
        (turned_film, {"turned-film", "misplaced-mask"}, False),
        (turned_film_and_mask, set(), True),
    ],
)
def test_unusual_mask_files(
    data: DataSet, damage: Callable[[DataSet], None], kinds: set[str], sound: bool
) -> None:
    damage(data)
    report = data.report()
    assert {finding.kind for finding in report.findings} - {"specks", "one-piece"} == kinds
    assert {finding.where for finding in report.findings} <= {"f0"}
    assert report.passed == sound


def test_undeclared_values_are_named(data: DataSet) -> None:
    data.labels = "field=255;ignore=127"
    drawn = lungs()
    drawn[0, :4], drawn[1, :3] = 127, 64
    data.write("f0", mask=drawn)
    (finding,) = data.report().findings
    assert (finding.kind, finding.level) == ("undeclared-values", "warning")
    assert finding.detail == "f0.png holds 64; none of them is used"


def test_a_grey_palette_is_read_by_the_declared_values(data: DataSet) -> None:
    """Index 1 has the grey 255: `field=255` means the grey, and `field=1` the index."""
    for labels in ("field=255", "field=1"):
        data.labels = labels
        for number, name in reversed(list(enumerate(data.rows))):  # f0 is the last
            palette(data, [0, 0, 0, 255, 255, 255], (lungs(number) > 0).astype(np.uint8))
            data.mask("f0").rename(data.mask(name))
        assert data.report().findings == ()
