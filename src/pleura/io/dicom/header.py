"""Reading a film's properties from its DICOM header: kind, view, side, orientation, spacing.

Only attributes that describe the picture are read, and none that names a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pleura.core.errors import UnreadableFilm
from pleura.core.types import Spacing
from pleura.io.dicom.body_parts import another_part, is_chest
from pleura.io.dicom.parse import items_of, raw_length
from pleura.io.film_checks import plausible_spacing

__all__ = [
    "Doubted",
    "number",
    "orientation",
    "orientation_doubts",
    "pair",
    "part_notes",
    "side_notes",
    "spacing_of",
    "text",
    "view_of",
    "word",
]

VIEW_CODES = {  # of CID 4010, in SNOMED CT and in its older form
    **dict.fromkeys(("272479007", "R-40888"), "PA"),
    **dict.fromkeys(("399348003", "R-10206"), "AP"),
    **dict.fromkeys(("399173006", "R-10236"), "LL"),
    **dict.fromkeys(("399198007", "R-10232"), "RL"),
    "399067008": "LATERAL",
}
SIDES = {"R": "right", "L": "left"}


@dataclass(frozen=True, slots=True)
class Doubted:
    """A reason to doubt the result, found in the header."""

    code: str
    """One of `core.quality.verdict.DOUBTS`."""

    note: str
    """What the file says, for the user to read."""


_FIELD = "FieldOfView"
_SWAPPED = "the film is mirrored: right and left are swapped in it"
_MIRRORED = Doubted("said_mirrored", f"PatientOrientation says {_SWAPPED}")
_TURNED = Doubted("said_turned", "PatientOrientation says the film does not stand upright")
_MAGNIFICATION = "EstimatedRadiographicMagnificationFactor"
UNREADABLE = "?"
"""Stands for a value that is there and cannot be read."""

LONGEST_WORD = 64
"""Characters; no attribute read here may have more (PS3.5 table 6.2-1)."""

MOST_NUMBER_BYTES = 1_000
"""Of an attribute that holds a number or a few; a longer one is damaged, and slow to convert."""

MOST_MAGNIFICATION = 3.0
"""Larger values of EstimatedRadiographicMagnificationFactor are mistakes."""


def part_notes(dataset: Dataset) -> list[str]:
    """A note where BodyPartExamined does not say that the film shows the chest."""
    said = text(dataset, "BodyPartExamined")
    if is_chest(said) and another_part(said) is None:
        return []
    if part := another_part(said):
        return [f"BodyPartExamined is {part}; the film was read because that was asked for"]
    return ["BodyPartExamined is no word known here; the film was taken for one of the chest"]


def view_of(dataset: Dataset) -> str | None:
    """`PA`, `AP`, `LL`, ... from ViewPosition, else from the view's code; None without either."""
    view = text(dataset, "ViewPosition")
    if view and view != UNREADABLE:
        return view
    code = next(iter(items_of(dataset, "ViewCodeSequence")), Dataset())
    coded = VIEW_CODES.get(text(code, "CodeValue"))
    if coded is not None:
        return coded
    meaning = text(code, "CodeMeaning").replace("-", "").replace(" ", "")
    if "OBLIQUE" in meaning:
        return "OBLIQUE"
    if "POSTEROANTERIOR" in meaning:
        return "PA"
    if "ANTEROPOSTERIOR" in meaning:
        return "AP"
    if "DECUBITUS" in meaning or "BILATERAL" in meaning:
        return None
    return "LATERAL" if "LATERAL" in meaning else None


def orientation_doubts(dataset: Dataset) -> list[Doubted]:
    """Where the header contradicts the usual position: upright, the patient's right on the left.

    PatientOrientation decides where it is there. Without it, the attributes of the detector's field
    of view show whether the film was flipped or turned.
    """
    rows_run, columns_run = orientation(dataset)
    if rows_run or columns_run:
        lies = rows_run[:1] or "L", columns_run[:1] or "F"
        doubted = _MIRRORED if lies == ("R", "F") else _TURNED
        return [] if lies == ("L", "F") else [doubted]
    flip, turn = text(dataset, f"{_FIELD}HorizontalFlip"), number(dataset, f"{_FIELD}Rotation")
    mirrored = Doubted("said_mirrored", f"{_FIELD}HorizontalFlip says {_SWAPPED}")
    turned = Doubted("said_turned", f"{_FIELD}Rotation says the film was turned by {turn} degrees")
    return [mirrored] * (flip == "YES") + [turned] * bool(turn and turn % 360)


