"""What all DICOM results share: UIDs, series, equipment, codes and remarks."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any
from uuid import UUID, uuid5

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from pleura.core.arrays import Definition, Verdict
from pleura.core.masks.overlay import HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.core.types import Provenance, Segmentation
from pleura.io.images.write_masks import HEART, LEFT, RIGHT

__all__ = [
    "AI",
    "ANATOMY",
    "BOTH_SIDES",
    "COLOURS",
    "DEFINED_AS",
    "LABELS",
    "MAKER",
    "NOT_FOR_DIAGNOSIS",
    "OUR_SCHEME",
    "PARTS",
    "PLAIN_FILM",
    "SAID",
    "SIDES",
    "comment",
    "lossy_as",
    "parameters",
    "remarks",
    "result_uid",
    "series_suffix",
    "stamp",
    "stamp_of",
]


MAKER = "Pleura"
"""Manufacturer, model and algorithm name, by which results are recognised when they come back."""

NOT_FOR_DIAGNOSIS = "Lungs found by software; not for primary diagnosis"
DEFINED_AS: dict[Definition, str] = {
    "field": "lung field: heart and mediastinum left out",
    "whole": "whole lung: the part behind the heart included",
}
_NAMES = UUID("5f0a4d0e-9f0b-5c0e-8c39-0a3b1c6d7e21")  # our own space of names, for uuid5
_SERIES = {  # format -> series number, and description; high numbers sort behind the films
    "dicom-seg": (9001, "Lungs"),
    "dicom-seg-fractional": (9002, "Lung probabilities"),
    "dicom-seg-labelmap": (9003, "Lungs, label map"),
    "dicom-sr": (9004, "Lung measurements"),
    "dicom-sc": (9005, "Lung overlay"),
    "dicom-gsps": (9006, "Lung outlines"),
}


def result_uid(film_uid: str, made_by: Provenance, name: str) -> UID:
    """The SOPInstanceUID of the result `name` of a film; the same whenever it is made again.

    It follows from the film's UID, the version of Pleura, the weights' hash, the engine, the
    definition of lung and whether the film was mirrored, so that a second run makes no second set,
    and other weights never reuse a UID. A UUID of RFC 9562's version 5 under 2.25, as PS3.5 B.2
    has it.
    """
    *made, flip = astuple(made_by)
    told = "\n".join((film_uid, *map(str, made), *(["flip"] if flip else []), name))
    return UID(f"2.25.{uuid5(_NAMES, told).int}")


def stamp(film_uid: str, found: Segmentation, name: str) -> dict[str, Any]:
    """The arguments that highdicom's objects share: instance, series, equipment."""
    return stamp_of(film_uid, found.provenance, name, suffix=series_suffix(found))


def stamp_of(film_uid: str, made_by: Provenance, name: str, *, suffix: str) -> dict[str, Any]:
    """As `stamp`, of what has no result; `suffix` ends the series description."""
    number, description = _SERIES[name.partition("+")[0]]
    return {
        "sop_instance_uid": result_uid(film_uid, made_by, name),
        "instance_number": 1,
        "series_instance_uid": result_uid(film_uid, made_by, f"{name}/series"),
        "series_number": number,
        "series_description": f"{MAKER}: {description}{suffix}",
        "manufacturer": MAKER,
        "manufacturer_model_name": MAKER,
        "software_versions": made_by.version,
        "device_serial_number": made_by.weights_sha256[:16],
    }


def parameters(made_by: Provenance) -> dict[str, str]:
    """The algorithm's parameters: weights, their hash, definition, engine, and flip if it is on."""
    return {
        "weights": made_by.weights_name.replace(",", " "),
        "weights_sha256": made_by.weights_sha256,
        "definition": made_by.definition,
        "engine": made_by.engine,
        **({"flip": "on"} if made_by.flip else {}),
    }


def lossy_as(film: Dataset, image: Dataset) -> None:
    """Copy the film's attributes of lossy compression to `image`, in place."""
    image.LossyImageCompression = film.LossyImageCompression
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in film:
            setattr(image, keyword, film[keyword].value)


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


SAID: dict[Verdict, str] = {
    "ok": "Pleura's own verdict: ok.",
    "review": "Pleura's own verdict: please review before use.",
    "refused": "Pleura's own verdict: refused, do not use.",
}
_SUFFIXES: dict[Verdict, str] = {
    "ok": "",
    "review": " (please review)",
    "refused": " (REFUSED, do not use)",
}


def series_suffix(found: Segmentation) -> str:
    """The end of a series description; it warns unless the verdict is `ok`."""
    return _SUFFIXES[found.quality.verdict]


def remarks(found: Segmentation) -> list[str]:
    """All text that belongs to a result: verdict, reasons to doubt, notes."""
    return [
        SAID[found.quality.verdict],
        *(doubt.text for doubt in found.quality.doubts),
        *dict.fromkeys(found.notes),
    ]


def comment(image: Dataset, found: Segmentation) -> None:
    """Put the remarks on an image, in place: ImageComments holds 10,240 characters (LT)."""
    lines = (text if text.endswith(".") else f"{text}." for text in remarks(found))
    image.ImageComments = "\r\n".join(lines)[:10_240]
