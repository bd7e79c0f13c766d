"""Converting stored DICOM values to brightness: modality LUT, window or VOI LUT, MONOCHROME1.

The network's input is scaled between two percentiles of the film. So a linear window helps only if
it clips pixels outside the anatomy (collimator, markers), and harms if it clips the anatomy. After
the modality LUT or rescale, the first usable item of VOILUTSequence is applied, or a SIGMOID
window. A linear window only clips, and only if it keeps at least half of the pixels. A LUT or
window that leaves no detail is ignored, with a note.
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
from pleura.io.dicom.header import checked_text, lenient_text, number
from pleura.io.film_checks import even_sample, keeps_detail

__all__ = ["brightness", "stored_values"]

MAX_CLIPPED = 0.5
"""Share of the pixels that a linear window may clip."""

_PART = 1_000_000  # pixels that are changed at a time

MAX_PADDING = 0.9
"""The largest share of the pixels that can be padding."""


def stored_values(dataset: Dataset) -> NDArray[Any]:
    """The stored pixels, decompressed: (H, W) integers, or (H, W, 3) RGB.

    Unused bits are removed and the sign is kept.
    """
    shift = 0
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        shift = int(dataset.get("HighBit", dataset.BitsStored - 1)) + 1 - int(dataset.BitsStored)
    if shift <= 0:
        return np.asarray(pixel_array(dataset))
    raw = np.asarray(pixel_array(dataset, correct_unused_bits=False))
    unused = int(dataset.BitsAllocated) - int(dataset.BitsStored)
    # Shift left to the top bit, then right: this removes unused bits and keeps the sign.
    return (raw << (unused - shift)) >> unused


def brightness(stored: NDArray[Any], dataset: Dataset, notes: list[str]) -> Pixels:
    """(H, W) stored values -> (H, W) float32, brighter = denser.

    Values are changed in place, part by part, so that there is one array of floats only.
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
    """The pixels from PixelPaddingValue to PixelPaddingRangeLimit; None if there are none."""
    value = number(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(dataset, "PixelPaddingRangeLimit")
    ends = [_as_stored(end, dataset) for end in (value, value if limit is None else limit)]
    padding: Mask = (stored >= min(ends)) & (stored <= max(ends))
    if padding.mean() > MAX_PADDING:
        notes.append("PixelPaddingValue would leave nothing to see; it was ignored")
        return None
    return padding if padding.any() else None


def _as_stored(value: float, dataset: Dataset) -> float:
    """`value` in the pixels' own sign: its bits are read as those of the pixels are.

    Devices write an unsigned value for signed pixels, and the reverse.
    """
    bits, signed = int(dataset.BitsStored), bool(number(dataset, "PixelRepresentation"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    if low <= value < high:
        return value
    return float((int(value) - low) % 2**bits + low)


def _modality(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    mapped = _first_usable_lut(values, dataset, "ModalityLUTSequence", notes)
    if mapped is not None:
        return mapped
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope in (None, 0.0, 1.0) and not intercept:
        return values
    values *= np.float32(slope or 1.0)
    values += np.float32(intercept or 0.0)
    return values


def _voi(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    mapped = _first_usable_lut(values, dataset, "VOILUTSequence", notes)
    return _windowed(values, dataset, notes) if mapped is None else mapped


def _first_usable_lut(
    values: Pixels, dataset: Dataset, keyword: str, notes: list[str]
) -> Pixels | None:
    """Apply the first LUT of a sequence that keeps enough detail; None if there is none."""
    for lut in luts(dataset, keyword):
        if lut is None:
            notes.append(f"{keyword} holds no table; it was ignored")
            continue
        if not is_complete(values, lut):
            notes.append(f"{keyword} lacks entries that the film needs; it was ignored")
            continue
        apply = look_up(values, lut)
        if _keeps_detail(values, apply):
            return _apply(values, apply)
        notes.append(f"{keyword} leaves nothing to see; it was ignored")
    return None


def _windowed(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    """Apply the first window; `values` are unchanged without one, or if it clips too much."""
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return values
    function = lenient_text(dataset, "VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":  # PS3.3 C.11.2.1.3.1
        curve = _sigmoid(np.float32(centre), np.float32(width))
        if _keeps_detail(values, curve):
            return _apply(values, curve)
        notes.append("the file's window leaves nothing to see; it was ignored")
        return values
    if function == "LINEAR":  # PS3.3 C.11.2.1.2.1: the outer pixels' centres
        centre, width = centre - 0.5, width - 1
    low, high = np.float32(centre - width / 2), np.float32(centre + width / 2)
    outside = sum(np.count_nonzero((part < low) | (part > high)) for part in _parts(values))
    clipped = outside / values.size
    if clipped > MAX_CLIPPED:
        notes.append(f"the file's window would cut {clipped:.0%} of the pixels; it was ignored")
        return values
    return np.clip(values, low, high, out=values)


def _sigmoid(centre: np.float32, width: np.float32) -> Callable[[Pixels], Pixels]:
    def curve(part: Pixels) -> Pixels:
        power = np.clip(-4 * (part - centre) / width, -80, 80)
        curved: Pixels = 1 / (1 + np.exp(power))
        return curved

    return curve


def _keeps_detail(values: Pixels, change: Callable[[Pixels], Pixels]) -> bool:
    """Whether `change` keeps enough detail, measured on a sample of the values."""
    sample = even_sample(values)
    return keeps_detail(sample, change(sample))


def _apply(values: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    """Change all values, in place."""
    for part in _parts(values):
        part[:] = change(part)
    return values


def _parts(values: Pixels) -> Iterator[Pixels]:
    """Views of some rows of (H, W) values, about `_PART` pixels each."""
    rows = max(1, _PART // values.shape[1])
    return (values[top : top + rows] for top in range(0, len(values), rows))


def _is_inverted(dataset: Dataset, notes: list[str]) -> bool:
    """Whether low values are bright, as in MONOCHROME1.

    PhotometricInterpretation decides. PresentationLUTShape INVERSE repeats it for MONOCHROME1
    (PS3.3 C.11.6), so it is only compared.
    """
    inverted = checked_text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    shape = lenient_text(dataset, "PresentationLUTShape")
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != inverted:
        notes.append(
            "PresentationLUTShape contradicts PhotometricInterpretation, which was followed; "
            "check that the lungs are dark"
        )
    return inverted