def side_notes(dataset: Dataset) -> list[str]:
    """A note where the file says that the film shows one side of the body only."""
    for keyword in ("ImageLaterality", "Laterality"):
        side = SIDES.get(text(dataset, keyword))
        if side is not None:
            return [f"{keyword} says the film shows the {side} side; both lungs were looked for"]
    return []


def spacing_of(dataset: Dataset, notes: list[str]) -> Spacing | None:
    """Spacing and the attribute it comes from; what no chest could have is left out with a note.

    PixelSpacing where it was calibrated (it has a calibration type, or differs from the
    detector's); else ImagerPixelSpacing, divided by EstimatedRadiographicMagnificationFactor where
    there is one; else PixelSpacing, else NominalScannedPixelSpacing.
    """
    spacing = _stated_spacing(dataset)
    size = int(dataset.Rows), int(dataset.Columns)
    if spacing is not None and not plausible_spacing(spacing, size=size):
        notes.append(
            f"{spacing.source} of {spacing.row_mm:g} x {spacing.col_mm:g} mm would make a film of "
            f"{size[0] * spacing.row_mm:.4g} x {size[1] * spacing.col_mm:.4g} mm; it was ignored"
        )
        return None
    return spacing


def word(dataset: Dataset, keyword: str) -> str:
    """The value in capitals, without blanks at its ends; empty if missing.

    Raises `UnreadableFilm` for a value that cannot be one: where a length is damaged, a value runs
    on into its neighbours, and must get neither into a message nor into a result.
    """
    value: Any = dataset.get(keyword)
    several = isinstance(value, MultiValue)
    text = "" if value is None else "\\".join(map(str, value)) if several else str(value)
    if len(text) > LONGEST_WORD or not text.strip("\0").isprintable():
        raise UnreadableFilm(
            f"the DICOM attribute {keyword} holds no sensible value: the file is damaged; "
            "copy or export it again"
        )
    return text.strip("\0 ").upper()


def text(dataset: Dataset, keyword: str) -> str:
    """As `word`, for what a film can be read without: `UNREADABLE` in place of an error.

    It is so for text in a character set that the file does not declare, or declares wrongly.
    """
    try:
        return word(dataset, keyword)
    except Exception:  # pydicom's errors for text that cannot be decoded are of many classes
        return UNREADABLE


def number(dataset: Dataset, keyword: str) -> float | None:
    """The (first) value as a number; None if missing or no number."""
    found = _numbers(dataset, keyword)
    return found[0] if found else None


def _numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    try:
        if raw_length(dataset, keyword) > MOST_NUMBER_BYTES:
            return ()
        value = dataset.get(keyword)
        if value is None or value == "" or isinstance(value, bytes):
            return ()
        several = not isinstance(value, str | int | float) and hasattr(value, "__iter__")
        numbers = tuple(float(each) for each in (value if several else [value]))
        return numbers if all(map(isfinite, numbers)) else ()
    except (TypeError, ValueError, OverflowError):  # no number, although the standard asks for one
        return ()


def _calibration(dataset: Dataset) -> str:
    said = text(dataset, "PixelSpacingCalibrationType")
    return "" if said == UNREADABLE else said


def _stated_spacing(dataset: Dataset) -> Spacing | None:
    calibration = _calibration(dataset)
    plain, imager = (pair(dataset, each) for each in ("PixelSpacing", "ImagerPixelSpacing"))
    if plain and (calibration or (imager and imager != plain)):
        return Spacing(*plain, "PixelSpacing" + (f"/{calibration}" if calibration else ""))
    if imager:
        factor = number(dataset, _MAGNIFICATION) or 0.0
        if 1.0 <= factor <= MOST_MAGNIFICATION:
            row_mm, col_mm = imager
            return Spacing(row_mm / factor, col_mm / factor, f"ImagerPixelSpacing/{_MAGNIFICATION}")
        return Spacing(*imager, "ImagerPixelSpacing")
    scanned = pair(dataset, "NominalScannedPixelSpacing")
    if plain:
        return Spacing(*plain, "PixelSpacing")
    return Spacing(*scanned, "NominalScannedPixelSpacing") if scanned else None


def pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """(between rows, between columns) in mm; None unless both are positive and finite."""
    values = _numbers(dataset, keyword)
    if len(values) != 2 or min(values) <= 0:
        return None
    return values[0], values[1]


def orientation(dataset: Dataset) -> tuple[str, str]:
    """PatientOrientation: the directions of rows and of columns; empty if it is missing."""
    value: Any = dataset.get("PatientOrientation") or ()
    if isinstance(value, str) or len(value) != 2:
        return "", ""
    return str(value[0]).strip().upper(), str(value[1]).strip().upper()
