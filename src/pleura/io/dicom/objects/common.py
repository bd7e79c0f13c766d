"""The parts that all DICOM results share: UIDs, series, equipment, codes and remarks."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pleura.core.arrays import Definition, Verdict
from pleura.core.masks.overlay import HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.core.types import Provenance, Segmentation
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = [
    "COLOURS",
    "DEFINITION_TEXTS",
    "LABELS",
    "MAKER",
    "NOT_FOR_DIAGNOSIS",
    "VERDICT_TEXTS",
    "add_remarks",
    "common_arguments",
    "copy_lossy_compression",
    "parameters",
    "remarks",
    "result_uid",
    "series_arguments",
    "series_suffix",
]


MAKER = "Pleura"
"""Manufacturer, model and algorithm name; a result that is received is recognised by it."""

NOT_FOR_DIAGNOSIS = "Lungs segmentation by software; not for primary diagnosis"
DEFINITION_TEXTS: dict[Definition, str] = {
    "field": "lung field: heart and mediastinum left out",
    "whole": "whole lung: the part behind the heart included",
}
_NAMES = UUID("5f0a4d0e-9f0b-5c0e-8c39-0a3b1c6d7e21")  # Pleura's own namespace for uuid5
_SERIES = {  # format -> series number and description; viewers list high numbers last
    "dicom-seg": (9001, "Lungs"),
    "dicom-seg-fractional": (9002, "Lung probabilities"),
    "dicom-seg-labelmap": (9003, "Lungs, label map"),
    "dicom-sr": (9004, "Lung measurements"),
    "dicom-sc": (9005, "Lung overlay"),
    "dicom-gsps": (9006, "Lung outlines"),
    "dicom-kos": (9007, "List of results"),
}


def result_uid(film_uid: str, provenance: Provenance, name: str) -> UID:
    """The SOPInstanceUID of the result `name` of a film; the same each time it is made.

    It depends on the film's UID, the version of Pleura, the weights' hash, the definition of lung,
    whether the film was mirrored, test-time augmentation, and who edited the masks and when: a
    second run gives the same UIDs, other weights give other ones. The engine is left out: engines
    compute the same network, and differ by rounding alone. It is a UUID of version 5 (RFC 9562)
    under 2.25, as in PS3.5 B.2.
    """
    made_by = (
        provenance.version,
        provenance.weights_name,
        provenance.weights_sha256,
        provenance.definition,
        *(["flip"] if provenance.flip else []),
        *(["tta"] if provenance.tta else []),
        *([provenance.edited] if provenance.edited else []),
    )
    identity = "\n".join((film_uid, *made_by, name))
    return UID(f"2.25.{uuid5(_NAMES, identity).int}")


def tracking_uid(film_uid: str, provenance: Provenance, label: str) -> UID:
    """The TrackingUID of the part `label`: the same in the report and in every Segmentation."""
    return result_uid(film_uid, provenance, f"sr/{label}")


def common_arguments(film_uid: str, segmentation: Segmentation, name: str) -> dict[str, Any]:
    """The arguments that highdicom's objects share: instance, series, equipment."""
    provenance = segmentation.provenance
    return series_arguments(film_uid, provenance, name, suffix=series_suffix(segmentation))


def series_arguments(
    film_uid: str, provenance: Provenance, name: str, *, suffix: str
) -> dict[str, Any]:
    """The arguments of an object without a segmentation; `suffix` ends the series description."""
    number, description = _SERIES[name.partition("+")[0]]
    return {
        "sop_instance_uid": result_uid(film_uid, provenance, name),
        "instance_number": 1,
        "series_instance_uid": result_uid(film_uid, provenance, f"{name}/series"),
        "series_number": number,
        "series_description": f"{MAKER}: {description}{suffix}",
        "manufacturer": MAKER,
        "manufacturer_model_name": MAKER,
        "software_versions": provenance.version,
        "device_serial_number": provenance.weights_sha256[:16],
    }


def parameters(provenance: Provenance) -> dict[str, str]:
    """The algorithm's parameters: weights, their hash, definition, engine; flip and tta if on."""
    return {
        "weights": provenance.weights_name.replace(",", " "),
        "weights_sha256": provenance.weights_sha256,
        "definition": provenance.definition,
        "engine": provenance.engine,
        **({"flip": "on"} if provenance.flip else {}),
        **({"tta": "on"} if provenance.tta else {}),
    }


def copy_lossy_compression(film: Dataset, image: Dataset) -> None:
    """Copy the film's attributes of lossy compression to `image`, in place."""
    image.LossyImageCompression = film.LossyImageCompression
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in film:
            setattr(image, keyword, film[keyword].value)


LABELS = {RIGHT: "Right lung", LEFT: "Left lung", HEART: "Heart"}
COLOURS = {RIGHT: RIGHT_COLOUR, LEFT: LEFT_COLOUR, HEART: HEART_COLOUR}
VERDICT_TEXTS: dict[Verdict, str] = {
    "ok": "Pleura's own verdict: ok.",
    "review": "Pleura's own verdict: please review before use.",
    "refused": "Pleura's own verdict: refused, do not use.",
}
_SUFFIXES: dict[Verdict, str] = {
    "ok": "",
    "review": " (please review)",
    "refused": " (REFUSED, do not use)",
}


def series_suffix(segmentation: Segmentation) -> str:
    """The end of a series description; it warns unless the verdict is `ok`."""
    return _SUFFIXES[segmentation.quality.verdict]


def remarks(segmentation: Segmentation) -> list[str]:
    """All remarks on a result: verdict, doubts, doubts about the heart, notes."""
    heart = segmentation.quality.heart
    return [
        VERDICT_TEXTS[segmentation.quality.verdict],
        *(doubt.text for doubt in segmentation.quality.doubts),
        *(doubt.text for doubt in (() if heart is None else heart.doubts)),
        *dict.fromkeys(segmentation.notes),
    ]


def add_remarks(image: Dataset, segmentation: Segmentation) -> None:
    """Write the remarks into ImageComments, in place; it holds 10,240 characters (LT)."""
    lines = (text if text.endswith(".") else f"{text}." for text in remarks(segmentation))
    image.ImageComments = "\r\n".join(lines)[:10_240]
