"""What is wrong with mask files as files: values, palettes, and which way up they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pleura.io.images.exif import orientation_of_file
from pleura.io.images.mask_files import MaskFile, distinct_values
from pleura.lab.films import Film
from pleura.lab.findings import Finding

__all__ = ["check_files"]

SHOWN = 6
"""Values that are named; more are counted."""


def check_files(film: Film, masks: Mapping[Path, MaskFile]) -> Iterator[Finding]:
    """Findings on the mask files of a film, as `Film.read_masks` gives them."""
    turned = orientation_of_file(film.image)
    for path, mask in masks.items():
        if mask.lossy:
            yield Finding("lossy-mask", film.id, path.name)
        if mask.bright_ground:
            yield Finding("bright-ground", film.id, path.name)
        if mask.turned != turned:
            detail = f"the film's tag says {turned}, that of {path.name} {mask.turned}"
            yield Finding("turned-film", film.id, detail)
        yield from _on_values(film, path, mask)


def _on_values(film: Film, path: Path, mask: MaskFile) -> Iterator[Finding]:
    """A finding where a mask of one structure has several values, or others than are declared."""
    declared = film.declared(path)
    values = [value for value in distinct_values(mask.read_as(declared)) if value]
    others = [value for value in values if value not in declared]
    if not declared and (len(values) < 2 or mask.lossy):  # that has a finding of its own
        return
    if others:
        shown = ", ".join(map(str, others[:SHOWN])) + (", ..." if len(others) > SHOWN else "")
        meaning = "none of them is used" if declared else "all of them count"
        yield Finding("undeclared-values", film.id, f"{path.name} holds {shown}; {meaning}")
