"""Rejecting DICOM objects whose header shows that they are not frontal chest films."""

from __future__ import annotations

from typing import NoReturn

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pleura.core.errors import UnsuitableFilm
from pleura.io.dicom.body_parts import another_part
from pleura.io.dicom.header import checked_text, lenient_text, number, orientation, view_of
from pleura.io.dicom.objects.common import MAKER

__all__ = ["FILM_CLASSES", "check_is_film"]

_IMAGE = "1.2.840.10008.5.1.4.1.1."
FILM_CLASSES = frozenset(
    _IMAGE + last for last in ("1", "1.1", "1.1.1", "7", "7.2", "7.3", "7.4", "29")
)
"""CR, DX for presentation and for processing, secondary capture, (retired) hard copy in grey."""

FILM_MODALITIES = frozenset({"CR", "DX", "DR", "RG", "XR", "SC", "OT", "HC"})
"""Modalities of plain films; SC, OT and HC describe only how a film came into the archive."""

PHOTOGRAPH_CLASS, PHOTOGRAPH_MODALITY = _IMAGE + "77.1.4", "XC"
"""Photographs in visible light: one of a film is read only if that is requested."""

LATERAL_VIEWS = frozenset({"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"})
OBLIQUE_VIEWS = frozenset({"RLO", "LLO", "RAO", "LAO", "RPO", "LPO", "OBLIQUE"})


def check_is_film(dataset: Dataset, *, forced: bool = False) -> None:
    """Raise `UnsuitableFilm` for objects that are not frontal chest films.

    A missing attribute is accepted. With `forced` DICOM photographs and films of another body part
    are accepted too.
    """
    modality, uid = checked_text(dataset, "Modality"), checked_text(dataset, "SOPClassUID")
    photograph = forced and (uid == PHOTOGRAPH_CLASS or modality == PHOTOGRAPH_MODALITY)
    if uid and uid not in FILM_CLASSES and not (photograph and uid == PHOTOGRAPH_CLASS):
        _reject(
            f"a DICOM object of the kind {UID(uid).name}",
            "a plain film: CR, DX or SC",
            can_force=uid == PHOTOGRAPH_CLASS,
        )
    if modality and modality not in FILM_MODALITIES and not photograph:
        _reject(
            f"a DICOM image of modality {modality}",
            "a plain film: CR or DX",
            can_force=modality == PHOTOGRAPH_MODALITY,
        )
    part = another_part(lenient_text(dataset, "BodyPartExamined"))
    if part and not forced:
        _reject(f"a film of another body part, BodyPartExamined is {part}", "CHEST", can_force=True)
    if lenient_text(dataset, "Manufacturer") == MAKER.upper():
        _reject(f"a picture that {MAKER} made itself", "the film from which it was made")
    frames = number(dataset, "NumberOfFrames")
    if frames is not None and frames > 1:
        _reject(f"a DICOM image of {frames:.0f} frames", "a film of 1")
    _check_view(view_of(dataset), rows_run=orientation(dataset)[0])
    if "PixelData" not in dataset:
        raise UnsuitableFilm("the DICOM file holds no pixels; export it again, image included")


def _check_view(view: str | None, *, rows_run: str) -> None:
    if view in LATERAL_VIEWS:
        _reject(f"a lateral film, its view is {view}", "a frontal one: PA or AP")
    if view in OBLIQUE_VIEWS:
        _reject(f"an oblique film, its view is {view}", "a frontal one: PA or AP")
    if rows_run[:1] in ("A", "P"):
        _reject(
            f"a lateral film, its rows run to {rows_run[0]} (PatientOrientation)",
            "a frontal one: L",
        )


def _reject(got: str, expected: str, *, can_force: bool = False) -> NoReturn:
    raise UnsuitableFilm(
        f"this is {got}; expected {expected}. If the file's tags are wrong, "
        "export the film as PNG and give that",
        can_force=can_force,
    )
