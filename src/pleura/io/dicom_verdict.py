"""The verdict on a result, in the words and places that DICOM has for it."""

from __future__ import annotations

from pydicom.dataset import Dataset

from pleura.core.arrays import Verdict
from pleura.core.types import Segmentation

__all__ = ["SAID", "comment", "remarks", "series_suffix"]

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
    """What a list of series shows behind the name of one whose result is not to be trusted."""
    return _SUFFIXES[found.quality.verdict]


def remarks(found: Segmentation) -> list[str]:
    """Everything there is to know beside the masks: verdict, reasons to doubt, notes."""
    return [
        SAID[found.quality.verdict],
        *(doubt.text for doubt in found.quality.doubts),
        *dict.fromkeys(found.notes),
    ]


def comment(image: Dataset, found: Segmentation) -> None:
    """Put the remarks on an image, in place: ImageComments holds 10,240 characters (LT)."""
    lines = (text if text.endswith(".") else f"{text}." for text in remarks(found))
    image.ImageComments = "\r\n".join(lines)[:10_240]
