"""From stored DICOM values to brightness: bits, modality LUT, VOI, photometric interpretation.

What the network sees is scaled between two percentiles of the film anyway, so a linear window can
only help by clipping what lies outside the anatomy (collimator, markers), and can harm by clipping
the anatomy. Hence, after the modality LUT or rescale: the first item of VOILUTSequence is applied
whole, since its curve is how the film was meant to look; so is a SIGMOID window; a linear window
only clips, and only if it keeps at least half of the pixels. A LUT or window that leaves nothing to
see is ignored. Whatever is ignored is noted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from pleura.core.types import Mask, Pixels
from pleura.io.dicom_tags import number, word

__all__ = ["brightness", "lut_table", "stored_values"]

MOST_CLIPPED = 0.5
"""Share of the pixels that a linear window may clip."""


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
    """(H, W) stored values -> (H, W) float32, brighter = denser."""
    padding = _padding(stored, dataset)
    values = _modality(stored.astype(np.float32), dataset)
    values = _voi(values, dataset, notes)
    if _is_inverted(dataset, notes):
        values = values.max() + values.min() - values
    if padding is not None and not padding.all():
        values[padding] = values[~padding].min()
        notes.append(f"padding, {padding.mean():.0%} of the pixels, was made black")
    return values


def _padding(stored: NDArray[Any], dataset: Dataset) -> Mask | None:
    """Pixels with PixelPaddingValue, or between it and PixelPaddingRangeLimit; None if none."""
    value = number(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((value, value if limit is None else limit))
    padding: Mask = (stored >= low) & (stored <= high)
    return padding if padding.any() else None


def _modality(values: Pixels, dataset: Dataset) -> Pixels:
    tables = dataset.get("ModalityLUTSequence")
    if tables:
        return _look_up(values, tables[0], dataset)
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope in (None, 0.0, 1.0) and not intercept:
        return values
    return values * np.float32(slope or 1.0) + np.float32(intercept or 0.0)


def _voi(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    tables = dataset.get("VOILUTSequence")
    if tables:
        shown, name = _look_up(values, tables[0], dataset), "VOILUTSequence"
    else:
        shown, name = _windowed(values, dataset, notes), "the file's window"
    if shown is not values and np.ptp(shown[::4, ::4]) == 0 < np.ptp(values[::4, ::4]):
        notes.append(f"{name} leaves nothing to see; it was ignored")
        return values
    return shown


def _windowed(values: Pixels, dataset: Dataset, notes: list[str]) -> Pixels:
    """The first window applied; `values` themselves where there is none or it cuts too much."""
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return values
    function = word(dataset, "VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":  # PS3.3 C.11.2.1.3.1
        power = np.clip(-4 * (values - np.float32(centre)) / np.float32(width), -80, 80)
        curve: Pixels = 1 / (1 + np.exp(power))
        return curve
    if function == "LINEAR":  # PS3.3 C.11.2.1.2.1: the outer pixels' centres
        centre, width = centre - 0.5, width - 1
    low, high = np.float32(centre - width / 2), np.float32(centre + width / 2)
    clipped = float(np.mean((values < low) | (values > high)))
    if clipped > MOST_CLIPPED:
        notes.append(f"the file's window would cut {clipped:.0%} of the pixels; it was ignored")
        return values
    return np.clip(values, low, high)


def _look_up(values: Pixels, item: Dataset, dataset: Dataset) -> Pixels:
    """Map values through a LUT item; those below or above its range take its ends."""
    entries, first = (int(each) for each in item.LUTDescriptor[:2])
    table = lut_table(item, entries or 2**16, big_endian=_is_big_endian(dataset))
    if first >= 2**15 and values.min() < 0:  # signed, but read as unsigned
        first -= 2**16
    index = np.clip(np.rint(values) - first, 0, len(table) - 1).astype(np.intp)
    mapped: Pixels = table[index]
    return mapped


def lut_table(item: Dataset, entries: int, *, big_endian: bool) -> Pixels:
    """LUTData as float32; its VR may be US (numbers) or OW (bytes, one or two an entry)."""
    data = item.LUTData
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, dtype=np.float32))
    if len(data) < 2 * entries:
        return np.frombuffer(data, np.uint8)[:entries].astype(np.float32)
    return np.frombuffer(data, ">u2" if big_endian else "<u2")[:entries].astype(np.float32)


def _is_big_endian(dataset: Dataset) -> bool:
    return not dataset.file_meta.TransferSyntaxUID.is_little_endian


def _is_inverted(dataset: Dataset, notes: list[str]) -> bool:
    """Whether low values are bright.

    PhotometricInterpretation decides, once: PresentationLUTShape INVERSE says the same thing again
    for MONOCHROME1 (PS3.3 C.11.6) and is only compared with it.
    """
    inverted = word(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    shape = word(dataset, "PresentationLUTShape")
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != inverted:
        notes.append(
            "PresentationLUTShape contradicts PhotometricInterpretation, which was followed; "
            "look whether the lungs are dark"
        )
    return inverted
