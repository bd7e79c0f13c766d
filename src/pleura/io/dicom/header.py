"""Reading a film's body part, view, side, spacing and orientation from its DICOM header.

Only attributes that describe the picture are read, none that names a person.
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
    "HeaderDoubt",
    "checked_text",
    "is_mirrored",
    "lenient_text",
    "number",
    "orientation",
    "orientation_doubts",
    "pair",
    "part_notes",
    "side_notes",
    "spacing_of",
    "view_of",
]

VIEW_CODES = {  # of CID 4010: SNOMED CT, and the older SNOMED RT
    **dict.fromkeys(("272479007", "R-40888"), "PA"),
    **dict.fromkeys(("399348003", "R-10206"), "AP"),
    **dict.fromkeys(("399173006", "R-10236"), "LL"),
    **dict.fromkeys(("399198007", "R-10232"), "RL"),
    "399067008": "LATERAL",
}
SIDES = {"R": "right", "L": "left"}

_MAGNIFICATION = "EstimatedRadiographicMagnificationFactor"
UNREADABLE = "?"
"""The value of an attribute that cannot be read."""

MAX_TEXT = 64
"""The most characters of an attribute that is read here (PS3.5 table 6.2-1)."""

MAX_NUMBER_BYTES = 1_000
"""The most bytes of a numeric attribute; a longer one is damaged, and slow to convert."""

MAX_MAGNIFICATION = 3.0
"""Larger values of EstimatedRadiographicMagnificationFactor are mistakes."""


def part_notes(dataset: Dataset) -> list[str]:
    """A note if BodyPartExamined does not name the chest."""
    value = lenient_text(dataset, "BodyPartExamined")
    if is_chest(value) and another_part(value) is None:
        return []
    if part := another_part(value):
        return [f"BodyPartExamined is {part}; the film was read because this was requested"]
    return ["BodyPartExamined is not a known value; a chest film was assumed"]


def view_of(dataset: Dataset) -> str | None:
    """`PA`, `AP`, `LL`, ... from ViewPosition, else from ViewCodeSequence.

    It is None if both are missing, or if the code states no known view.
    """
    view = lenient_text(dataset, "ViewPosition")
    if view and view != UNREADABLE:
        return view
    code = next(iter(items_of(dataset, "ViewCodeSequence")), Dataset())
    view_of_code = VIEW_CODES.get(lenient_text(code, "CodeValue"))
    if view_of_code is not None:
        return view_of_code
    meaning = lenient_text(code, "CodeMeaning").replace("-", "").replace(" ", "")
    if "OBLIQUE" in meaning:
        return "OBLIQUE"
    if "POSTEROANTERIOR" in meaning:
        return "PA"
    if "ANTEROPOSTERIOR" in meaning:
        return "AP"
    if "DECUBITUS" in meaning or "BILATERAL" in meaning:
        return None
    return "LATERAL" if "LATERAL" in meaning else None


def side_notes(dataset: Dataset) -> list[str]:
    """A note if the file states that the film shows one side of the body only."""
    for keyword in ("ImageLaterality", "Laterality"):
        side = SIDES.get(lenient_text(dataset, keyword))
        if side is not None:
            return [
                f"{keyword} says the film shows the {side} side; both lungs were segmented anyway"
            ]
    return []


def spacing_of(dataset: Dataset, notes: list[str]) -> Spacing | None:
    """The spacing and the attribute from which it comes; None if there is none.

    A spacing that is implausible for a chest film is ignored, and a note is added to `notes`.

    The first of these is used: PixelSpacing if it was calibrated (it has a calibration type, or
    differs from the detector's); ImagerPixelSpacing, divided by
    EstimatedRadiographicMagnificationFactor if there is one; PixelSpacing;
    NominalScannedPixelSpacing.
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


def checked_text(dataset: Dataset, keyword: str) -> str:
    """The value in capitals, without blanks at its ends; empty if missing.

    If the length of an element is corrupt, its value includes the bytes of the elements after it,
    possibly patient data, which must not appear in a message or a result.

    Raises:
        UnreadableFilm: the value is too long, or not printable.
    """
    value: Any = dataset.get(keyword)
    several = isinstance(value, MultiValue)
    text = "" if value is None else "\\".join(map(str, value)) if several else str(value)
    if len(text) > MAX_TEXT or not text.strip("\0").isprintable():
        raise UnreadableFilm(
            f"the DICOM attribute {keyword} holds no sensible value: the file is damaged; "
            "copy or export it again"
        )
    return text.strip("\0 ").upper()


def lenient_text(dataset: Dataset, keyword: str) -> str:
    """As `checked_text`, for attributes that are not necessary: `UNREADABLE` in place of an error.

    Text in a character set that the file does not declare, or declares wrongly, is unreadable too.
    """
    try:
        return checked_text(dataset, keyword)
    except Exception:  # pydicom raises errors of many classes for text that it cannot decode
        return UNREADABLE


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first value as a number; None if it is missing or not a number."""
    numbers = _numbers(dataset, keyword)
    return numbers[0] if numbers else None


def _numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    try:
        if raw_length(dataset, keyword) > MAX_NUMBER_BYTES:
            return ()
        value = dataset.get(keyword)
        if value is None or value == "" or isinstance(value, bytes):
            return ()
        several = not isinstance(value, str | int | float) and hasattr(value, "__iter__")
        numbers = tuple(float(item) for item in (value if several else [value]))
        return numbers if all(map(isfinite, numbers)) else ()
    except (TypeError, ValueError, OverflowError):  # not a number, contrary to the standard
        return ()


def _calibration(dataset: Dataset) -> str:
    value = lenient_text(dataset, "PixelSpacingCalibrationType")
    return "" if value == UNREADABLE else value


def _stated_spacing(dataset: Dataset) -> Spacing | None:
    calibration = _calibration(dataset)
    plain, imager = pair(dataset, "PixelSpacing"), pair(dataset, "ImagerPixelSpacing")
    if plain and (calibration or (imager and imager != plain)):
        return Spacing(*plain, "PixelSpacing" + (f"/{calibration}" if calibration else ""))
    if imager:
        factor = number(dataset, _MAGNIFICATION) or 0.0
        if 1.0 <= factor <= MAX_MAGNIFICATION:
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


_FIELD = "FieldOfView"
_SWAPPED = "the film is mirrored: right and left are swapped in it"
_UNSTATED = ", and no PatientOrientation states the position of the patient in it"


@dataclass(frozen=True, slots=True)
class HeaderDoubt:
    """A reason in the header to doubt the result."""

    code: str
    """One of `core.quality.verdict.DOUBTS`."""

    note: str
    """The text for the user."""


_MIRRORED = HeaderDoubt("said_mirrored", f"PatientOrientation says {_SWAPPED}")
_TURNED = HeaderDoubt("said_turned", "PatientOrientation says the film is not upright")


def orientation_doubts(dataset: Dataset) -> list[HeaderDoubt]:
    """Doubts if, by the header, the film is not upright with the patient's right at its left edge.

    PatientOrientation decides if it is present. Otherwise the attributes of the detector's field of
    view state whether the stored pixels were mirrored or turned with respect to the detector
    (PS3.3 C.8.11.4). They do not state the position of the patient, so they only cause a doubt; the
    film is not mirrored or rotated.
    """
    rows_run, columns_run = orientation(dataset)
    if rows_run or columns_run:
        directions = rows_run[:1] or "L", columns_run[:1] or "F"
        doubt = _MIRRORED if directions == ("R", "F") else _TURNED
        return [] if directions == ("L", "F") else [doubt]
    flip = lenient_text(dataset, f"{_FIELD}HorizontalFlip")
    turn = number(dataset, f"{_FIELD}Rotation")
    mirrored = HeaderDoubt(
        "said_mirrored", f"{_FIELD}HorizontalFlip says the detector's image was mirrored{_UNSTATED}"
    )
    turned = HeaderDoubt(
        "said_turned",
        f"{_FIELD}Rotation says the detector's image was turned by {turn} degrees{_UNSTATED}",
    )
    return [mirrored] * (flip == "YES") + [turned] * bool(turn and turn % 360)


def is_mirrored(dataset: Dataset) -> bool:
    """Whether PatientOrientation says that the film is upright, with right and left swapped."""
    rows_run, columns_run = orientation(dataset)
    return rows_run[:1] == "R" and columns_run[:1] in ("F", "")


def orientation(dataset: Dataset) -> tuple[str, str]:
    """PatientOrientation: the directions of rows and of columns; empty texts if it is missing."""
    value: Any = dataset.get("PatientOrientation") or ()
    if isinstance(value, str) or len(value) != 2:
        return "", ""
    return str(value[0]).strip().upper(), str(value[1]).strip().upper()
