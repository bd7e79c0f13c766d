"""The coded concepts of DICOM results: of SNOMED CT, DICOM and UCUM, and Pleura's own."""

from __future__ import annotations

from pydicom.sr.coding import Code

from pleura.core.arrays import Verdict
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = [
    "AI",
    "ANATOMY",
    "AREA",
    "BOTH_SIDES",
    "CARDIOTHORACIC",
    "CM2",
    "COMMENT",
    "DOUBT",
    "ESTIMATED_DICE",
    "FAILED",
    "MODALITIES",
    "OUR_SCHEME",
    "PARTS",
    "PIXELS",
    "PLAIN_FILM",
    "PROCEDURE",
    "RADIOGRAPH",
    "RATIO",
    "RIGHT_TO_LEFT",
    "SIDES",
    "VERDICT",
    "VERDICTS",
]

OUR_SCHEME = "99PLEURA"
"""Pleura's own coding scheme, for concepts without a public code: the cardiothoracic ratio of
widths (LOINC has those of areas and circumferences of a fetal heart), and the ratio of the lungs'
areas."""

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
_LUNG = Code("39607008", "SCT", "Lung")
PARTS = {RIGHT: _LUNG, LEFT: _LUNG, HEART: Code("80891009", "SCT", "Heart")}
"""Code by segment number, which is the value in the label map."""

SIDES = {RIGHT: Code("24028007", "SCT", "Right"), LEFT: Code("7771000", "SCT", "Left")}
"""Code by segment number; it modifies the lung's code."""

BOTH_SIDES = Code("51440002", "SCT", "Bilateral")
AI = Code("123110", "DCM", "Artificial Intelligence")
PLAIN_FILM = Code("399208008", "SCT", "Plain chest X-ray")

COMMENT = Code("121106", "DCM", "Comment")
PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
"""The only code of CID 100, from which TID 1500 takes the procedure, that covers chest films. The
report's PerformedProcedureCodeSequence has the code of a chest film."""

RADIOGRAPH = Code("RG", "DCM", "Radiographic imaging")
MODALITIES = {
    "CR": Code("CR", "DCM", "Computed Radiography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
}
"""Code of CID 29 by Modality; films of other modalities, such as OT, are `RADIOGRAPH`."""

AREA = Code("42798000", "SCT", "Area")
CARDIOTHORACIC = Code("cardiothoracic", OUR_SCHEME, "Cardiothoracic ratio of widths")
ESTIMATED_DICE = Code("estimated-dice", OUR_SCHEME, "Estimated Dice with a reader's outline")
VERDICT = Code("verdict", OUR_SCHEME, "Verdict of the software on its own result")
VERDICTS: dict[Verdict, Code] = {
    "ok": Code("ok", OUR_SCHEME, "No reason to doubt it was found"),
    "review": Code("review", OUR_SCHEME, "To be reviewed before use"),
    "refused": Code("refused", OUR_SCHEME, "Not to be used"),
}
DOUBT = Code("doubt", OUR_SCHEME, "Reason to doubt the result")
RIGHT_TO_LEFT = Code("right-over-left", OUR_SCHEME, "Area of right lung over left lung")
PIXELS = Code("{pixels}", "UCUM", "pixels")
CM2 = Code("cm2", "UCUM", "square centimeter")
RATIO = Code("{ratio}", "UCUM", "ratio")
FAILED = Code("failed", OUR_SCHEME, "Not segmented")
