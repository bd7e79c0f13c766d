"""The codes of every DICOM result, once: SNOMED CT, DCM, UCUM, and our own where there are none."""

from __future__ import annotations

from pydicom.sr.coding import Code

from pleura.core.masks.overlay import HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.io.masks import HEART, LEFT, RIGHT

__all__ = [
    "AI",
    "ANATOMY",
    "BOTH_SIDES",
    "COLOURS",
    "LABELS",
    "OUR_SCHEME",
    "PARTS",
    "PLAIN_FILM",
    "SIDES",
]

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
_LUNG = Code("39607008", "SCT", "Lung")
PARTS = {RIGHT: _LUNG, LEFT: _LUNG, HEART: Code("80891009", "SCT", "Heart")}
"""By segment number, which is the label map's value."""

SIDES = {RIGHT: Code("24028007", "SCT", "Right"), LEFT: Code("7771000", "SCT", "Left")}
"""By segment number; they modify the lung's code."""

BOTH_SIDES = Code("51440002", "SCT", "Right and left")
LABELS = {RIGHT: "Right lung", LEFT: "Left lung", HEART: "Heart"}
COLOURS = {RIGHT: RIGHT_COLOUR, LEFT: LEFT_COLOUR, HEART: HEART_COLOUR}
AI = Code("123110", "DCM", "Artificial Intelligence")
PLAIN_FILM = Code("399208008", "SCT", "Plain chest X-ray")

OUR_SCHEME = "99PLEURA"
"""For what no public scheme has a code that we could confirm: the cardiothoracic ratio of widths
(LOINC's are of areas and circumferences of a fetal heart), and the ratio of the lungs' areas."""
