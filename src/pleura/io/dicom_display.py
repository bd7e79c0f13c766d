"""How a film asks to be shown: what a presentation state repeats, so that nothing changes in it."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import DS

from pleura.io.dicom_luts import lut_table
from pleura.io.dicom_tags import number, text

__all__ = ["add_display"]

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
DEPTHS = range(8, 17)  # bits an entry of a table may have


def add_display(given: Dataset, film: Dataset) -> None:
    """Add to `film` the modality LUT, the windows and the VOI LUT of `given`, as far as valid."""
    slope, intercept = number(given, "RescaleSlope"), number(given, "RescaleIntercept")
    tables = _tables(given, "ModalityLUTSequence")
    if tables:
        tables[0].ModalityLUTType = "US"  # unspecified
        film.ModalityLUTSequence = tables[:1]
    elif slope and intercept is not None:
        film.RescaleSlope, film.RescaleIntercept = _ds(slope), _ds(intercept)
        film.RescaleType = "US"
    _add_windows(given, film)
    tables = _tables(given, "VOILUTSequence")
    if tables:
        film.VOILUTSequence = tables


def _add_windows(given: Dataset, film: Dataset) -> None:
    """The first window, as the network's reader takes it too."""
    centre, width = number(given, "WindowCenter"), number(given, "WindowWidth")
    if centre is None or width is None or width < 1:
        return
    film.WindowCenter, film.WindowWidth = _ds(centre), _ds(width)
    function = text(given, "VOILUTFunction")
    if function in FUNCTIONS:
        film.VOILUTFunction = function


def _tables(given: Dataset, keyword: str) -> list[Dataset]:
    """Items of a LUT sequence, made anew in little endian; those that make no sense left out."""
    items = given.get(keyword)
    made = (_table_item(item, given) for item in (items if isinstance(items, Sequence) else ()))
    return [item for item in made if item is not None]


def _table_item(item: Dataset, given: Dataset) -> Dataset | None:
    descriptor: Any = item.get("LUTDescriptor")
    if not isinstance(descriptor, MultiValue) or len(descriptor) != 3 or "LUTData" not in item:
        return None
    entries, first, depth = (int(each) for each in descriptor)
    big = not given.file_meta.TransferSyntaxUID.is_little_endian
    table = lut_table(item, entries or 2**16, big_endian=big, depth=depth)
    if len(table) != (entries or 2**16) or depth not in DEPTHS or table.max() >= 2**depth:
        return None
    if table.min() == table.max():  # nothing to see
        return None
    made = Dataset()
    made.add_new("LUTDescriptor", "SS" if first < 0 else "US", [entries, first, depth])
    made.add_new("LUTData", "OW", table.astype("<u2").tobytes())
    return made


def _ds(value: float) -> Any:
    return DS(value, auto_format=True)
