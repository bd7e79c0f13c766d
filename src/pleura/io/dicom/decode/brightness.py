"""From stored DICOM values to brightness: bits, modality LUT, VOI, photometric interpretation.

What the network sees is scaled between two percentiles of the film anyway, so a linear window can
only help by clipping what lies outside the anatomy (collimator, markers), and can harm by clipping
the anatomy. Hence, after the modality LUT or rescale: the first item of VOILUTSequence is applied
whole, since its curve is how the film was meant to look; so is a SIGMOID window; a linear window
only clips, and only if it keeps at least half of the pixels. A LUT or window that leaves nothing to
see is ignored. Whatever is ignored is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from pleura.core.arrays import Mask, Pixels
from pleura.io.dicom.decode.luts import is_complete, look_up, luts
from pleura.io.dicom.header import number, text, word
from pleura.io.film_checks import even_sample, leaves_enough

__all__ = ["brightness", "stored_values"]

MOST_CLIPPED = 0.5
"""Share of the pixels that a linear window may clip."""

_PART = 1_000_000  # pixels

MOST_PADDING = 0.9
"""Share of the pixels that can be padding: a film of an arm in a large frame has less."""


def stored_values(dataset: Dataset) -> NDArray[Any]:
    """The pixels as stored, decompressed, sign and unused bits put right.

    (H, W) integers, or (H, W, 3) RGB.
    """
    shift = 0
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        shift = int(dataset.get("HighBit", dataset.BitsStored - 1)) + 1 - int(dataset.BitsStored)
    if shift <= 0:
        return np.asarray(pixel_array(dataset))
    raw = np.asarray(pixel_array(dataset, correct_unused_bits=False))
    unused = int(dataset.BitsAllocated) - int(dataset.BitsStored)
    # Up to the top bit, then down: the upper unused bits fall out and the sign is kept.
    return (raw << (unused - shift)) >> unused


def brightness(stored: NDArray[Any], dataset: Dataset, notes: list[str]) -> Pixels:
    """(H, W) stored values -> (H, W) float32, brighter = denser.

    Values are changed in place, part by part: of a large film there is one array of floats.
    """
    padding = _padding(stored, dataset, notes)
    values = _modality(stored.astype(np.float32), dataset, notes)
    values = _voi(values, dataset, notes)
    if _is_inverted(dataset, notes):
        np.subtract(values.max() + values.min(), values, out=values)
    if padding is not None and not padding.all():
        values[padding] = np.min(values, where=~padding, initial=np.inf)
        notes.append(f"padding, {padding.mean():.0%} of the pixels, was made black")
    return values


def _padding(stored: NDArray[Any], dataset: Dataset, notes: list[str]) -> Mask | None:
    """Pixels with PixelPaddingValue, or between it and PixelPaddingRangeLimit; None if none."""
    value = number(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(dataset, "PixelPaddingRangeLimit")
    ends = [_as_stored(end, dataset) for end in (value, value if limit is None else limit)]
    padding: Mask = (stored >= min(ends)) & (stored <= max(ends))
    if padding.mean() > MOST_PADDING:
        notes.append("PixelPaddingValue would leave nothing to see; it was ignored")
        return None
    return padding if padding.any() else None


def _as_stored(value: float, dataset: Dataset) -> float:
    """A stated value that the pixels' bits cannot hold, as the same bits read as the pixels are.

    Devices write it unsigned beside signed pixels, and the reverse.
    """
    bits, signed = int(dataset.BitsStored), bool(number(dataset, "PixelRepresentation"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    if low <= value < high:
        return value
    return float((int(value) - low) % 2**bits + low)


def _modality(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    shown = _first_of_use(values, dataset, "ModalityLUTSequence", notes)
    if shown is not None:
        return shown
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope in (None, 0.0, 1.0) and not intercept:
        return values
    values *= np.float32(slope or 1.0)
    values += np.float32(intercept or 0.0)
    return values


def _voi(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    shown = _first_of_use(values, dataset, "VOILUTSequence", notes)
    return _windowed(values, dataset, notes) if shown is None else shown


def _first_of_use(
    values: Pixels, dataset: Dataset, keyword: str, notes: list[str]
) -> Pixels | None:
    """The first LUT of a sequence that leaves something to see, applied; None without one."""
    for lut in luts(dataset, keyword):
        if lut is None:
            notes.append(f"{keyword} holds no table; it was ignored")
            continue
        if not is_complete(values, lut):
            notes.append(f"{keyword} lacks entries that the film needs; it was ignored")
            continue
        apply = look_up(values, lut)
        if _leaves_enough(values, apply):
            return _apply(values, apply)
        notes.append(f"{keyword} leaves nothing to see; it was ignored")
    return None


def _windowed(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    """The first window applied; `values` themselves where there is none or it cuts too much."""
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return values
    function = text(dataset, "VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":  # PS3.3 C.11.2.1.3.1
        curve = _sigmoid(np.float32(centre), np.float32(width))
        if _leaves_enough(values, curve):
            return _apply(values, curve)
        notes.append("the file's window leaves nothing to see; it was ignored")
        return values
    if function == "LINEAR":  # PS3.3 C.11.2.1.2.1: the outer pixels' centres
        centre, width = centre - 0.5, width - 1
    low, high = np.float32(centre - width / 2), np.float32(centre + width / 2)
    outside = sum(int(((part < low) | (part > high)).sum()) for part in _parts(values))
    clipped = outside / values.size
    if clipped > MOST_CLIPPED:
        notes.append(f"the file's window would cut {clipped:.0%} of the pixels; it was ignored")
        return values
    return np.clip(values, low, high, out=values)


def _sigmoid(centre: np.float32, width: np.float32) -> Callable[[Pixels], Pixels]:
    def curve(part: Pixels) -> Pixels:
        power = np.clip(-4 * (part - centre) / width, -80, 80)
        curved: Pixels = 1 / (1 + np.exp(power))
        return curved

    return curve


def _leaves_enough(values: Pixels, change: Callable[[Pixels], Pixels]) -> bool:
    """`leaves_enough`, judged by a sample before all values are changed."""
    sample = even_sample(values)
    return leaves_enough(sample, change(sample))


def _apply(values: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    """All values changed, in place."""
    for part in _parts(values):
        part[:] = change(part)
    return values


def _parts(values: Pixels) -> Iterator[Pixels]:
    """Rows of (H, W) values, about `_PART` pixels at a time, to be changed in place."""
    rows = max(1, _PART // values.shape[1])
    return (values[top : top + rows] for top in range(0, len(values), rows))


def _is_inverted(dataset: Dataset, notes: list[str]) -> bool:
    """Whether low values are bright.

    PhotometricInterpretation decides, once: PresentationLUTShape INVERSE says the same thing again
    for MONOCHROME1 (PS3.3 C.11.6) and is only compared with it.
    """
    inverted = word(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    shape = text(dataset, "PresentationLUTShape")
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != inverted:
        notes.append(
            "PresentationLUTShape contradicts PhotometricInterpretation, which was followed; "
            "look whether the lungs are dark"
        )
    return inverted
