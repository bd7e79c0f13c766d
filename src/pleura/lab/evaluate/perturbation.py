"""Perturbations of a film and its label masks: rotation, contrast, gamma, size and others.

A perturbation changes the film's own pixels, before they are fitted or scaled, and is not random.
If it moves the picture, it moves the label mask in the same way. If it changes the greys, the mask
does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pleura.core.arrays import Mask, Pixels
from pleura.core.types import Radiograph, Spacing
from pleura.lab.data.film import Labels

__all__ = ["PERTURBATIONS", "UNPERTURBED", "Perturbation"]

GREYS = 255
"""The largest grey of an 8-bit film; the contrast that rounding to 8 bits removes is lost."""

Floats = NDArray[np.float32]


def _same_pixels(pixels: Pixels) -> Pixels:
    return pixels


def _same_size(size: tuple[int, int]) -> tuple[int, int]:
    return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """A perturbation: it changes the greys, then resizes, mirrors and rotates the picture."""

    name: str
    title: str
    greys: Callable[[Pixels], Pixels] = _same_pixels
    """Pixels (H, W) -> pixels (H, W)."""

    resize: Callable[[tuple[int, int]], tuple[int, int]] = _same_size
    """The size (H, W) of the film -> its new size."""

    mirrored: bool = False
    turned_deg: float = 0.0
    """Anticlockwise rotation about the middle. The size stays, and corners are cut off."""

    def film(self, radiograph: Radiograph) -> Radiograph:
        """The perturbed film. Its spacing follows the resizing; None if unequal and rotated."""
        before, after = radiograph.size, self.resize(radiograph.size)
        pixels = _resized(self.greys(radiograph.pixels), after)
        moved = self._moved(pixels, fill=float(pixels.min()))
        return replace(
            radiograph,
            pixels=np.ascontiguousarray(moved, np.float32),
            spacing=self._spacing(radiograph.spacing, before, after),
        )

    def labels(self, labels: Labels, film: tuple[int, int]) -> Labels:
        """The perturbed label masks of a film that had the size `film` (H, W) before.

        Masks keep their size, unless the film is resized: then they have the film's new size.
        """
        after = self.resize(film)
        size = labels.size if after == film else after
        ignore = None if labels.ignore is None else self._mask(labels.ignore, size)
        targets = {name: self._mask(mask, size) for name, mask in labels.targets.items()}
        return Labels(MappingProxyType(targets), ignore)

    def _mask(self, mask: Mask, size: tuple[int, int]) -> Mask:
        """A moved mask; a pixel belongs to it if at least half of the pixel is covered."""
        moved: Mask = self._moved(_resized(mask.astype(np.float32), size), fill=0.0) >= 0.5
        return moved

    def _moved(self, picture: Floats, *, fill: float) -> Floats:
        if self.mirrored:
            picture = picture[:, ::-1]
        if self.turned_deg:
            turned: Floats = ndimage.rotate(
                picture, self.turned_deg, reshape=False, order=1, mode="constant", cval=fill
            )
            return turned
        return picture

    def _spacing(
        self, known: Spacing | None, before: tuple[int, int], after: tuple[int, int]
    ) -> Spacing | None:
        if known is None or (self.turned_deg and known.row_mm != known.col_mm):
            return None
        row_scale, col_scale = before[0] / after[0], before[1] / after[1]
        return Spacing(known.row_mm * row_scale, known.col_mm * col_scale, known.source)


def _resized(picture: Floats, size: tuple[int, int]) -> Floats:
    """The picture at another size (H, W), by bilinear interpolation with antialiasing."""
    if picture.shape == size:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture, np.float32))
    resized: Floats = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
    return resized


def inverted(pixels: Pixels) -> Pixels:
    """Inverted greys, as of a MONOCHROME1 film without its tag: brightest + darkest - x."""
    result: Pixels = pixels.max() + pixels.min() - pixels
    return result


def contrasted(pixels: Pixels, factor: float) -> Pixels:
    """Greys `factor` times as far from their mean, clipped to the film's range, in 8 bits."""

    def change(share: Floats) -> Floats:
        changed: Floats = share.mean() + factor * (share - share.mean())
        return changed

    return _change_greys(pixels, change)


def gamma(pixels: Pixels, power: float) -> Pixels:
    """Each grey, as a share of the film's range, to a power, in 8 bits; above 1 darkens."""
    return _change_greys(pixels, lambda share: share**power)


def _change_greys(pixels: Pixels, change: Callable[[Floats], Floats]) -> Pixels:
    """Change the greys as shares of the film's range, and round them to 8 bits."""
    low, high = float(pixels.min()), float(pixels.max())
    if high == low:
        return pixels
    share = np.clip(change((pixels - low) / (high - low)), 0, 1)
    stored: Pixels = (low + (high - low) * np.rint(share * GREYS) / GREYS).astype(np.float32)
    return stored


def longer_side(size: tuple[int, int], *, to: int) -> tuple[int, int]:
    """(H, W) whose longer side is `to` pixels, in the same aspect."""
    scale = to / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def wider(size: tuple[int, int], *, factor: float) -> tuple[int, int]:
    """(H, W) with `factor` times as many columns, so that pixels are not square."""
    return size[0], max(round(size[1] * factor), 1)


def _resizes(
    name: str,
    title: str,
    values: Iterable[float],
    *,
    by: Callable[[Any], Callable[[tuple[int, int]], tuple[int, int]]],
) -> Iterator[Perturbation]:
    """One perturbation for each value; `title` has a place for it, and `by` makes the resizing."""
    for value in values:
        yield Perturbation(name=f"{name}_{value:g}", title=title.format(value), resize=by(value))


UNPERTURBED = Perturbation(name="none", title="as it is")

PERTURBATIONS = (
    Perturbation(name="mirrored", title="mirrored left to right", mirrored=True),
    Perturbation(name="inverted", title="greys inverted", greys=inverted),
    *(
        Perturbation(name=f"turned_{degrees:+d}", title=f"turned {degrees:+d}°", turned_deg=degrees)
        for degrees in (-15, -10, -5, 5, 10, 15)
    ),
    *(
        Perturbation(
            name=f"contrast_{factor:g}",
            title=f"contrast x {factor:g}",
            greys=partial(contrasted, factor=factor),
        )
        for factor in (0.5, 2.0)
    ),
    *(
        Perturbation(
            name=f"gamma_{power:g}", title=f"gamma {power:g}", greys=partial(gamma, power=power)
        )
        for power in (0.5, 2.0)
    ),
    *_resizes(
        "longer_side",
        "longer side {:g} px",
        (128, 4000),
        by=lambda to: partial(longer_side, to=to),
    ),
    *_resizes(
        "wider",
        "width x {:g}",
        (0.7, 0.85, 1.2, 1.4),
        by=lambda factor: partial(wider, factor=factor),
    ),
)
"""In the order of the report's table."""
