"""The layout of corrections: films whose masks were edited or accepted on Pleura's page.

The page saves them as `corrections.zip`; unpacked, it is this folder:

    corrections.json              the films, their masks, and where they come from
    films/NAME.png                the films as they were given
    masks/NAME_right_field.png    one structure each; any non-zero pixel

`corrections.json` has a list `films`, each with `id`, `image`, `masks` (channel -> path) and
`mirrored`; `patient` and `split` can be added by hand. Paths are relative to the folder. The masks
of a film that is stored mirrored lie on its mirror image, and the film is read as that.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pleura.core.errors import DataError
from pleura.core.types import Radiograph
from pleura.io.read import read_radiograph
from pleura.lab.data.film import Film, MaskPart
from pleura.runtime.mirror import mirror_film

__all__ = ["EXPECTS", "matches", "read"]

CORRECTIONS = "corrections.json"
"""The name of the file that lists the films."""

EXPECTS = "corrections.json with films/ and masks/, as the page of `pleura serve` saves them"


def matches(path: Path) -> bool:
    """Whether this is a folder with `corrections.json`, or a zip file with it."""
    if path.is_file():
        return zipfile.is_zipfile(path) and CORRECTIONS in zipfile.ZipFile(path).namelist()
    return (path / CORRECTIONS).is_file()


def read(path: Path) -> list[Film]:
    """The films of the folder, in the order of `corrections.json`; each is its own patient.

    Raises:
        DataError: a zip file, or a list that is missing, damaged, or names files outside of the
            folder.
    """
    if path.is_file():
        raise DataError(f"{path}: unpack the zip file first, and name its folder")
    return [_film(entry, path) for entry in _entries(path / CORRECTIONS)]


def _entries(listed: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(listed.read_text(encoding="utf-8"))
        return [dict(entry) for entry in content["films"]]
    except OSError as error:
        raise DataError(f"{listed}: cannot be opened ({error.strerror or error})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{listed}: damaged, or not saved by Pleura ({error!r}); save the corrections again"
        ) from error


def _film(entry: dict[str, Any], folder: Path) -> Film:
    missing = {"id", "image", "masks"} - set(entry)
    if missing:
        raise DataError(f"{folder / CORRECTIONS}: a film without {', '.join(sorted(missing))}")
    name = str(entry["id"])
    masks = dict(entry["masks"])
    return Film(
        id=name,
        source=folder.resolve().name,
        image=_inside(folder, entry["image"]),
        masks=tuple(MaskPart(_inside(folder, mask), channel) for channel, mask in masks.items()),
        split=entry.get("split") or None,
        patient=str(entry.get("patient") or name),
        decode=_read_mirrored if entry.get("mirrored") else read_radiograph,
        masks_are_upright=bool(entry.get("mirrored")),
    )


def _inside(folder: Path, relative: str) -> Path:
    """The path of a file of the folder."""
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{folder / CORRECTIONS}: {relative} lies outside of the folder")
    return path


def _read_mirrored(path: Path) -> Radiograph:
    """The mirror image of a film, in which the patient's right is on the left."""
    return replace(mirror_film(read_radiograph(path)), mirrored=False)
