"""The layout of a folder with a `manifest.csv`: one row a film, with labels by grey value.

Columns: `COLUMNS`, also under `HEADINGS`. Only image is required; without id, the image's stem is
the id. Width and height are not read. Paths are relative to the manifest.

`labels` gives the meaning of the mask's values: a channel (`field`: any non-zero pixel), or
`channel=value` pairs joined by `;`, such as `whole=255;ignore=127`. In a coloured picture the value
may be a colour (`#ff0000`), in annotations and DICOM segmentations it is a structure's name. If a
structure has a file of its own, a column `mask_<channel>` (`mask_left_field`) names it, and every
non-zero pixel counts. For a film without a mask the mask columns are empty.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from pleura.core.arrays import KNOWN_CHANNELS
from pleura.core.errors import DataError
from pleura.io.annotations.read import ANNOTATION_SUFFIXES
from pleura.lab.data.film import IGNORE, Film, MaskPart
from pleura.lab.data.layouts.annotated import AnnotationIndex
from pleura.lab.data.layouts.files import segments_of
from pleura.lab.data.layouts.public_sets.nlm import SOURCES
from pleura.lab.data.layouts.structures import ALIASES, is_colour

__all__ = ["EXPECTS", "matches", "read_manifest"]

EXPECTS = "manifest.csv (or a .csv file itself) with columns id, image, mask, labels, split, ..."

Meaning: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of a structure's name and its channel."""

IndexOf: TypeAlias = Callable[[Path, Meaning], AnnotationIndex]
"""(annotation file, meanings) -> its films by name."""

COLUMNS = ("id", "image", "mask", "split", "patient", "labels", "condition", "source", "weight")

HEADINGS = {
    "id": ("film", "film_id", "image_id"),
    "image": ("image_path", "img", "film_path", "path", "file", "filename", "image_file"),
    "mask": ("mask_path", "label_path", "segmentation", "mask_file"),
    "split": ("subset",),
    "patient": ("patient_id", "patientid", "subject", "subject_id", "pid"),
    "source": ("hospital", "site", "center", "centre", "dataset"),
    "condition": ("diagnosis", "finding", "pathology"),
}
"""Column -> other headings for it, in lower case with `_` for spaces."""

PART_COLUMNS = {f"mask_{channel}": channel for channel in (*KNOWN_CHANNELS, IGNORE)}
"""Columns that name a structure's own file."""


def matches(path: Path) -> bool:
    """Whether this is a manifest, or a folder with one."""
    return (path / "manifest.csv").is_file() or (path.is_file() and path.suffix.lower() == ".csv")


def read_manifest(path: Path) -> list[Film]:
    """The films of a manifest, or of the folder that holds `manifest.csv`, in its order."""
    table = path / "manifest.csv" if path.is_dir() else path
    if not table.is_file():
        raise DataError(f"{path}: no manifest.csv here")

    @cache  # a file of many films is indexed once, not for each of them
    def index_of(annotations: Path, meanings: Meaning) -> AnnotationIndex:
        return AnnotationIndex([annotations], dict(meanings))

    return [_film(row, table, index_of) for row in _rows(table)]


def _rows(table: Path) -> list[dict[str, str]]:
    """The rows under the known columns; commas, semicolons or tabs separate them."""
    content = table.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    names = _headings(reader.fieldnames or ())
    missing = {"id", "image"} - set(names.values())
    if "image" in missing:
        raise DataError(
            f"{table}: column {', '.join(sorted(missing))} missing; it has the columns "
            f"{', '.join(names) or '(none)'}; known are {', '.join(COLUMNS)}"
        )
    rows = [{names[k]: (v or "").strip() for k, v in row.items() if k in names} for row in reader]
    if not rows:
        raise DataError(f"{table}: no row at all; expected one row a film")
    return [row if "id" in row else {**row, "id": Path(row["image"]).stem} for row in rows]


def _headings(given: Sequence[str]) -> dict[str, str]:
    """Heading -> the column that it means: `Image Path` is image if no column is called image."""
    plain = {name: name.strip().lower().replace(" ", "_").replace("-", "_") for name in given}
    for column, others in HEADINGS.items():
        if column not in plain.values():
            name = next((name for name in given if plain[name] in others), None)
            if name is not None:
                plain[name] = column
    return plain


def _film(row: dict[str, str], table: Path, index_of: IndexOf) -> Film:
    for column in ("id", "image"):
        if not row.get(column):
            raise DataError(f"{table}: a row without {column}: {row}")
    folder, prefix = table.parent, row["id"].split("_")[0]
    try:
        masks, weight = _parts(row, folder, index_of), _weight(row.get("weight") or "1")
    except DataError as error:
        raise DataError(f"{table}: film {row['id']}: {error}") from error
    return Film(
        id=row["id"],
        source=row.get("source") or SOURCES.get(prefix, folder.resolve().name),
        image=folder / row["image"],
        masks=masks,
        split=row.get("split") or None,
        patient=row.get("patient") or "",
        condition=row.get("condition") or "",
        weight=weight,
    )


def _weight(text: str) -> float:
    """How often training uses a film; a decimal comma is read too."""
    try:
        weight = float(text.replace(",", "."))
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise DataError(f"weight {text!r}: expected a number above 0, such as 2 or 0.5")
    return weight


def _parts(row: dict[str, str], folder: Path, index_of: IndexOf) -> tuple[MaskPart, ...]:
    parts = tuple(
        MaskPart(folder / row[column], channel)
        for column, channel in PART_COLUMNS.items()
        if row.get(column)
    )
    if not row.get("mask"):
        return parts
    path = folder / row["mask"]
    labels = [text.strip() for text in (row.get("labels") or "").split(";")]
    meanings = dict(_meaning(label) for label in labels if "=" in label)
    if path.suffix.lower() in ANNOTATION_SUFFIXES:
        index = index_of(path, tuple(meanings.items()))
        return (*parts, *index.parts_of(row["id"], folder / row["image"]))
    segments = segments_of(path, meanings) if path.is_file() else ()
    return (*parts, *(segments or (_labelled(label or "field", path) for label in labels)))


def _labelled(label: str, path: Path) -> MaskPart:
    """The part of a picture that `channel`, `channel=value` or `channel=#rrggbb` describes."""
    if "=" not in label:
        return MaskPart(path, ALIASES.get(label, label))
    value, channel = _meaning(label)
    if is_colour(value):
        return MaskPart(path, channel, structure=value)
    if not value.isdecimal():
        raise DataError(
            f"label {label!r}: expected name=value with a whole number or a colour #rrggbb, "
            "or a name"
        )
    return MaskPart(path, channel, int(value))


def _meaning(label: str) -> tuple[str, str]:
    """`name=value` -> value, in lower case, and channel."""
    name, _, value = label.partition("=")
    return value.strip().lower(), ALIASES.get(name.strip(), name.strip())
