"""The layout of JSRT as distributed: raw films, and the SCR masks, a GIF file for each structure.

Films (Shiraishi et al. 2000): `JPCLN001.IMG` (with a nodule) and `JPCNN001.IMG` (without), in
`All247images/` or in any folder below. A file has 2048 x 2048 unsigned 16-bit integers, big-endian,
of which 12 bits are used, and no header; a pixel is 0.175 mm. The values rise with the blackness of
the film: air is high, bone is low. A `Radiograph` is the opposite, so a pixel becomes 4095 - value.

Masks (van Ginneken et al. 2006): `fold1/masks/left lung/JPCLN001.gif`, and likewise `right lung`,
`heart` and `fold2`; 1024 x 1024 pixels of 0 and 255; right and left are the patient's. `fold1` has
the odd numbers, `fold2` the even ones. SCR's protocol trains on one fold and tests on the other:
here odd numbers are `train` and even numbers are `test`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pleura.core.errors import DataError, UnreadableFilm
from pleura.core.types import Radiograph, Spacing
from pleura.lab.data.film import Film, MaskPart
from pleura.lab.data.layouts.files import pictures, require_pairs

__all__ = ["EXPECTS", "matches", "read", "read_raw"]

EXPECTS = (
    "JPCLN*.IMG and JPCNN*.IMG (e.g. in All247images/), with SCR's "
    "fold1 and fold2/masks/{left lung,right lung,heart}/*.gif"
)

SIDE = 2048
"""px, both ways."""

MAX_VALUE = 4095
"""The largest 12-bit number."""

PIXEL_MM = 0.175

CONDITIONS = {"JPCLN": "nodule", "JPCNN": "normal"}

FOLDERS = {"right lung": "right_field", "left lung": "left_field", "heart": "heart"}
"""SCR's folders and their channels; its clavicles are not used."""


def matches(path: Path) -> bool:
    """Whether raw JSRT films are here or below."""
    return path.is_dir() and next(_raw_films(path), None) is not None


def read(path: Path) -> list[Film]:
    """The films, sorted by id, with those of the three structures that have masks."""
    images = {film.stem.upper(): film for film in sorted(_raw_films(path))}
    if not images:
        raise DataError(f"{path}: no JPCLN*.IMG or JPCNN*.IMG here; expected {EXPECTS}")
    masks: dict[str, list[MaskPart]] = {}
    for folder in sorted(entry for entry in path.rglob("*") if entry.name.lower() in FOLDERS):
        for stem, mask in pictures(folder).items():
            part = MaskPart(mask, FOLDERS[folder.name.lower()])
            masks.setdefault(stem.upper(), []).append(part)
    films = [_film(stem, image, masks.get(stem, [])) for stem, image in images.items()]
    first_masks = {stem: parts[0].path for stem, parts in masks.items()}
    require_pairs(len(images.keys() & masks.keys()), first_masks, path)
    return films


def read_raw(path: Path) -> Radiograph:
    """Decode one `.IMG`: (2048, 2048) float32 in 0 to 4095, brighter = denser.

    Raises `UnreadableFilm` if the size or a number is not that of a JSRT film.
    """
    try:
        raw = np.fromfile(path, dtype=">u2")
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableFilm(f"{path}: cannot be read ({error})") from error
    if size != 2 * SIDE * SIDE:
        raise UnreadableFilm(
            f"{path}: {size} bytes, but a raw JSRT film has {2 * SIDE * SIDE} "
            f"({SIDE} x {SIDE} x 2); fetch it again"
        )
    if raw.max() > MAX_VALUE:
        raise UnreadableFilm(
            f"{path}: holds {raw.max()}, more than 12 bits ({MAX_VALUE}); a JSRT film is "
            "big-endian: was this one converted?"
        )
    return Radiograph(
        pixels=(MAX_VALUE - raw.astype(np.float32)).reshape(SIDE, SIDE),
        spacing=Spacing(PIXEL_MM, PIXEL_MM, "JSRT (Shiraishi et al. 2000)"),
        view="PA",
        notes=("raw JSRT film, inverted so that brighter is denser",),
    )


def _raw_films(path: Path) -> Iterator[Path]:
    return (
        file
        for file in path.rglob("*")
        if file.suffix.lower() == ".img" and file.stem.upper()[:5] in CONDITIONS
    )


def _film(stem: str, image: Path, parts: list[MaskPart]) -> Film:
    number = stem[5:]
    split = ("test", "train")[int(number) % 2] if number.isdigit() else None
    return Film(
        id=stem,
        source="jsrt",
        image=image,
        masks=tuple(parts),
        split=split,
        patient=stem,
        condition=CONDITIONS[stem[:5]],
        decode=read_raw,
    )
