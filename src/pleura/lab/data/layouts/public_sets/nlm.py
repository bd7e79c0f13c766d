"""File names of the National Library of Medicine's tuberculosis films.

`CHNCXR_0012_1.png`: collection, number, and 0 for normal or 1 for tuberculosis (Jaeger et al.
2014). There is one film a patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pleura.lab.data.film import Film, MaskPart
from pleura.lab.data.layouts.files import mask_of, pictures, require_pairs

__all__ = ["MONTGOMERY", "SHENZHEN", "SOURCES", "condition", "pair_field_masks"]

SHENZHEN, MONTGOMERY = "CHNCXR", "MCUCXR"

SOURCES = {SHENZHEN: "shenzhen", MONTGOMERY: "montgomery"}
"""The source of a film, by the prefix of its id; some sets mix both."""

CONDITIONS = {"0": "normal", "1": "tuberculosis"}


def condition(film_id: str) -> str:
    """`normal` or `tuberculosis`, from the id's last part; empty for other names."""
    prefix, _, digit = film_id.rpartition("_")
    return CONDITIONS.get(digit, "") if prefix.split("_")[0] in SOURCES else ""


def pair_field_masks(images: Path, masks: Mapping[str, Path]) -> list[Film]:
    """Films of a folder with their one-value field masks; a film may have none."""
    films = []
    for stem, image in pictures(images).items():
        mask = mask_of(stem, masks)
        films.append(
            Film(
                id=stem,
                source=SOURCES.get(stem.split("_")[0], images.resolve().parent.name),
                image=image,
                masks=(MaskPart(mask, "field"),) if mask else (),
                patient=stem,
                condition=condition(stem),
            )
        )
    require_pairs(sum(bool(film.masks) for film in films), masks, images)
    return films
